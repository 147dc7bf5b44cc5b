"""Error rates of trained decoders, by complexity class."""

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

ALL = "all"  # complexity classes together
BATCHES_PER_BLOCK = 64  # each block has its own random stream
COLUMNS = (
    *("operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines"),
)


def accuracy(
    spec: ArithModel, network: Decoder, test: AccuracyTest
) -> Iterator[dict[str, Any]]:
    """Count the wrong answers of a model: a row per operation and complexity class.

    The questions depend only on the operation and the number of digits, so all models
    get the same ones.  Rates are per million, with exact 95 % intervals; see `nines`.
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
    """Count questions, fails and malformed answers by class: [classes, 3]."""
    device = next(network.parameters()).device
    digits = spec.questions.digits
    layout = Layout(digits)
    settings = questions.single_operation(operation, digits, test.enrichment)
    counts = torch.zeros(len(CLASSES), 3, dtype=torch.int64, device=device)
    for block, remaining in enumerate(_remaining(test)):
        names = STUDY, "accuracy", operation, digits, block
        rng = rng_for(*names, device=device.type)
        ids = questions.sample(settings, rng, BATCHES_PER_BLOCK, test.batch)
        ids = ids[:remaining]
        correct, malformed = score_answers(network, layout, ids)
        level = question_sets.classify(operation, digits, ids)
        flags = torch.stack([torch.ones_like(correct), ~correct, malformed], -1)
        counts.index_add_(0, level, flags.long())
    return counts.cpu()


def _remaining(test: AccuracyTest) -> range:
    """Return the number of questions that remain before each block."""
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
    """Return the number of leading nines of the accuracy.

    One fail in a million is six nines, as in the paper.  No fail counts as one fail.
    """
    return len(str(asked // max(fails, 1))) - 1
