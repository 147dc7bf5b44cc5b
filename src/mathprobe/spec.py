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

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]
DistributionSettings = dict[
    str, dict[str, PositiveFloat | str]
]  # what is changed of a distribution, by its name


def doc(text: str) -> Meta:
    """Describe a setting, for the list of all settings."""
    return Meta(description=text)


def check_unique(values: Sequence[Any]) -> None:
    """Raise ValueError for a list that has a value twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{values} has a value twice")


class MatrixSpec(Spec, frozen=True):
    """Matrices of a distribution or mixture at a size, and the question asked about them."""

    task: str
    distribution: str
    n: PositiveInt  # rows
    columns: PositiveInt
    distribution_settings: DistributionSettings


class EncodingSpec(Spec, frozen=True):
    """How the numbers of one side are written as tokens."""

    encoding: Annotated[str, doc("`p10`, `p1000`, `b1999` or `fp15`")]
    digits: Annotated[PositiveInt, doc("significant digits")]


class LayerConfig(Spec, frozen=True):
    """Layers of one side of a network."""

    layers: Annotated[PositiveInt, doc("number of layers")]
    width: Annotated[PositiveInt, doc("of a layer; a multiple of the heads")]
    heads: Annotated[PositiveInt, doc("of attention")]

    def __post_init__(self) -> None:
        """Check that the heads share the width."""
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of {self.heads} heads"
            )


class Schedule(Spec, frozen=True):
    """How a model is trained: Charton 2022, appendix."""

    examples: Annotated[PositiveInt, doc("of the training")]
    batch: Annotated[PositiveInt, doc("examples of an update")]
    learning_rate: Annotated[PositiveFloat, doc("at the end of the warm-up")]
    final_learning_rate: Annotated[PositiveFloat, doc("at the end of the cosine")]
    warmup_updates: Annotated[NonNegativeInt, doc("in which the rate grows from 1e-7")]
    cosine_updates: Annotated[
        PositiveInt | None, doc("half a period; null: to the end")
    ]
    stop_accuracy: Annotated[
        Fraction | None, doc("on the training distribution, ends it early")
    ]
    clip_norm: Annotated[PositiveFloat, doc("of the gradient")]
    curve_every: Annotated[PositiveInt, doc("examples between points of the curve")]

    @property
    def updates(self) -> int:
        """Return the number of updates; the last batch is a whole one."""
        return math.ceil(self.examples / self.batch)

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def learning_rate_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        start, peak, floor = 1e-7, self.learning_rate, self.final_learning_rate
        if update < self.warmup_updates:
            return start + update * (peak - start) / self.warmup_updates
        period = self.cosine_updates or max(1, self.updates - self.warmup_updates)
        along = math.pi * min(1.0, (update - self.warmup_updates) / period)
        return floor + 0.5 * (peak - floor) * (1.0 + math.cos(along))


class CurveSettings(Spec, frozen=True):
    """Distributions that a learning curve is measured on, and how many examples of each."""

    tests: Annotated[list[str], Meta(min_length=1), doc("distributions that it shows")]
    examples: Annotated[
        PositiveInt, doc("of each distribution, at a point of the curve")
    ]
    tolerance: Annotated[Fraction, doc("of the relative L1 error")]

    def __post_init__(self) -> None:
        """Check that every distribution is there once."""
        check_unique(self.tests)


class Curve(CurveSettings, frozen=True):
    """A learning curve with the settings of its distributions."""

    distribution_settings: DistributionSettings


class Recipe(Spec, frozen=True):
    """A network and its training, for any task and distribution."""

    input: EncodingSpec
    output: EncodingSpec
    encoder: LayerConfig
    decoder: LayerConfig
    query: Annotated[Literal["input", "attended"], doc("of the cross-attention")]
    precision: Annotated[
        Literal["float32", "bfloat16"], doc("of matrix products; weights are float32")
    ]
    schedule: Schedule
    curve: CurveSettings
    seeds: Annotated[PositiveInt, doc("trained, each with own weights and data")]


class Model(Recipe, frozen=True, kw_only=True):
    """A network and its training on matrices of a distribution."""

    data: MatrixSpec
    curve: Curve

    def should_stop(self, point: list[dict[str, Any]]) -> bool:
        """Return whether all seeds are accurate enough at a point of their curves."""
        goal = self.schedule.stop_accuracy
        home = [row for row in point if row["test"] == self.data.distribution]
        return bool(goal and home) and all(row["accuracy"] >= goal for row in home)


class TestSet(Spec, frozen=True):
    """A test set, the same for every model."""

    __test__ = False  # not a test class, whatever its name begins with

    data: MatrixSpec
    examples: PositiveInt


class ConditionNumberSettings(Spec, frozen=True):
    """A sample of matrices of every distribution whose condition numbers are shown."""

    n: Annotated[PositiveInt, doc("size of the matrices")]
    matrices: Annotated[int, Meta(ge=100), doc("of each distribution")]


class ConditionNumbers(ConditionNumberSettings, frozen=True):
    """Such a sample with the settings of its distributions."""

    distribution_settings: DistributionSettings


class EncodedTestSet(Spec, frozen=True):
    """A test set as the tokens of two encodings show it."""

    data: MatrixSpec
    examples: PositiveInt
    input: EncodingSpec
    output: EncodingSpec


class OracleTests(Spec, frozen=True):
    """Tests on which exact answers are scored; no network takes part."""

    tests: list[EncodedTestSet]
    tolerances: list[Fraction]


class Evidence(Spec, frozen=True):
    """Samples, without a network, that the paper's statements are held against."""

    condition_numbers: ConditionNumbers
    inverse: EncodedTestSet  # of section 3
    epoch: PositiveInt  # examples between two measurements


class Enrichment(Spec, frozen=True):
    """How questions are made harder: Quirke, Neo, Barez 2024, and their code."""

    batches: Annotated[Probability, doc("share of the batches that is made harder")]
    nines: Annotated[
        Probability, doc("share of an addition's columns that then sum to 9")
    ]
    equal: Annotated[
        Probability, doc("share of a subtraction's then with answers of 0")
    ]


class Questions(Spec, frozen=True):
    """Random questions of arithmetic."""

    digits: PositiveInt
    shares: dict[str, Probability]  # by operation
    mixing: str  # "batches": each has one operation; "rows": each has all
    enrichment: Enrichment


class DecoderSettings(Spec, frozen=True, kw_only=True):
    """Widths of a decoder; hidden layers are four times as wide."""

    width: Annotated[PositiveInt, doc("of a layer; hidden layers are 4 times as wide")]
    head_width: Annotated[PositiveInt, doc("of each head, whatever the width")]


class DecoderConfig(DecoderSettings, frozen=True, kw_only=True):
    """Layers of a decoder; its heads have a width of their own."""

    layers: PositiveInt
    heads: PositiveInt


class GrokFast(Spec, frozen=True):
    """Gradients are amplified by the mean of past ones: Lee and others 2024."""

    decay: Annotated[Fraction, doc("of the mean of past gradients, at each update")]
    strength: Annotated[float, Meta(ge=0), doc("of that mean, beside the gradient")]
    keep_average: Annotated[bool, doc("false: the mean is forgotten, as in the code")]


class DecoderScheduleSettings(Spec, frozen=True, kw_only=True):
    """How a decoder is trained, whatever its number of updates."""

    batch: Annotated[PositiveInt, doc("questions of an update")]
    learning_rate: Annotated[PositiveFloat, doc("at the end of the warm-up")]
    warmup: Annotated[Fraction, doc("share of the updates")]
    start_factor: Annotated[Probability, doc("of the warm-up, as a share of the rate")]
    betas: Annotated[list[Fraction], Meta(min_length=2, max_length=2), doc("of AdamW")]
    weight_decay: Annotated[float, Meta(ge=0), doc("of AdamW, of every parameter")]
    curve_every: Annotated[PositiveInt, doc("questions between points of the curve")]


class DecoderSchedule(DecoderScheduleSettings, frozen=True, kw_only=True):
    """How a decoder is trained: Quirke, Neo, Barez 2024, by a number of updates."""

    updates: PositiveInt
    grokfast: GrokFast | None

    @property
    def examples(self) -> int:
        """Return the number of questions of the training."""
        return self.updates * self.batch

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def learning_rate_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        warmup = int(self.warmup * self.updates)
        if update < warmup:
            first = self.start_factor
            return self.learning_rate * (first + (1.0 - first) * update / warmup)
        along = (update - warmup) / (self.updates - warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * along))


InsertionMode = Literal[1, 2, 3]
INSERTION_MODES = {  # of a parent's weights, by mode: the paper's name, what is held to
    1: ("initialize only", ()),
    2: ("freeze attention", ("heads",)),
    3: ("freeze all", ("heads", "mlps")),
}


class InsertionSettings(Spec, frozen=True, kw_only=True):
    """How a parent's weights come into a model."""

    complete: Annotated[bool, doc("false: without what the code leaves out")]
    rewrite_every: Annotated[
        PositiveInt, doc("updates until modes 2 and 3 write them again")
    ]


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
    curve_questions: PositiveInt  # of each operation, for a point of the learning curve
    seed: NonNegativeInt
    insertion: Insertion | None

    @property
    def seeds(self) -> int:
        """Return the number of seeds that are trained: the one of the name."""
        return 1

    def should_stop(self, point: list[dict[str, Any]]) -> bool:
        """Return that a training never ends early: its updates are stated."""
        return False


class AccuracyTestSettings(Spec, frozen=True):
    """How many questions tell how often a model is wrong."""

    questions: Annotated[PositiveInt, doc("of each operation, for `accuracy.csv`")]


class AccuracyTest(AccuracyTestSettings, frozen=True):
    """Questions that tell how often a model is wrong."""

    batch: PositiveInt  # enrichment is of a whole batch
    enrichment: Enrichment


class CircuitSearch(Spec, frozen=True):
    """How thoroughly a model of arithmetic is taken apart."""

    questions_per_class: Annotated[
        PositiveInt, doc("questions of every class, for ablation")
    ]
    ablation: Annotated[
        Literal["mean", "zero", "resample"], doc("what replaces a node's output")
    ]
    first_layer_means: Annotated[
        bool, doc("true: that of the first layer, as in the code")
    ]
    min_attention: Annotated[
        Probability, doc("least share of a head's attention that is noted")
    ]
    pairs: Annotated[int, Meta(ge=8), doc("of questions, by sub-task and column")]
    questions_per_case: Annotated[
        int, Meta(ge=2), doc("questions for principal components")
    ]
    random_sets: Annotated[PositiveInt, doc("of nodes, that a map is held against")]
