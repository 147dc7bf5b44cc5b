"""Estimated cost of trainings: FLOPs, parameters, hours and requested runtime."""

from __future__ import annotations

import math
from functools import cache, cached_property

from mathprobe import flops
from mathprobe.arith.tokens import VOCABULARY, Layout
from mathprobe.catalog import Catalog
from mathprobe.linalg import codec
from mathprobe.linalg.encodings import ENCODINGS, Encoding
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import ArithModel, EncodingSpec, Model

START_MINUTES = 10  # for the start and the end of a job, in addition to the training


@cache
def _encoding(spec: EncodingSpec) -> Encoding:
    return ENCODINGS[spec.encoding](digits=spec.digits)


@cache
def _vocab_size(spec: EncodingSpec) -> int:
    return len(codec.vocabulary(_encoding(spec)))


def _max_lengths(model: Model) -> tuple[int, int]:
    """Return the maximum lengths of the source and the target of a model."""
    task, shape = TASKS[model.data.task], (model.data.n, model.data.columns)
    return (
        codec.max_length(_encoding(model.input), *task.input_shape(*shape)),
        codec.max_length(_encoding(model.output), *task.output_shape(*shape)),
    )


def flops_per_example(model: Model | ArithModel) -> int:
    """Return the FLOPs of training one seed on one example."""
    # The last token is predicted, but is not an input.
    if isinstance(model, ArithModel):
        layout = Layout(model.questions.digits)
        forward = flops.decoder_forward(
            model.network, layout.length - 1, layout.answer_length, len(VOCABULARY)
        )
        return (1 + flops.BACKWARD) * forward
    source, target = _max_lengths(model)
    layers = model.encoder, model.decoder
    return flops.seq2seq_training(
        *layers, source, target - 1, _vocab_size(model.output)
    )


def training_flops(model: Model | ArithModel) -> int:
    """Return the FLOPs of a training, for all seeds together."""
    return model.seeds * model.schedule.examples * flops_per_example(model)


def total_flops(model: Model | ArithModel, tested: int) -> int:
    """Return the FLOPs of training, of learning curves and of tests, for all seeds.

    `tested` is the number of test examples.  Each seed is tested on all of them.  An
    example in a test costs a forward pass.
    """
    schedule = model.schedule
    points = math.ceil(schedule.updates / schedule.updates_per_point)
    if isinstance(model, ArithModel):
        of_point = len(model.questions.shares) * model.curve_questions
    else:
        of_point = len(model.curve.tests) * model.curve.examples
    forward = flops_per_example(model) // (1 + flops.BACKWARD)
    return training_flops(model) + model.seeds * forward * (tested + points * of_point)


def parameter_count(model: Model | ArithModel) -> int:
    """Return the number of parameters of a model, for all seeds together."""
    if isinstance(model, ArithModel):
        length = Layout(model.questions.digits).length
        return flops.decoder_parameters(model.network, length, len(VOCABULARY))
    source, target = _max_lengths(model)
    return model.seeds * flops.seq2seq_parameters(
        model.encoder,
        model.decoder,
        (_vocab_size(model.input), source),
        (_vocab_size(model.output), target),
    )


class Estimates:
    """Estimated times of a scale's trainings, at the FLOP/s of its configuration."""

    def __init__(self, catalog: Catalog, scale: str) -> None:
        """Read the FLOP/s and the safety margin of a scale."""
        self.catalog, self.scale = catalog, scale
        self.train = catalog.compute(scale).train

    def hours(self, model: Model | ArithModel) -> float:
        """Return the hours of a training, for all seeds together."""
        return training_flops(model) / self.train.flops_per_second / 3600

    @cached_property
    def longest_hours(self) -> float:
        """Return the hours of the longest training of the `linalg` study."""
        names = self.catalog.all_models(self.scale)
        return max(self.hours(self.catalog.model(self.scale, **name)) for name in names)

    def runtime(self, model: Model | ArithModel, attempt: int) -> int:
        """Return the runtime to request for a job, in minutes.

        It includes the safety margin of the configuration and grows with each attempt.
        """
        margin = self.train.margin
        return START_MINUTES + math.ceil(attempt * margin * 60 * self.hours(model))

    def slurm_nice(self, model: Model | ArithModel) -> str:
        """Return the sbatch option that makes Slurm start long trainings first.

        Snakemake does not pass the priorities of its jobs to Slurm.
        """
        return f"--nice={max(0, round(self.longest_hours - self.hours(model)))}"
