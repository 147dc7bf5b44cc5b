"""Evidence on contradictions between a paper and its code (Quirke, Neo, Barez 2024).

Printed numbers are compared with each other, or with numbers computed from random
questions.  Shares are in percent, as printed.  `published` contains printed statements
and tables, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
from scipy.stats import binom

from mathprobe.arith import questions
from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.arith.complexity import CLASSES, class_indices
from mathprobe.arith.tokens import VOCABULARY, Layout
from mathprobe.intervals import clopper_pearson
from mathprobe.registry import Registry
from mathprobe.seeds import rng_for
from mathprobe.spec import Enrichment
from mathprobe.studies.arith import STUDY
from mathprobe.studies.evidence_rows import PERCENT, Row, percentage, row

Source = Callable[[Row], Iterator[Row]]

EVIDENCE: Registry[Source] = Registry("evidence")
QUESTIONS = 200_000
NO_ENRICHMENT = Enrichment(0.0, 0.0, 0.0)
EQUAL = 0.01  # share of enriched subtractions with equal numbers, in text and code
CARRIES = 45 / 100  # share of pairs of digits that sum to 10 or more


def _sample(use: str, operation: str, digits: int, enrichment: Enrichment) -> Any:
    """Draw questions in batches of one, and return their parts."""
    settings = questions.single_operation(operation, digits, enrichment)
    rng = rng_for(STUDY, "evidence", use)
    return Layout(digits).split(questions.sample(settings, rng, QUESTIONS, 1))


@EVIDENCE.add("models_counted")
def models_counted(published: Row) -> Iterator[Row]:
    """Compare the number of models listed in the abstract with the number stated."""
    listed = sum(published["models_listed"].values())
    yield row("models that are listed", listed, published["models_stated"])


@EVIDENCE.add("enriched_batches")
def enriched_batches(published: Row) -> Iterator[Row]:
    """Compare shares of subtractions of equal numbers, enriched as in text and code."""
    for who, key in (("text", "enriched"), ("code", "enriched_in_code")):
        enrichment = Enrichment(published[key], 0.0, EQUAL)
        drawn = _sample(f"equal/{who}", "subtraction", 6, enrichment)
        equal = (drawn.first == drawn.second).all(-1)
        printed = 100 * published["equal_numbers"] if who == "text" else None
        yield percentage(f"subtractions of equal numbers, by the {who}", equal, printed)


@EVIDENCE.add("complexity")
def complexity(published: Row) -> Iterator[Row]:
    """Compare printed shares of classes with shares by cascades and by carry count."""
    drawn = _sample("complexity", "addition", 5, NO_ENRICHMENT)
    level = class_indices("addition", drawn.first, drawn.second)
    for carries, (name, printed) in enumerate(published["complexity"].items()):
        hits = level == CLASSES.index(name)
        yield percentage(f"{name}, by cascades", hits, 100 * printed)
        columns = 100 * float(binom.pmf(carries, 5, CARRIES))
        yield row(f"{name}, by columns that carry", columns, 100 * printed, PERCENT)


@EVIDENCE.add("intervals")
def intervals(published: Row) -> Iterator[Row]:
    """Count the models whose printed interval is the exact interval of their fails.

    Models of both operations are compared with the intervals for one and for two
    million questions.
    """
    counts = published["arith_accuracy"].groupby("model")["fails"]
    sums = counts.agg(fails="sum", operations="size").reset_index()
    models = published["arith_models"].dropna(subset="low").merge(sums, on="model")
    alone, both = (models[models["operations"] == number] for number in (1, 2))
    asked = published["questions"]
    exact = sum(_is_exact(asked, *one) for one in _printed_intervals(alone))
    yield row("exact, models of one operation", exact, total=len(alone))
    for number, times in (("one million", 1), ("two million", 2)):
        exact = sum(_is_exact(times * asked, *one) for one in _printed_intervals(both))
        text = f"exact of {number}, models of both operations"
        yield row(text, exact, total=len(both))


def _printed_intervals(models: pd.DataFrame) -> Iterator[tuple[int, float, float]]:
    yield from models[["fails", "low", "high"]].itertuples(index=False, name=None)


def _is_exact(asked: int, fails: int, low: float, high: float) -> bool:
    """Return whether an interval equals the exact one, rounded to three digits."""
    ends = clopper_pearson(fails, asked)
    return [float(f"{end:.2e}") for end in ends] == [low, high]


@EVIDENCE.add("accuracy_claim")
def accuracy_claim(published: Row) -> Iterator[Row]:
    """Count the models that are 99.999 % accurate by the definition of the paper."""
    worst = published["arith_accuracy"].groupby("model")["fails"].max()
    passed = int((worst < WRONG_PER_MILLION_LIMIT).sum())
    yield row("models with a printed count that reach it", passed, total=len(worst))


@EVIDENCE.add("tokens_counted")
def tokens_counted(published: Row) -> Iterator[Row]:
    """Compare the number of tokens listed with the number stated."""
    yield row("tokens that are listed", len(VOCABULARY), published["tokens"])


@EVIDENCE.add("widest_numbers")
def widest_numbers(published: Row) -> Iterator[Row]:
    """Compute the highest number of digits whose sums fit in a 64-bit integer."""
    most = torch.iinfo(torch.int64).max
    width = max(n for n in range(1, 30) if 2 * (10**n - 1) <= most)
    yield row("digits of numbers whose sum 64 bits hold", width)
