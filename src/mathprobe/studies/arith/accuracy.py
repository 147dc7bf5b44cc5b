"""Error rates of trained decoders, by complexity class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mathprobe.arith import question_sets, questions
from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.tokens import Layout
from mathprobe.data_loader import BATCHES_PER_BLOCK, BlockLoader
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import AccuracyTest, ArithModel
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith.models import score_answers

ALL = "all"  # all complexity classes together
COLUMNS = (
    *("operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines"),
)


def accuracy(
    spec: ArithModel, network: Decoder, test: AccuracyTest
) -> Iterator[dict[str, Any]]:
    """Count the wrong answers of a model: a row per operation and complexity class.

    The questions depend only on the operation and the number of digits, so they are the
    same for all models.  Rates are per million, with exact 95 % intervals.
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
    """Return the numbers of questions, fails and malformed answers, [classes, 3]."""
    device = next(network.parameters()).device
    digits = spec.questions.digits
    layout = Layout(digits)
    settings = questions.single_operation(operation, digits, test.enrichment)
    counts = torch.zeros(len(CLASSES), 3, dtype=torch.int64, device=device)
    remaining = _remaining(test)

    def draw(block: int) -> tuple[Tensor]:
        rng = rng_for(STUDY, "accuracy", operation, digits, block)
        ids = questions.sample(settings, rng, BATCHES_PER_BLOCK, test.batch)
        return (ids[: remaining[block]],)

    loader = BlockLoader(draw, len(remaining), device.type)
    for block in range(len(remaining)):
        (ids,) = loader.load(block)
        correct, malformed = score_answers(network, layout, ids)
        level = question_sets.classify(operation, digits, ids)
        flags = torch.stack([torch.ones_like(correct), ~correct, malformed], -1)
        counts.index_add_(0, level, flags.long())
    return counts.cpu()


def _remaining(test: AccuracyTest) -> range:
    """Return the number of questions that remain before each block."""
    return range(test.questions, 0, -BATCHES_PER_BLOCK * test.batch)


def _row(operation: str, name: str, counts: Tensor) -> dict[str, Any]:
    total, fails, malformed = counts.tolist()
    low, high = (1e6 * end for end in clopper_pearson(fails, total))
    return {
        "operation": operation,
        "class": name,
        "questions": total,
        "fails": fails,
        "malformed": malformed,
        "per_million": 1e6 * fails / total,
        "low": low,
        "high": high,
        "nines": nines(fails, total),
    }


def nines(fails: int, total: int) -> int:
    """Return the number of leading nines of the accuracy.

    One fail in a million gives 6, as in the paper.  Zero fails are treated as one.
    """
    return len(str(total // max(fails, 1))) - 1
