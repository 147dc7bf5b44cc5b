"""What decides a result, frozen: from configuration to command to the file's header.

A specification holds nothing that only decides how fast or where a result is made.
Every field is declared once: the configuration has the same structs, and those whose
names end in `Settings` are the part of a specification that a person sets.
This module imports no torch, so that the Snakefile can read it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from mathprobe.structs import Spec

Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Chance = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0)]
LawSettings = dict[str, dict[str, Rate | str]]  # what is changed of a law, by its name


def about(text: str) -> Meta:
    """Describe a setting, for the list of all settings."""
    return Meta(description=text)


def check_unique(values: Sequence[Any]) -> None:
    """Raise ValueError for a list that has a value twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{values} has a value twice")


class MatrixSpec(Spec, frozen=True):
    """Matrices of a law or mixture at a size, and the question asked about them."""

    task: str
    law: str
    n: Positive  # rows
    columns: Positive
    law_settings: LawSettings


class EncodingSpec(Spec, frozen=True):
    """How the numbers of one side are written as tokens."""

    encoding: Annotated[str, about("`p10`, `p1000`, `b1999` or `fp15`")]
    digits: Annotated[Positive, about("significant digits")]


class LayerConfig(Spec, frozen=True):
    """Layers of one side of a network."""

    layers: Annotated[Positive, about("number of layers")]
    width: Annotated[Positive, about("of a layer; a multiple of the heads")]
    heads: Annotated[Positive, about("of attention")]

    def __post_init__(self) -> None:
        """Check that the heads share the width."""
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of {self.heads} heads"
            )


class Schedule(Spec, frozen=True):
    """How a model is trained: Charton 2022, appendix."""

    examples: Annotated[Positive, about("of the training")]
    batch: Annotated[Positive, about("examples of an update")]
    learning_rate: Annotated[Rate, about("at the end of the warm-up")]
    final_learning_rate: Annotated[Rate, about("at the end of the cosine")]
    warmup_updates: Annotated[Count, about("in which the rate grows from 1e-7")]
    cosine_updates: Annotated[Positive | None, about("half a period; null: to the end")]
    stop_accuracy: Annotated[Share | None, about("on the training law, ends it early")]
    clip_norm: Annotated[Rate, about("of the gradient")]
    curve_every: Annotated[Positive, about("examples between points of the curve")]

    @property
    def updates(self) -> int:
        """Return the number of updates; the last batch is a whole one."""
        return math.ceil(self.examples / self.batch)

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def rate(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        start, peak, floor = 1e-7, self.learning_rate, self.final_learning_rate
        if update < self.warmup_updates:
            return start + update * (peak - start) / self.warmup_updates
        period = self.cosine_updates or max(1, self.updates - self.warmup_updates)
        along = math.pi * min(1.0, (update - self.warmup_updates) / period)
        return floor + 0.5 * (peak - floor) * (1.0 + math.cos(along))


class CurveSettings(Spec, frozen=True):
    """Laws that a learning curve is measured on, and how many examples of each."""

    tests: Annotated[list[str], Meta(min_length=1), about("laws that it shows")]
    examples: Annotated[Positive, about("of each law, at a point of the curve")]
    tolerance: Annotated[Share, about("of the relative L1 error")]

    def __post_init__(self) -> None:
        """Check that every law is there once."""
        check_unique(self.tests)


class Curve(CurveSettings, frozen=True):
    """A learning curve with the settings of its laws."""

    law_settings: LawSettings


class Recipe(Spec, frozen=True):
    """A network and its training, for any task and law."""

    input: EncodingSpec
    output: EncodingSpec
    encoder: LayerConfig
    decoder: LayerConfig
    query: Annotated[Literal["input", "attended"], about("of the cross-attention")]
    precision: Annotated[
        Literal["float32", "bfloat16"], about("of matrix products; weights are float32")
    ]
    schedule: Schedule
    curve: CurveSettings
    seeds: Annotated[Positive, about("trained, each with own weights and data")]


class Model(Recipe, frozen=True, kw_only=True):
    """A network and its training on matrices of a law."""

    data: MatrixSpec
    curve: Curve

    def is_reached(self, point: list[dict[str, Any]]) -> bool:
        """Return whether all seeds are accurate enough at a point of their curves."""
        goal = self.schedule.stop_accuracy
        home = [row for row in point if row["test"] == self.data.law]
        return bool(goal and home) and all(row["accuracy"] >= goal for row in home)


class TestSet(Spec, frozen=True):
    """A test set, the same for every model."""

    __test__ = False  # not a test class, whatever its name begins with

    data: MatrixSpec
    examples: Positive


class ConditionSettings(Spec, frozen=True):
    """A sample of matrices of every law whose condition numbers are shown."""

    n: Annotated[Positive, about("size of the matrices")]
    matrices: Annotated[int, Meta(ge=100), about("of each law")]


class Conditions(ConditionSettings, frozen=True):
    """Such a sample with the settings of its laws."""

    law_settings: LawSettings


class EncodedTest(Spec, frozen=True):
    """A test set as the tokens of two encodings show it."""

    data: MatrixSpec
    examples: Positive
    input: EncodingSpec
    output: EncodingSpec


class Ceilings(Spec, frozen=True):
    """Tests on which exact answers are scored; no network takes part."""

    questions: list[EncodedTest]
    tolerances: list[Share]


class Evidence(Spec, frozen=True):
    """Samples, without a network, that the paper's statements are held against."""

    conditions: Conditions
    inverse: EncodedTest  # of section 3
    epoch: Positive  # examples between two measurements


class Enrichment(Spec, frozen=True):
    """How questions are made harder: Quirke, Neo, Barez 2024, and their code."""

    batches: Annotated[Chance, about("share of the batches that is made harder")]
    nines: Annotated[Chance, about("share of an addition's columns that then sum to 9")]
    equal: Annotated[Chance, about("share of a subtraction's then with answers of 0")]


class Questions(Spec, frozen=True):
    """Random questions of arithmetic."""

    digits: Positive
    shares: dict[str, Chance]  # by operation
    mixing: str  # "batches": each has one operation; "rows": each has all
    enrichment: Enrichment


class DecoderSettings(Spec, frozen=True, kw_only=True):
    """Widths of a decoder; hidden layers are four times as wide."""

    width: Annotated[Positive, about("of a layer; hidden layers are 4 times as wide")]
    head_width: Annotated[Positive, about("of each head, whatever the width")]


class DecoderConfig(DecoderSettings, frozen=True, kw_only=True):
    """Layers of a decoder; its heads have a width of their own."""

    layers: Positive
    heads: Positive


class GrokFast(Spec, frozen=True):
    """Gradients are amplified by the mean of past ones: Lee and others 2024."""

    decay: Annotated[Share, about("of the mean of past gradients, at each update")]
    strength: Annotated[float, Meta(ge=0), about("of that mean, beside the gradient")]
    keeps: Annotated[bool, about("false: the mean is forgotten, as in the code")]


class DecoderScheduleSettings(Spec, frozen=True, kw_only=True):
    """How a decoder is trained, whatever its number of updates."""

    batch: Annotated[Positive, about("questions of an update")]
    learning_rate: Annotated[Rate, about("at the end of the warm-up")]
    warmup: Annotated[Share, about("share of the updates")]
    first_rate: Annotated[Chance, about("of the warm-up, as a share of the rate")]
    betas: Annotated[list[Share], Meta(min_length=2, max_length=2), about("of AdamW")]
    weight_decay: Annotated[float, Meta(ge=0), about("of AdamW, of every parameter")]
    curve_every: Annotated[Positive, about("questions between points of the curve")]


class DecoderSchedule(DecoderScheduleSettings, frozen=True, kw_only=True):
    """How a decoder is trained: Quirke, Neo, Barez 2024, by a number of updates."""

    updates: Positive
    grokfast: GrokFast | None

    @property
    def examples(self) -> int:
        """Return the number of questions of the training."""
        return self.updates * self.batch

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def rate(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        warmup = int(self.warmup * self.updates)
        if update < warmup:
            first = self.first_rate
            return self.learning_rate * (first + (1.0 - first) * update / warmup)
        along = (update - warmup) / (self.updates - warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * along))


InsertionMode = Literal[1, 2, 3]
INSERTIONS = {  # of a parent's weights, by mode: the paper's name, what is held to
    1: ("initialize only", ()),
    2: ("freeze attention", ("heads",)),
    3: ("freeze all", ("heads", "mlps")),
}


class InsertionSettings(Spec, frozen=True, kw_only=True):
    """How a parent's weights come into a model."""

    complete: Annotated[bool, about("false: without what the code leaves out")]
    every: Annotated[Positive, about("updates until modes 2 and 3 write them again")]


class Insertion(InsertionSettings, frozen=True, kw_only=True):
    """A model's first weights are those of a trained one, as far as that goes."""

    parent: ArithModel
    mode: InsertionMode


class ArithModel(Spec, frozen=True):
    """A decoder that calculates, and its training."""

    name: str
    questions: Questions
    network: DecoderConfig
    schedule: DecoderSchedule
    curve_questions: Positive  # of each operation, for a point of the learning curve
    seed: Count
    insertion: Insertion | None

    @property
    def seeds(self) -> int:
        """Return the number of seeds that are trained: the one of the name."""
        return 1

    def is_reached(self, point: list[dict[str, Any]]) -> bool:
        """Return that a training never ends early: its updates are stated."""
        return False


class AccuracySettings(Spec, frozen=True):
    """How many questions tell how often a model is wrong."""

    questions: Annotated[Positive, about("of each operation, for `accuracy.csv`")]


class Accuracy(AccuracySettings, frozen=True):
    """Questions that tell how often a model is wrong."""

    batch: Positive  # enrichment is of a whole batch
    enrichment: Enrichment


class CircuitSearch(Spec, frozen=True):
    """How thoroughly a model of arithmetic is taken apart."""

    per_class: Annotated[Positive, about("questions of every class, for ablation")]
    ablation: Annotated[
        Literal["mean", "zero", "resample"], about("what replaces a node's output")
    ]
    first_layer: Annotated[bool, about("true: that of the first layer, as in the code")]
    attends: Annotated[Chance, about("least share of a head's attention that is noted")]
    pairs: Annotated[int, Meta(ge=8), about("of questions, by sub-task and column")]
    per_case: Annotated[int, Meta(ge=2), about("questions for principal components")]
    random_sets: Annotated[Positive, about("of nodes, that a map is held against")]
