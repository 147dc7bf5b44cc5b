"""Trainings of the second study, and their learning curves.  B: batch, T: tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from mathprobe import gpus
from mathprobe.arith import questions
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.learner import BATCHES_PER_BLOCK, Descent, Learner
from mathprobe.nets import insertion
from mathprobe.nets.decoder import Decoder
from mathprobe.objectives import Answers
from mathprobe.seeds import stream
from mathprobe.spec import INSERTIONS, ArithModel, Insertion
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith.models import build, judge
from mathprobe.training import Trainer


def trainer(
    spec: ArithModel, device: str, parent: Decoder | None = None
) -> Trainer[Decoder]:
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
            betas=(schedule.betas[0], schedule.betas[1]),
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
    """Write a parent's weights; return what is to be done before each update."""
    wanted = spec.insertion
    if wanted is None and parent is None:
        return lambda update: None
    if wanted is None or parent is None:
        need = f"needs {wanted.parent.name}" if wanted else "has no parent"
        raise InputError(f"{spec.name} {need}")
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


def _curve_set(spec: ArithModel, operation: str, device: str) -> Tensor:
    """Draw what a learning curve is measured on: the same for all of these digits."""
    asked, batch = spec.questions, spec.schedule.batch
    rng = stream(STUDY, "curve", operation, asked.digits)
    one = questions.of_one(operation, asked.digits, asked.enrichment)
    ids = questions.draw(one, rng, -(-spec.curve_questions // batch), batch)
    return ids[: spec.curve_questions].to(device)


def _curve_point(network: Decoder, layout: Layout, ids: Tensor) -> dict[str, float]:
    right, malformed = judge(network, layout, ids)
    return {
        "accuracy": float(right.double().mean()),
        "malformed": float(malformed.double().mean()),
    }
