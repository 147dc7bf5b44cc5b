"""Training of the second study's models, and learning curves.  T: tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from mathprobe import gpus
from mathprobe.arith import questions
from mathprobe.arith.tokens import Layout
from mathprobe.data_loader import BATCHES_PER_BLOCK, BlockLoader, number_of_blocks
from mathprobe.errors import InputError
from mathprobe.losses import AnswerTokenLoss
from mathprobe.nets import insertion
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import INSERTION_MODES, ArithModel, Insertion
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith.models import build, score_answers
from mathprobe.train_state import OptimizerConfig, TrainState
from mathprobe.training import Trainer


def trainer(
    spec: ArithModel, device: str, parent: Decoder | None = None
) -> Trainer[Decoder]:
    """Return the trainer of a model.  A model with insertion needs its trained parent.

    Raises InputError if the parent is missing, or given without insertion.
    """
    network, layout = build(spec).to(device), Layout(spec.questions.digits)
    pre_update_hook = _insert_parent(spec, network, parent)
    curve_sets = {
        name: _curve_set(spec, name, device) for name in spec.questions.shares
    }

    def measure(network: Decoder) -> list[dict[str, Any]]:
        return [
            {"test": name, **_curve_point(network, layout, ids)}
            for name, ids in curve_sets.items()
        ]

    schedule = spec.schedule
    train_state = TrainState(
        network,
        block_loader(spec, device),
        schedule,
        AnswerTokenLoss(layout.answer_length),
        OptimizerConfig(
            betas=(schedule.betas[0], schedule.betas[1]),
            weight_decay=schedule.weight_decay,
            grokfast=schedule.grokfast,
        ),
        pre_update_hook,
    )
    tokens = layout.names[-layout.answer_length :]
    energy = partial(gpus.total_energy, device)
    return Trainer({spec.seed: train_state}, spec, measure, energy, tokens)


def block_loader(spec: ArithModel, device: str) -> BlockLoader:
    """Return the training data of a model: ids [BATCHES_PER_BLOCK * batch, T]."""
    blocks = number_of_blocks(spec.schedule.updates)
    return BlockLoader(partial(_block, spec), blocks, device)


def _insert_parent(
    spec: ArithModel, network: Decoder, parent: Decoder | None
) -> Callable[[int], None]:
    """Insert the weights of a parent, if any; return the pre-update hook.

    In the freeze modes, the hook restores the frozen weights.
    """
    settings = spec.insertion
    if settings is None and parent is None:
        return lambda update: None
    if settings is None:
        raise InputError(f"{spec.name} has no insertion, but a parent was given")
    if parent is None:
        raise InputError(f"{spec.name} needs its parent {settings.parent.name}")
    parent = parent.to(next(network.parameters()).device)
    insertion.insert(parent, network, settings.complete)
    return partial(_restore_frozen, settings, parent, network)


def _restore_frozen(
    settings: Insertion, parent: Decoder, network: Decoder, update: int
) -> None:
    _, parts = INSERTION_MODES[settings.mode]
    if parts and update and update % settings.rewrite_every == 0:
        insertion.restore_frozen(parent, network, parts, settings.complete)


def _block(spec: ArithModel, block: int) -> tuple[Tensor]:
    """Draw a block of training data: token ids [BATCHES_PER_BLOCK * batch, T]."""
    data, batch = spec.questions, spec.schedule.batch
    name = "+".join(data.shares)
    rng = rng_for(STUDY, "train", name, data.digits, spec.seed, block)
    return (questions.sample(data, rng, BATCHES_PER_BLOCK, batch),)


def _curve_set(spec: ArithModel, operation: str, device: str) -> Tensor:
    """Draw the questions of the learning curve [curve_questions, T].

    They are the same for all models of the same operation and number of digits.
    """
    data, batch = spec.questions, spec.schedule.batch
    rng = rng_for(STUDY, "curve", operation, data.digits)
    one = questions.single_operation(operation, data.digits, data.enrichment)
    ids = questions.sample(one, rng, -(-spec.curve_questions // batch), batch)
    return ids[: spec.curve_questions].to(device)


def _curve_point(network: Decoder, layout: Layout, ids: Tensor) -> dict[str, float]:
    correct, malformed = score_answers(network, layout, ids)
    return {
        "accuracy": float(correct.double().mean()),
        "malformed": float(malformed.double().mean()),
    }
