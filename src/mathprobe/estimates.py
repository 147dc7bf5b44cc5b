"""What a training takes: operations, parameters, hours, and the time to ask for."""

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

START_MINUTES = 10  # of a job, until it trains, and from there to its end


@cache
def _encoding(side: EncodingSpec) -> Encoding:
    return ENCODINGS[side.encoding](digits=side.digits)


@cache
def _words(side: EncodingSpec) -> int:
    """Count the words of a side, which are many."""
    return len(codec.vocabulary(_encoding(side)))


def _longest(model: Model) -> tuple[int, int]:
    """Return the longest sequences that a model of matrices reads and writes."""
    task, shape = TASKS[model.data.task], (model.data.n, model.data.columns)
    return (
        codec.max_length(_encoding(model.input), *task.input_shape(*shape)),
        codec.max_length(_encoding(model.output), *task.output_shape(*shape)),
    )


def flops_per_example(model: Model | ArithModel) -> int:
    """Count the operations of one training example of a seed."""
    # The last token asks for no other.
    if isinstance(model, ArithModel):
        length = Layout(model.questions.digits).length - 1
        forward = flops.decoder_forward(model.network, length, len(VOCABULARY))
        return (1 + flops.BACKWARD) * forward
    source, target = _longest(model)
    layers = model.encoder, model.decoder
    return flops.seq2seq_training(*layers, source, target - 1, _words(model.output))


def training_flops(model: Model | ArithModel) -> int:
    """Count the operations of a training, all seeds together."""
    return model.seeds * model.schedule.examples * flops_per_example(model)


def parameter_count(model: Model | ArithModel) -> int:
    """Count the parameters of a model, all seeds together."""
    if isinstance(model, ArithModel):
        length = Layout(model.questions.digits).length
        return flops.decoder_parameters(model.network, length, len(VOCABULARY))
    source, target = _longest(model)
    sides = (_words(model.input), source), (_words(model.output), target)
    return model.seeds * flops.seq2seq_parameters(model.encoder, model.decoder, *sides)


class Estimates:
    """Times of a scale's trainings, at the rate that its configuration assumes."""

    def __init__(self, catalog: Catalog, scale: str) -> None:
        """Take the rate and the margin of a scale."""
        self.catalog, self.scale = catalog, scale
        self.train = catalog.compute(scale).train

    def hours(self, model: Model | ArithModel) -> float:
        """Return the hours of a training, all seeds together."""
        return training_flops(model) / self.train.flops_per_second / 3600

    @cached_property
    def longest_hours(self) -> float:
        """Return the hours of the longest training that the first study shows."""
        names = self.catalog.all_models(self.scale)
        return max(self.hours(self.catalog.model(self.scale, **name)) for name in names)

    def runtime(self, model: Model | ArithModel, attempt: int) -> int:
        """Return the minutes to ask for: with a margin, and more at every attempt."""
        margin = self.train.margin
        return START_MINUTES + math.ceil(attempt * margin * 60 * self.hours(model))

    def slurm_nice(self, model: Model | ArithModel) -> str:
        """Return the option that has Slurm start long trainings first.

        Snakemake, which does so by priority, does not tell Slurm.
        """
        return f"--nice={max(0, round(self.longest_hours - self.hours(model)))}"
