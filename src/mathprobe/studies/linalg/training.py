"""Trainings of the first study, and their curves.  N: examples, S, T: tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import structs
from torch import Tensor

from mathprobe import gpus
from mathprobe.linalg.codec import PADDING
from mathprobe.linalg.scores import relative_error
from mathprobe.losses import Seq2SeqLoss
from mathprobe.nets.seq2seq import Seq2Seq
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw, matrix_rng
from mathprobe.studies.linalg.models import build_all, predict
from mathprobe.train_state import BATCHES_PER_BLOCK, OptimizerConfig, TrainState
from mathprobe.training import Trainer


def trainer(spec: Model, device: str) -> Trainer[Seq2Seq]:
    """Prepare a training; its data come from its specification alone."""
    shown = validation_sets(spec)

    def measure(network: Seq2Seq) -> list[dict[str, Any]]:
        return [
            {"test": distribution, **_curve_point(spec, network, *test)}
            for distribution, test in shown.items()
        ]

    train_states = {
        number: TrainState(
            network.to(device),
            partial(_block, spec, device, number),
            spec.schedule,
            Seq2SeqLoss(PADDING, spec.precision),
            OptimizerConfig(spec.schedule.clip_norm),
        )
        for number, network in build_all(spec).items()
    }
    return Trainer(train_states, spec, measure, partial(gpus.total_energy, device))


def validation_sets(spec: Model) -> dict[str, tuple[Tensor, Tensor]]:
    """Draw what a learning curve is measured on: the same for every model of a task.

    These are not the test sets, so a curve may be looked at without touching them.
    """
    shown = {}
    for distribution in spec.curve.tests:
        settings = spec.curve.distribution_settings
        data = structs.replace(
            spec.data, distribution=distribution, distribution_settings=settings
        )
        examples = draw(data, matrix_rng("curve", data), spec.curve.examples)
        shown[distribution] = examples.matrix, examples.answer
    return shown


def _block(spec: Model, device: str, number: int, block: int) -> tuple[Tensor, Tensor]:
    """Draw a block of the training data of a seed: ids [N, S], [N, T]."""
    rng = matrix_rng("train", spec.data, number, block, device=device)
    matrix, answer, _ = draw(spec.data, rng, BATCHES_PER_BLOCK * spec.schedule.batch)
    codecs = Codecs(spec)
    return codecs.source.encode(matrix), codecs.target.encode(answer)


def _curve_point(
    spec: Model, network: Seq2Seq, matrix: Tensor, answer: Tensor
) -> dict[str, Any]:
    codecs = Codecs(spec)
    prediction, ok = predict(codecs, network, matrix)
    shown = codecs.round_trip(matrix, answer)
    error = relative_error(spec.data.task, *shown, prediction)
    return {
        "accuracy": float((error < spec.curve.tolerance).double().mean()),
        "malformed": float((~ok).double().mean()),
    }
