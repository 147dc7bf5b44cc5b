"""Evidence on where a paper and its code disagree (Quirke, Neo, Barez 2024).

Printed numbers are held against each other, or against random questions.  Percentages
are percentages, as they are printed.
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
from mathprobe.studies.evidence import PERCENT, percentage, row

Row = dict[str, Any]
Source = Callable[[Row], Iterator[Row]]

EVIDENCE: Registry[Source] = Registry("evidence")
QUESTIONS = 200_000
PLAIN = Enrichment(0.0, 0.0, 0.0)
EQUAL = 0.01  # of the enriched subtractions, in text and code
CARRIES = 45 / 100  # pairs of digits that sum to 10 or more


def table(published: Row) -> Iterator[Row]:
    """Gather all evidence, named by what it is on."""
    for name in EVIDENCE:
        for one in EVIDENCE[name](published):
            yield {"evidence": name, **one}


def _drawn(use: str, operation: str, digits: int, enrichment: Enrichment) -> Any:
    """Draw questions, each a batch of its own, and take them apart."""
    asked = questions.single_operation(operation, digits, enrichment)
    rng = rng_for(STUDY, "evidence", use)
    return Layout(digits).split(questions.sample(asked, rng, QUESTIONS, 1))


@EVIDENCE.add("models_counted")
def models_counted(published: Row) -> Iterator[Row]:
    """Add up the models that the abstract lists."""
    listed = sum(published["models_listed"].values())
    yield row("models that are listed", listed, published["models_stated"])


@EVIDENCE.add("enriched_batches")
def enriched_batches(published: Row) -> Iterator[Row]:
    """Count subtractions of equal numbers under both readings of the enrichment."""
    for who, key in (("text", "enriched"), ("code", "enriched_in_code")):
        harder = Enrichment(published[key], 0.0, EQUAL)
        drawn = _drawn(f"equal/{who}", "subtraction", 6, harder)
        equal = (drawn.first == drawn.second).all(-1)
        printed = 100 * published["equal_numbers"] if who == "text" else None
        yield percentage(f"subtractions of equal numbers, by the {who}", equal, printed)


@EVIDENCE.add("complexity")
def complexity(published: Row) -> Iterator[Row]:
    """Compare printed shares with cascades, and with how many columns carry."""
    drawn = _drawn("complexity", "addition", 5, PLAIN)
    level = class_indices("addition", drawn.first, drawn.second)
    for carries, (name, printed) in enumerate(published["complexity"].items()):
        hits = level == CLASSES.index(name)
        yield percentage(f"{name}, by cascades", hits, 100 * printed)
        columns = 100 * float(binom.pmf(carries, 5, CARRIES))
        yield row(f"{name}, by columns that carry", columns, 100 * printed, PERCENT)


@EVIDENCE.add("intervals")
def intervals(published: Row) -> Iterator[Row]:
    """Count whose printed interval is that of its fails, and of which fails."""
    counts = published["arith_accuracy"].groupby("model")["fails"]
    sums = counts.agg(fails="sum", operations="size").reset_index()
    models = published["arith_models"].dropna(subset="low").merge(sums, on="model")
    alone, both = (models[models["operations"] == number] for number in (1, 2))
    asked = published["questions"]
    exact = sum(_is_exact(asked, *one) for one in _ends(alone))
    yield row(f"exact, of {len(alone)} models of one operation", exact)
    for what, times in (("one million", 1), ("two million", 2)):
        exact = sum(_is_exact(times * asked, *one) for one in _ends(both))
        yield row(f"exact of {what}, of {len(both)} models of both operations", exact)


def _ends(models: pd.DataFrame) -> Iterator[tuple[int, float, float]]:
    yield from models[["fails", "low", "high"]].itertuples(index=False, name=None)


def _is_exact(asked: int, fails: int, low: float, high: float) -> bool:
    """Tell whether an interval is the exact one, as its three digits print it."""
    ends = clopper_pearson(fails, asked)
    return [float(f"{end:.2e}") for end in ends] == [low, high]


@EVIDENCE.add("accuracy_claim")
def accuracy_claim(published: Row) -> Iterator[Row]:
    """Count the models that the paper's own rule calls 99.999 % accurate."""
    worst = published["arith_accuracy"].groupby("model")["fails"].max()
    passed = int((worst < WRONG_PER_MILLION_LIMIT).sum())
    yield row(f"models that reach it, of {len(worst)} with a printed count", passed)


@EVIDENCE.add("tokens_counted")
def tokens_counted(published: Row) -> Iterator[Row]:
    """Count the tokens that are listed."""
    yield row("tokens that are listed", len(VOCABULARY), published["tokens"])


@EVIDENCE.add("widest_numbers")
def widest_numbers(published: Row) -> Iterator[Row]:
    """Say how wide numbers may be whose sums a 64-bit integer holds."""
    most = torch.iinfo(torch.int64).max
    width = max(n for n in range(1, 30) if 2 * (10**n - 1) <= most)
    yield row("digits of numbers whose sum 64 bits hold", width)
