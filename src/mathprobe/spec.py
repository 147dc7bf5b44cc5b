"""Specifications: frozen structs of everything that determines a result.

Workflow rules pass them to commands as JSON, and results store them.  They have no
setting that affects only speed or location.  The configuration reuses their fields: a
struct whose name ends in `Settings` contains those that a user sets.
This module must not import torch, because the Snakefile imports it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, structs

from mathprobe.structs import Spec

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Signs = Literal["lapack", "canonical"]
ZeroAnswers = Literal["wrong", "right"]
ExactAnswers = Literal["by_error", "right"]
EigenvalueOrder = Literal["descending", "ascending"]
# Overrides of the parameters of distributions, by distribution and parameter.
DistributionSettings = dict[str, dict[str, PositiveFloat | str]]


def doc(text: str) -> Meta:
    """Return the description of a setting, for `settings.documentation`."""
    return Meta(description=text)


def check_unique(values: Sequence[Any]) -> None:
    """Raise ValueError if a value occurs twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{values} has duplicates")


class MatrixSpec(Spec, frozen=True):
    """Matrices of a distribution or mixture, and the task to solve for them."""

    task: str
    distribution: str
    n: PositiveInt  # rows
    columns: PositiveInt
    distribution_settings: DistributionSettings


class EncodingSpec(Spec, frozen=True):
    """Encoding of numbers as tokens, in the input or in the output."""

    encoding: Annotated[str, doc("`p10`, `p1000`, `b1999` or `fp15`")]
    digits: Annotated[PositiveInt, doc("significant digits")]


class LayerConfig(Spec, frozen=True):
    """Layers of an encoder or a decoder."""

    layers: Annotated[PositiveInt, doc("number of layers")]
    width: Annotated[PositiveInt, doc("embedding width; a multiple of `heads`")]
    heads: Annotated[PositiveInt, doc("attention heads per layer")]

    def __post_init__(self) -> None:
        """Check that the width is a multiple of the number of heads."""
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of {self.heads} heads"
            )


class Schedule(Spec, frozen=True):
    """Training schedule of a model of the first study (Charton 2022, appendix)."""

    examples: Annotated[PositiveInt, doc("number of training examples")]
    batch: Annotated[PositiveInt, doc("examples per update")]
    learning_rate: Annotated[PositiveFloat, doc("learning rate after the warm-up")]
    final_learning_rate: Annotated[
        PositiveFloat, doc("learning rate at the end of the cosine")
    ]
    warmup_updates: Annotated[NonNegativeInt, doc("updates of the warm-up from 1e-7")]
    cosine_updates: Annotated[
        PositiveInt | None,
        doc("half a period of the cosine; null: all updates after warm-up"),
    ]
    restart_factor: Annotated[
        Fraction | None,
        doc("factor of both rates when a cosine ends; null: no restart"),
    ]
    stop_accuracy: Annotated[
        Fraction | None, doc("in-distribution accuracy that ends training early")
    ]
    clip_norm: Annotated[PositiveFloat, doc("maximum norm of the gradient")]
    curve_every: Annotated[PositiveInt, doc("examples between points of the curve")]

    @property
    def updates(self) -> int:
        """Return the number of updates; the last batch has full size."""
        return math.ceil(self.examples / self.batch)

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def learning_rate_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0.

        Linear warm-up from 1e-7, then a cosine from the peak to the final rate.  Then,
        the rate stays, or another cosine starts, with both rates reduced by
        `restart_factor`.
        """
        start, peak, floor = 1e-7, self.learning_rate, self.final_learning_rate
        if update < self.warmup_updates:
            return start + update * (peak - start) / self.warmup_updates
        period = self.cosine_updates or max(1, self.updates - self.warmup_updates)
        step, factor = update - self.warmup_updates, 1.0
        if self.restart_factor is None:
            step = min(step, period)
        else:
            restarts, step = divmod(step, period)
            factor = self.restart_factor**restarts
        angle = math.pi * (step / period)
        return factor * (floor + 0.5 * (peak - floor) * (1.0 + math.cos(angle)))


class CurveSettings(Spec, frozen=True):
    """Validation sets of a learning curve."""

    tests: Annotated[list[str], Meta(min_length=1), doc("test distributions")]
    examples: Annotated[PositiveInt, doc("examples per distribution and point")]
    tolerance: Annotated[
        Fraction, doc("relative L1 error below which an answer is correct")
    ]

    def __post_init__(self) -> None:
        """Check that distributions are unique."""
        check_unique(self.tests)


class Curve(CurveSettings, frozen=True):
    """Validation sets of a learning curve, with the parameters of distributions."""

    distribution_settings: DistributionSettings


class Recipe(Spec, frozen=True, kw_only=True, omit_defaults=True):
    """A network and its training, for any task and distribution.

    Specifications omit defaults, so a setting with a default is younger than results.
    """

    input: EncodingSpec
    output: EncodingSpec
    encoder: LayerConfig
    decoder: LayerConfig
    query: Annotated[
        Literal["input", "attended"],
        doc("query of cross-attention: layer input or output of self-attention"),
    ]
    precision: Annotated[
        Literal["float32", "bfloat16"], doc("for matrix products; weights are float32")
    ]
    signs: Annotated[
        Signs,
        doc("of labels: LAPACK's, or the largest coefficient of a vector is positive"),
    ]
    eigenvalue_order: Annotated[
        EigenvalueOrder,
        doc("of labels with eigenvectors; published code: ascending"),
    ] = "descending"
    schedule: Schedule
    curve: CurveSettings
    seeds: Annotated[PositiveInt, doc("number of seeds (weights and training data)")]


class Model(Recipe, frozen=True, kw_only=True):
    """A network and its training on matrices of a distribution."""

    data: MatrixSpec
    curve: Curve
    zero_answers: ZeroAnswers
    exact_answers: ExactAnswers = "by_error"

    def should_stop(self, point: list[dict[str, Any]]) -> bool:
        """Return whether all seeds have reached `stop_accuracy`.

        `point` has the rows of the learning curves at one point.
        """
        target = self.schedule.stop_accuracy
        rows = [row for row in point if row["test"] == self.data.distribution]
        return bool(target and rows) and all(row["accuracy"] >= target for row in rows)


class TestSet(Spec, frozen=True):
    """A test set, which all models share."""

    __test__ = False  # pytest must not collect this class

    data: MatrixSpec
    examples: PositiveInt


class ConditionNumberSettings(Spec, frozen=True):
    """Size of the samples for the table of condition numbers."""

    n: Annotated[PositiveInt, doc("size of the matrices")]
    matrices: Annotated[int, Meta(ge=100), doc("matrices per distribution")]


class ConditionNumbers(ConditionNumberSettings, frozen=True):
    """Samples for the table of condition numbers, of every distribution."""

    distribution_settings: DistributionSettings


class EncodedTestSet(Spec, frozen=True):
    """A test set, and the encodings of its inputs and outputs."""

    data: MatrixSpec
    examples: PositiveInt
    input: EncodingSpec
    output: EncodingSpec


class OracleTests(Spec, frozen=True):
    """Tests of the oracle, which solves the encoded matrices exactly."""

    tests: list[EncodedTestSet]
    tolerances: list[Fraction]


class Evidence(Spec, frozen=True):
    """Samples that check statements of Charton 2022; they need no model."""

    condition_numbers: ConditionNumbers
    inverse: EncodedTestSet  # of section 3
    epoch: PositiveInt  # examples between two points of a learning curve


class Enrichment(Spec, frozen=True):
    """Enrichment of questions with hard cases (Quirke, Neo, Barez 2024, and code)."""

    batches: Annotated[Probability, doc("fraction of batches that are enriched")]
    nines: Annotated[
        Probability, doc("fraction of columns that sum to 9, in enriched additions")
    ]
    equal: Annotated[Probability, doc("fraction of enriched subtractions that give 0")]


class Questions(Spec, frozen=True):
    """Random questions of arithmetic."""

    digits: PositiveInt
    shares: dict[str, Probability]  # fraction of questions, by operation
    mixing: str  # "batches": each batch has one operation; "rows": it mixes them
    enrichment: Enrichment


class DecoderSettings(Spec, frozen=True, kw_only=True):
    """Widths of a decoder of the second study."""

    width: Annotated[PositiveInt, doc("embedding width; MLPs are 4 times as wide")]
    head_width: Annotated[PositiveInt, doc("width of each attention head")]


class DecoderConfig(DecoderSettings, frozen=True, kw_only=True, omit_defaults=True):
    """Layers of a decoder; `heads * head_width` may differ from `width`.

    The defaults are those of the second study.  Decoders trained elsewhere may differ;
    the values of `activation` and `norm` are the names in TransformerLens.
    """

    layers: PositiveInt
    heads: PositiveInt
    mlp_width: NonNegativeInt | None = None  # None: 4 * width; 0: no MLPs
    activation: str = "relu"
    norm: Literal["LN", "LNPre", "RMS", "RMSPre"] | None = "LN"  # Pre: without weights
    norm_epsilon: NonNegativeFloat = 1e-5
    attention_scale: PositiveFloat | None = None  # divisor; None: sqrt(head_width)
    output_vocab_size: PositiveInt | None = None  # None: all tokens

    def __post_init__(self) -> None:
        """Store the default objects themselves, because JSON omits only those."""
        for field in structs.fields(self):
            if getattr(self, field.name) == field.default:
                structs.force_setattr(self, field.name, field.default)


class GrokFast(Spec, frozen=True):
    """GrokFast (Lee et al. 2024): add an average of past gradients to each gradient."""

    decay: Annotated[Fraction, doc("decay of the moving average of gradients")]
    strength: Annotated[float, Meta(ge=0), doc("factor of the moving average")]
    keep_average: Annotated[
        bool, doc("keep the average between updates; published code: false")
    ]


class DecoderScheduleSettings(Spec, frozen=True, kw_only=True):
    """Training schedule of a decoder, without its number of updates."""

    batch: Annotated[PositiveInt, doc("questions per update")]
    learning_rate: Annotated[PositiveFloat, doc("learning rate after the warm-up")]
    warmup: Annotated[Fraction, doc("warm-up, as a fraction of the updates")]
    start_factor: Annotated[Probability, doc("first learning rate / `learning_rate`")]
    betas: Annotated[list[Fraction], Meta(min_length=2, max_length=2), doc("of AdamW")]
    weight_decay: Annotated[float, Meta(ge=0), doc("of AdamW, for every parameter")]
    curve_every: Annotated[PositiveInt, doc("questions between points of the curve")]


class DecoderSchedule(DecoderScheduleSettings, frozen=True, kw_only=True):
    """Training schedule of a decoder (Quirke, Neo, Barez 2024, and their code)."""

    updates: PositiveInt
    grokfast: GrokFast | None

    @property
    def examples(self) -> int:
        """Return the number of training questions."""
        return self.updates * self.batch

    @property
    def updates_per_point(self) -> int:
        """Return the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def learning_rate_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0.

        Linear warm-up from `start_factor`, then a cosine to 0.
        """
        warmup = int(self.warmup * self.updates)
        if update < warmup:
            first = self.start_factor
            return self.learning_rate * (first + (1.0 - first) * update / warmup)
        progress = (update - warmup) / (self.updates - warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


InsertionMode = Literal[1, 2, 3]
# By mode: its name in the paper, and the components that training repeatedly resets to
# the weights of the parent.
INSERTION_MODES = {
    1: ("initialize only", ()),
    2: ("freeze attention", ("heads",)),
    3: ("freeze all", ("heads", "mlps")),
}


class InsertionSettings(Spec, frozen=True, kw_only=True):
    """Insertion of a parent's weights into a model."""

    complete: Annotated[bool, doc("copy all weights; published code: false")]
    rewrite_every: Annotated[
        PositiveInt, doc("updates between resets in modes 2 and 3")
    ]


class Insertion(InsertionSettings, frozen=True, kw_only=True):
    """Insertion of the weights of a trained parent into a model."""

    parent: ArithModel
    mode: InsertionMode


class ArithModel(Spec, frozen=True):
    """A decoder of the second study, and its training."""

    name: str
    questions: Questions
    network: DecoderConfig
    schedule: DecoderSchedule
    curve_questions: PositiveInt  # per operation and point of the learning curve
    seed: NonNegativeInt
    insertion: Insertion | None

    @property
    def seeds(self) -> int:
        """Return the number of seeds: 1, the seed in the name."""
        return 1

    def should_stop(self, point: list[dict[str, Any]]) -> bool:
        """Return False: the number of updates is fixed."""
        return False


class AccuracyTestSettings(Spec, frozen=True):
    """Size of the test of a decoder."""

    questions: Annotated[PositiveInt, doc("test questions per operation")]


class AccuracyTest(AccuracyTestSettings, frozen=True):
    """Test questions of a decoder."""

    batch: PositiveInt  # questions that are enriched together
    enrichment: Enrichment


class CircuitSearch(Spec, frozen=True):
    """Settings of the circuit analysis of a decoder."""

    questions_per_class: Annotated[PositiveInt, doc("questions per complexity class")]
    ablation: Annotated[
        Literal["mean", "zero", "resample"], doc("replacement of ablated activations")
    ]
    first_layer_means: Annotated[
        bool, doc("use the first layer's means in all layers; published code: true")
    ]
    min_attention: Annotated[Probability, doc("smallest attention weight to record")]
    pairs: Annotated[
        int,
        Meta(ge=8),
        doc("question pairs per sub-task and column; four times as many if undecided"),
    ]
    questions_per_case: Annotated[
        int, Meta(ge=2), doc("questions per state of a column, for PCA")
    ]
    random_sets: Annotated[PositiveInt, doc("random sets of nodes, as a control")]
