"""Training and learning curves of the study `linalg`.

N: examples, S and T: input and output tokens, [r, c]: matrix.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import structs
from torch import Tensor

from mathprobe import gpus
from mathprobe.data_loader import BATCHES_PER_BLOCK, BlockLoader, number_of_blocks
from mathprobe.linalg.codec import PADDING
from mathprobe.linalg.scores import is_below, relative_error
from mathprobe.losses import Seq2SeqLoss
from mathprobe.nets.seq2seq import Seq2Seq
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw, matrix_rng
from mathprobe.studies.linalg.models import build_all, predict
from mathprobe.train_state import OptimizerConfig, TrainState
from mathprobe.training import Trainer


def trainer(spec: Model, device: str) -> Trainer[Seq2Seq]:
    """Return a trainer of all seeds of a model.

    The data and the initial weights depend only on the specification.
    """
    validation = validation_sets(spec)

    def evaluate(network: Seq2Seq) -> list[dict[str, Any]]:
        return [
            {"test": distribution, **_evaluate(spec, network, *examples)}
            for distribution, examples in validation.items()
        ]

    train_states = {
        seed: TrainState(
            network.to(device),
            block_loader(spec, seed, device),
            spec.schedule,
            Seq2SeqLoss(PADDING, spec.precision),
            OptimizerConfig(spec.schedule.clip_norm),
        )
        for seed, network in build_all(spec).items()
    }
    return Trainer(train_states, spec, evaluate, partial(gpus.total_energy, device))


def block_loader(spec: Model, seed: int, device: str) -> BlockLoader:
    """Return the training data of a seed: input ids [N, S] and output ids [N, T]."""
    blocks = number_of_blocks(spec.schedule.updates)
    return BlockLoader(partial(_block, spec, seed), blocks, device)


def validation_sets(spec: Model) -> dict[str, tuple[Tensor, Tensor]]:
    """Return inputs and answers [N, r, c] for the learning curve, by distribution.

    All models of a task and size share them.  They differ from the test sets, so that
    learning curves can guide decisions without using the test sets.
    """
    validation = {}
    for distribution in spec.curve.tests:
        settings = spec.curve.distribution_settings
        data = structs.replace(
            spec.data, distribution=distribution, distribution_settings=settings
        )
        examples = draw(data, matrix_rng("curve", data), spec.curve.examples)
        validation[distribution] = examples.matrix, examples.answer
    return validation


def _block(spec: Model, seed: int, block: int) -> tuple[Tensor, Tensor]:
    """Draw a block of training data for a seed: input ids [N, S], output ids [N, T]."""
    rng = matrix_rng("train", spec.data, seed, block)
    matrix, answer, _ = draw(spec.data, rng, BATCHES_PER_BLOCK * spec.schedule.batch)
    codecs = Codecs(spec)
    label = codecs.label(matrix, answer)
    return codecs.source.encode(matrix), codecs.target.encode(label)


def _evaluate(
    spec: Model, network: Seq2Seq, matrix: Tensor, answer: Tensor
) -> dict[str, Any]:
    """Return the accuracy of a network and its proportion of malformed predictions."""
    codecs = Codecs(spec)
    prediction, ok = predict(codecs, network, matrix)
    rounded = codecs.round_trip(matrix, answer)
    verdicts = spec.zero_answers, spec.exact_answers
    error = relative_error(spec.data.task, *rounded, prediction, *verdicts)
    return {
        "accuracy": float(is_below(error, spec.curve.tolerance).double().mean()),
        "malformed": float((~ok).double().mean()),
    }
