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
from mathprobe.losses import AnswerTokenLoss
from mathprobe.nets import insertion
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import INSERTION_MODES, ArithModel, Insertion
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith.models import build, score_answers
from mathprobe.train_state import BATCHES_PER_BLOCK, OptimizerConfig, TrainState
from mathprobe.training import Trainer


def trainer(
    spec: ArithModel, device: str, parent: Decoder | None = None
) -> Trainer[Decoder]:
    """Prepare a training; a model that is inserted into needs its trained parent."""
    network, layout = build(spec).to(device), Layout(spec.questions.digits)
    pre_update_hook = _inserted(spec, network, parent)
    shown = {name: _curve_set(spec, name, device) for name in spec.questions.shares}

    def measure(network: Decoder) -> list[dict[str, Any]]:
        return [
            {"test": name, **_curve_point(network, layout, ids)}
            for name, ids in shown.items()
        ]

    schedule = spec.schedule
    train_state = TrainState(
        network,
        partial(_block, spec, device),
        schedule,
        AnswerTokenLoss(layout.answer_length),
        OptimizerConfig(
            betas=(schedule.betas[0], schedule.betas[1]),
            weight_decay=schedule.weight_decay,
            grokfast=schedule.grokfast,
        ),
        pre_update_hook,
    )
    train_states, parts = (
        {spec.seed: train_state},
        layout.names[-layout.answer_length :],
    )
    return Trainer(
        train_states, spec, measure, partial(gpus.total_energy, device), parts
    )


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
    _, parts = INSERTION_MODES[wanted.mode]
    if parts and update and update % wanted.rewrite_every == 0:
        insertion.restore_frozen(parent, network, parts, wanted.complete)


def _block(spec: ArithModel, device: str, block: int) -> tuple[Tensor]:
    """Draw a block of the training data: ids [N, T]."""
    asked = spec.questions
    name = "+".join(asked.shares)
    rng = rng_for(STUDY, "train", name, asked.digits, spec.seed, block, device=device)
    return (questions.sample(asked, rng, BATCHES_PER_BLOCK, spec.schedule.batch),)


def _curve_set(spec: ArithModel, operation: str, device: str) -> Tensor:
    """Draw what a learning curve is measured on: the same for all of these digits."""
    asked, batch = spec.questions, spec.schedule.batch
    rng = rng_for(STUDY, "curve", operation, asked.digits)
    one = questions.single_operation(operation, asked.digits, asked.enrichment)
    ids = questions.sample(one, rng, -(-spec.curve_questions // batch), batch)
    return ids[: spec.curve_questions].to(device)


def _curve_point(network: Decoder, layout: Layout, ids: Tensor) -> dict[str, float]:
    right, malformed = score_answers(network, layout, ids)
    return {
        "accuracy": float(right.double().mean()),
        "malformed": float(malformed.double().mean()),
    }
