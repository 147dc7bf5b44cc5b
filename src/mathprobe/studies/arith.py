"""Quirke, Neo, Barez 2024: decoders that add and subtract.

Here questions meet networks: data for the training loop, first weights from a parent,
and how often a trained model is wrong.  B: batch, T: tokens, n: digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mathprobe import gpus
from mathprobe.arith import questions
from mathprobe.arith.difficulty import CLASSES, classes
from mathprobe.arith.tokens import VOCABULARY, Layout, well_formed
from mathprobe.decoding import complete
from mathprobe.errors import InputError
from mathprobe.intervals import clopper_pearson
from mathprobe.learner import BATCHES_PER_BLOCK, Descent, Learner
from mathprobe.nets import insertion
from mathprobe.nets.decoder import Decoder
from mathprobe.objectives import Answers
from mathprobe.seeds import seed, stream
from mathprobe.spec import (
    INSERTIONS,
    Accuracy,
    ArithModel,
    Enrichment,
    Insertion,
    Questions,
)
from mathprobe.training import Trainer

STUDY = "arith"
ALL = "all"  # classes of difficulty
COLUMNS = (
    *("operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines"),
)


def build(spec: ArithModel) -> Decoder:
    """Build a model with its random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed(STUDY, "weights", spec.seed))
        length = Layout(spec.questions.digits).length
        return Decoder(spec.network, len(VOCABULARY), length)


def trainer(spec: ArithModel, device: str, parent: Decoder | None = None) -> Trainer:
    """Prepare a training; a model that is inserted into needs its trained parent."""
    network, layout = build(spec).to(device), Layout(spec.questions.digits)
    before = _inserted(spec, network, parent)
    shown = {name: _curve_set(spec, name, device) for name in spec.questions.shares}

    def measure(network: Decoder) -> list[dict[str, Any]]:
        return [
            {"test": name, **_curve_point(network, layout, ids)}
            for name, ids in shown.items()
        ]

    schedule = spec.schedule
    learner = Learner(
        network,
        partial(_block, spec, device),
        schedule,
        Answers(layout.answer_length),
        Descent(
            betas=tuple(schedule.betas),
            weight_decay=schedule.weight_decay,
            grokfast=schedule.grokfast,
        ),
        before,
    )
    learners, parts = {spec.seed: learner}, layout.names[-layout.answer_length :]
    return Trainer(learners, spec, measure, partial(gpus.joules, device), parts)


def _inserted(
    spec: ArithModel, network: Decoder, parent: Decoder | None
) -> Callable[[int], None]:
    """Write a parent's weights; give what is to be done before each update."""
    wanted = spec.insertion
    if (wanted is None) != (parent is None):
        need = "has no parent" if wanted is None else f"needs {wanted.parent.name}"
        raise InputError(f"{spec.name} {need}")
    if wanted is None:
        return lambda update: None
    parent = parent.to(next(network.parameters()).device)
    insertion.insert(parent, network, wanted.complete)
    return partial(_hold, wanted, parent, network)


def _hold(wanted: Insertion, parent: Decoder, network: Decoder, update: int) -> None:
    _, parts = INSERTIONS[wanted.mode]
    if parts and update and update % wanted.every == 0:
        insertion.hold(parent, network, parts, wanted.complete)


def _block(spec: ArithModel, device: str, block: int) -> tuple[Tensor]:
    """Draw a block of the training data: ids [N, T]."""
    asked = spec.questions
    name = "+".join(asked.shares)
    rng = stream(STUDY, "train", name, asked.digits, spec.seed, block, device=device)
    return (questions.draw(asked, rng, BATCHES_PER_BLOCK, spec.schedule.batch),)


def of_one(operation: str, digits: int, enrichment: Enrichment) -> Questions:
    """Ask for one operation only."""
    return Questions(digits, {operation: 1.0}, "batches", enrichment)


def _curve_set(spec: ArithModel, operation: str, device: str) -> Tensor:
    """Draw what a learning curve is measured on: the same for all of these digits."""
    asked, batch = spec.questions, spec.schedule.batch
    rng = stream(STUDY, "curve", operation, asked.digits)
    one = of_one(operation, asked.digits, asked.enrichment)
    ids = questions.draw(one, rng, -(-spec.curve_questions // batch), batch)
    return ids[: spec.curve_questions].to(device)


def judge(network: Decoder, layout: Layout, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Ask a network: which answers [B] are right, and which are malformed."""
    answer = ids[:, -layout.answer_length :]
    said = complete(network, ids, layout.answer_length)
    return (said == answer).all(-1), ~well_formed(said)


def _curve_point(network: Decoder, layout: Layout, ids: Tensor) -> dict[str, float]:
    right, malformed = judge(network, layout, ids)
    return {
        "accuracy": float(right.double().mean()),
        "malformed": float(malformed.double().mean()),
    }


def accuracy(
    spec: ArithModel, network: Decoder, test: Accuracy
) -> Iterator[dict[str, Any]]:
    """Count how often a model is wrong: a row per operation and class of difficulty.

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
    spec: ArithModel, network: Decoder, test: Accuracy, operation: str
) -> Tensor:
    """Count questions, fails and malformed answers of each class: [classes, 3]."""
    device = next(network.parameters()).device
    digits = spec.questions.digits
    layout, asked = Layout(digits), of_one(operation, digits, test.enrichment)
    counts = torch.zeros(len(CLASSES), 3, dtype=torch.int64, device=device)
    for block, left in enumerate(_left(test)):
        names = STUDY, "accuracy", operation, digits, block
        rng = stream(*names, device=device.type)
        ids = questions.draw(asked, rng, BATCHES_PER_BLOCK, test.batch)[:left]
        right, malformed = judge(network, layout, ids)
        parts = layout.split(ids)
        place = classes(operation, parts.first, parts.second)
        seen = torch.stack([torch.ones_like(right), ~right, malformed], -1)
        counts.index_add_(0, place, seen.long())
    return counts.cpu()


def _left(test: Accuracy) -> range:
    """Give the questions that are left before each block."""
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
    """Give the number of nines that a share of right answers begins with.

    One fail in a million is six nines, as in the paper; no fail shows no more nines
    than one would.
    """
    return len(str(asked // max(fails, 1))) - 1
