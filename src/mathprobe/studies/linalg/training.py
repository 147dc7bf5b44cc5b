"""Trainings of the first study, and their curves.  N: examples, S, T: tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import structs
from torch import Tensor

from mathprobe import gpus
from mathprobe.learner import BATCHES_PER_BLOCK, Descent, Learner
from mathprobe.linalg.codec import PADDING
from mathprobe.linalg.scores import relative_error
from mathprobe.nets.seq2seq import Seq2Seq
from mathprobe.objectives import Translation
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw, rng_for
from mathprobe.studies.linalg.models import networks, predict
from mathprobe.training import Trainer


def trainer(spec: Model, device: str) -> Trainer[Seq2Seq]:
    """Prepare a training; its data come from its specification alone."""
    shown = curve_sets(spec)

    def measure(network: Seq2Seq) -> list[dict[str, Any]]:
        return [
            {"test": law, **_curve_point(spec, network, *test)}
            for law, test in shown.items()
        ]

    learners = {
        number: Learner(
            network.to(device),
            partial(_block, spec, device, number),
            spec.schedule,
            Translation(PADDING, spec.precision),
            Descent(spec.schedule.clip_norm),
        )
        for number, network in networks(spec).items()
    }
    return Trainer(learners, spec, measure, partial(gpus.joules, device))


def curve_sets(spec: Model) -> dict[str, tuple[Tensor, Tensor]]:
    """Draw what a learning curve is measured on: the same for every model of a task.

    These are not the test sets, so a curve may be looked at without touching them.
    """
    shown = {}
    for law in spec.curve.tests:
        settings = spec.curve.law_settings
        data = structs.replace(spec.data, law=law, law_settings=settings)
        examples = draw(data, rng_for("curve", data), spec.curve.examples)
        shown[law] = examples.matrix, examples.answer
    return shown


def _block(spec: Model, device: str, number: int, block: int) -> tuple[Tensor, Tensor]:
    """Draw a block of the training data of a seed: ids [N, S], [N, T]."""
    rng = rng_for("train", spec.data, number, block, device=device)
    matrix, answer, _ = draw(spec.data, rng, BATCHES_PER_BLOCK * spec.schedule.batch)
    codecs = Codecs(spec)
    return codecs.source.encode(matrix), codecs.target.encode(answer)


def _curve_point(
    spec: Model, network: Seq2Seq, matrix: Tensor, answer: Tensor
) -> dict[str, Any]:
    codecs = Codecs(spec)
    prediction, ok = predict(codecs, network, matrix)
    shown = codecs.rounded(matrix, answer)
    error = relative_error(spec.data.task, *shown, prediction)
    return {
        "accuracy": float((error < spec.curve.tolerance).double().mean()),
        "malformed": float((~ok).double().mean()),
    }
