"""How often a trained decoder is wrong, by complexity class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mathprobe.arith import question_sets, questions
from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.tokens import Layout
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import AccuracyTest, ArithModel
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith.models import score_answers

ALL = "all"  # complexity classes
BATCHES_PER_BLOCK = 64  # questions are drawn in blocks; part of what fixes the result
COLUMNS = (
    *("operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines"),
)


def accuracy(
    spec: ArithModel, network: Decoder, test: AccuracyTest
) -> Iterator[dict[str, Any]]:
    """Count how often a model is wrong: a row per operation and complexity class.

    The questions depend on the operation and the digits alone, so all models are asked
    the same.  Rates are per million, with exact intervals; see `nines`.
    """
    for operation in spec.questions.shares:
        counts = _counts(spec, network, test, operation)
        yield _row(operation, ALL, counts.sum(0))
        for name, row in zip(CLASSES, counts, strict=True):
            if row[0]:
                yield _row(operation, name, row)


def _counts(
    spec: ArithModel, network: Decoder, test: AccuracyTest, operation: str
) -> Tensor:
    """Count questions, fails and malformed answers of each class: [classes, 3]."""
    device = next(network.parameters()).device
    digits = spec.questions.digits
    layout = Layout(digits)
    asked = questions.single_operation(operation, digits, test.enrichment)
    counts = torch.zeros(len(CLASSES), 3, dtype=torch.int64, device=device)
    for block, left in enumerate(_left(test)):
        names = STUDY, "accuracy", operation, digits, block
        rng = rng_for(*names, device=device.type)
        ids = questions.sample(asked, rng, BATCHES_PER_BLOCK, test.batch)[:left]
        right, malformed = score_answers(network, layout, ids)
        place = question_sets.classify(operation, digits, ids)
        seen = torch.stack([torch.ones_like(right), ~right, malformed], -1)
        counts.index_add_(0, place, seen.long())
    return counts.cpu()


def _left(test: AccuracyTest) -> range:
    """Return the questions that are left before each block."""
    return range(test.questions, 0, -BATCHES_PER_BLOCK * test.batch)


def _row(operation: str, name: str, counts: Tensor) -> dict[str, Any]:
    asked, fails, malformed = counts.tolist()
    low, high = (1e6 * end for end in clopper_pearson(fails, asked))
    return {
        "operation": operation,
        "class": name,
        "questions": asked,
        "fails": fails,
        "malformed": malformed,
        "per_million": 1e6 * fails / asked,
        "low": low,
        "high": high,
        "nines": nines(fails, asked),
    }


def nines(fails: int, asked: int) -> int:
    """Return the number of nines that a share of right answers begins with.

    One fail in a million is six nines, as in the paper; no fail shows no more nines
    than one would.
    """
    return len(str(asked // max(fails, 1))) - 1
