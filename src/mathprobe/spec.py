"""What decides a result, frozen: from configuration to command to the file's header.

A specification holds nothing that only decides how fast or where a result is made.
This module imports no torch, so that the Snakefile can read it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Self, get_args, get_origin, get_type_hints

from mathprobe.errors import InputError


class Record:
    """A frozen dataclass that is read from and written to JSON, strictly."""

    @classmethod
    def of(cls, values: Any, place: str | None = None) -> Self:
        """Build from nested plain values; a missing or unknown key is named."""
        place = place or cls.__name__
        if not isinstance(values, dict):
            raise InputError(f"{place}: {values!r} is not a mapping")
        known = get_type_hints(cls)
        wrong = sorted(set(values) ^ set(known))
        if wrong:
            raise InputError(
                f"{place}: {', '.join(wrong)} missing or unknown; "
                f"keys are {', '.join(known)}"
            )
        return cls(
            **{
                name: _built(kind, values[name], f"{place}.{name}")
                for name, kind in known.items()
            }
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read from JSON text."""
        try:
            return cls.of(json.loads(text))
        except json.JSONDecodeError as error:
            raise InputError(f"{cls.__name__}: not JSON ({error})") from error

    def json(self) -> str:
        """Write as JSON text; equal specifications give equal text."""
        return json.dumps(self.plain(), sort_keys=True)

    def plain(self) -> dict[str, Any]:
        """Give nested plain values."""
        return asdict(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Say in which values this differs from another's plain values."""
        ours, theirs = _flat(self.plain()), _flat(other)
        return [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]


def _built(kind: Any, value: Any, place: str) -> Any:
    """Build a record, a list of records, or one that may be None; others stay."""
    if is_dataclass(kind):
        return kind.of(value, place)
    of = next(filter(is_dataclass, get_args(kind)), None)
    if of is None or value is None:
        return value
    if get_origin(kind) is list:
        return [of.of(one, f"{place}[{i}]") for i, one in enumerate(value)]
    return of.of(value, place)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


@dataclass(frozen=True)
class Draw(Record):
    """Matrices of a law or mixture at a size, and the question asked about them."""

    task: str
    law: str
    n: int  # rows
    columns: int
    law_settings: dict[str, dict[str, float | str]]  # by law


@dataclass(frozen=True)
class Side(Record):
    """How numbers are written on one side."""

    encoding: str
    digits: int


@dataclass(frozen=True)
class Stack(Record):
    """Layers of one side of a network: their number, width and heads."""

    layers: int
    width: int
    heads: int


@dataclass(frozen=True)
class Schedule(Record):
    """How a model is trained: Charton 2022, appendix."""

    examples: int
    batch: int
    learning_rate: float
    final_learning_rate: float
    warmup_updates: int
    cosine_updates: int | None  # None: the cosine ends with the training
    stop_accuracy: float | None  # on the training law: ends the training early
    clip_norm: float
    curve_every: int  # examples between two points of the learning curve

    @property
    def updates(self) -> int:
        """Give the number of updates; the last batch is a whole one."""
        return math.ceil(self.examples / self.batch)

    @property
    def updates_per_point(self) -> int:
        """Give the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def rate(self, update: int) -> float:
        """Give the learning rate of an update, counted from 0."""
        start, peak, floor = 1e-7, self.learning_rate, self.final_learning_rate
        if update < self.warmup_updates:
            return start + update * (peak - start) / self.warmup_updates
        period = self.cosine_updates or max(1, self.updates - self.warmup_updates)
        along = math.pi * min(1.0, (update - self.warmup_updates) / period)
        return floor + 0.5 * (peak - floor) * (1.0 + math.cos(along))


@dataclass(frozen=True)
class Curve(Record):
    """Laws that a learning curve is measured on, and how many examples of each."""

    tests: list[str]
    law_settings: dict[str, dict[str, float | str]]
    examples: int
    tolerance: float


@dataclass(frozen=True)
class Model(Record):
    """A network and its training."""

    data: Draw
    input: Side
    output: Side
    encoder: Stack
    decoder: Stack
    query: str
    precision: str  # of the network's matrix products; weights are float32
    schedule: Schedule
    curve: Curve
    seeds: int  # trained: 1, 2, ...; each has weights and data of its own

    def is_reached(self, point: list[dict[str, Any]]) -> bool:
        """Tell whether all seeds are accurate enough at a point of their curves."""
        goal = self.schedule.stop_accuracy
        home = [row for row in point if row["test"] == self.data.law]
        return bool(goal and home) and all(row["accuracy"] >= goal for row in home)


@dataclass(frozen=True)
class TestSet(Record):
    """A test set, the same for every model."""

    __test__ = False  # not a test class, whatever its name begins with

    data: Draw
    examples: int


@dataclass(frozen=True)
class Conditions(Record):
    """A sample of matrices whose condition numbers are looked at."""

    n: int
    matrices: int
    law_settings: dict[str, dict[str, float | str]]


@dataclass(frozen=True)
class Question(Record):
    """A test set as the tokens of two encodings show it."""

    data: Draw
    examples: int
    input: Side
    output: Side


@dataclass(frozen=True)
class Ceilings(Record):
    """Questions whose exact answers are scored; no network takes part."""

    questions: list[Question]
    tolerances: list[float]


@dataclass(frozen=True)
class Evidence(Record):
    """Samples, without a network, that the paper's statements are held against."""

    conditions: Conditions
    inverse: Question  # of section 3
    epoch: int  # examples between two measurements


@dataclass(frozen=True)
class Enrichment(Record):
    """How questions are made harder: Quirke, Neo, Barez 2024, and their code."""

    batches: float  # share of the batches; 0.6 in the text, 0.4 in the code
    nines: float  # share of an addition's columns that are made to sum to 9
    equal: float  # share of a subtraction's enriched batches with answers of 0


@dataclass(frozen=True)
class Questions(Record):
    """Random questions of arithmetic."""

    digits: int
    shares: dict[str, float]  # by operation
    mixing: str  # "batches": each has one operation; "rows": each has all
    enrichment: Enrichment


@dataclass(frozen=True)
class DecoderStack(Record):
    """Layers of a decoder; its heads have a width of their own."""

    layers: int
    width: int
    heads: int
    head_width: int


@dataclass(frozen=True)
class GrokFast(Record):
    """Gradients are amplified by the mean of past ones: Lee and others 2024."""

    decay: float  # of that mean, at each update
    strength: float  # of that mean, beside the gradient
    keeps: bool  # False: the mean is the gradient itself, as the code forgets it


@dataclass(frozen=True)
class Steps(Record):
    """How a decoder is trained: Quirke, Neo, Barez 2024, by a number of updates."""

    updates: int
    batch: int
    learning_rate: float
    warmup: float  # share of the updates
    first_rate: float  # share of the learning rate that the warm-up begins with
    betas: list[float]
    weight_decay: float
    grokfast: GrokFast | None
    curve_every: int  # examples between two points of the learning curve

    @property
    def examples(self) -> int:
        """Give the number of questions of the training."""
        return self.updates * self.batch

    @property
    def updates_per_point(self) -> int:
        """Give the number of updates between two points of the curve."""
        return math.ceil(self.curve_every / self.batch)

    def rate(self, update: int) -> float:
        """Give the learning rate of an update, counted from 0."""
        warmup = int(self.warmup * self.updates)
        if update < warmup:
            first = self.first_rate
            return self.learning_rate * (first + (1.0 - first) * update / warmup)
        along = (update - warmup) / (self.updates - warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * along))


INSERTIONS = {  # of a parent's weights, by mode: the paper's name, what is held to
    1: ("initialize only", ()),
    2: ("freeze attention", ("heads",)),
    3: ("freeze all", ("heads", "mlps")),
}


@dataclass(frozen=True)
class Insertion(Record):
    """A model's first weights are those of a trained one, as far as that goes."""

    parent: ArithModel
    mode: int  # of INSERTIONS
    complete: bool  # False: without what the published code leaves out
    every: int  # updates after which modes 2 and 3 write the parent's weights again


@dataclass(frozen=True)
class ArithModel(Record):
    """A decoder that calculates, and its training."""

    name: str
    questions: Questions
    network: DecoderStack
    schedule: Steps
    curve_questions: int  # of each operation, for a point of the learning curve
    seed: int
    insertion: Insertion | None

    def is_reached(self, point: list[dict[str, Any]]) -> bool:
        """Tell that a training never ends early: its updates are stated."""
        return False


@dataclass(frozen=True)
class Accuracy(Record):
    """Questions that tell how often a model is wrong."""

    questions: int  # of each operation
    batch: int  # enrichment is of a whole batch
    enrichment: Enrichment


@dataclass(frozen=True)
class CircuitSearch(Record):
    """How thoroughly a model of arithmetic is taken apart."""

    per_class: int  # questions that nodes are ablated at, of every class
    ablation: str  # what stands for what a node says
    first_layer: bool  # True: that of the first layer, as in the published code
    attends: float  # share of a head's attention that is noted
    pairs: int  # of questions, for every sub-task and column
    per_case: int  # questions of each state of a column, for principal components
    random_sets: int  # of nodes, that a map is held against
