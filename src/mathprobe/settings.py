"""The configuration: its structs, reading, and laying one over another.

Its fields are those of specifications where they decide a result, and declared here
where they do not.  `documentation` lists them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from msgspec import Meta, field, inspect

from mathprobe.errors import InputError
from mathprobe.spec import (
    AccuracyTestSettings,
    CircuitSearch,
    ConditionNumberSettings,
    DecoderScheduleSettings,
    DecoderSettings,
    DistributionSettings,
    Enrichment,
    Fraction,
    GrokFast,
    InsertionMode,
    InsertionSettings,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Recipe,
    check_unique,
    doc,
)
from mathprobe.structs import Spec

TABLE_TOLERANCE = 0.05  # of the paper's tables
Overrides = dict[str, Any]  # a part of a struct, to be laid over another
Distributions = Annotated[list[str], Meta(min_length=1)]
Tolerances = Annotated[list[Fraction], Meta(min_length=1)]
Gpus = Annotated[int, Meta(ge=0, le=1), doc("of each job")]
Threads = Annotated[PositiveInt, doc("of each job")]
Memory = Annotated[PositiveInt, doc("of each job, in MB")]


class RecordSettings(Spec, frozen=True):
    """The scale `record`: what is kept of another scale's trainings."""

    scale: Annotated[str, doc("whose settings and tables are shown")]
    folder: Annotated[str, doc("in which the models are kept")]


class TestSettings(Spec, frozen=True):
    """Test sets, and when an answer is right."""

    __test__ = False  # not a test class, whatever its name begins with

    examples: Annotated[PositiveInt, doc("of every test set; it belongs to no model")]
    tolerances: Annotated[Tolerances, doc("of the relative L1 error")]
    failure_tolerances: Annotated[
        Tolerances, doc("beyond which an answer fails; the first is the verifiers'")
    ]

    def __post_init__(self) -> None:
        """Check that the tolerance of the tables is there, and each once."""
        for tolerances in (self.tolerances, self.failure_tolerances):
            check_unique(tolerances)
            if TABLE_TOLERANCE not in tolerances:
                raise ValueError(f"{tolerances} lacks {TABLE_TOLERANCE} of the tables")


class TableEntry(Spec, frozen=True, kw_only=True, omit_defaults=True):
    """Models of a table: of a task, size and recipe, and of these distributions or all."""

    task: Annotated[str, doc("of the models")]
    n: Annotated[PositiveInt, doc("size of the matrices")]
    recipe: Annotated[str, doc("of the models")]
    distributions: Annotated[
        Distributions | None, doc("of the trainings; left out: the task's")
    ] = None

    def __post_init__(self) -> None:
        """Check that every distribution is there once."""
        check_unique(self.distributions or [])


class SpeedEntry(TableEntry, frozen=True, kw_only=True):
    """Models whose learning curves are read."""

    accuracy: Annotated[Fraction, doc("to which the examples are counted")]


class FailureEntry(TableEntry, frozen=True, kw_only=True):
    """Models whose failures are looked at, on the distribution of their training."""

    distributions: Annotated[Distributions, doc("of the trainings")]


class TableSettings(Spec, frozen=True):
    """The tables of the first study, and the models that each shows."""

    out_of_distribution: Annotated[list[TableEntry], Meta(min_length=1)]
    learning_speed: Annotated[list[SpeedEntry], Meta(min_length=1)]
    failures: Annotated[list[FailureEntry], Meta(min_length=1)]
    condition_numbers: ConditionNumberSettings


class LinalgSettings(Spec, frozen=True):
    """The first study, Charton 2022, at a scale."""

    distributions: Annotated[
        DistributionSettings,
        doc("by distribution: `coefficients`, `bound`, `deviation`"),
    ]
    tests: TestSettings
    recipes: Annotated[dict[str, Overrides], doc("by name: laid over `base` (below)")]
    tasks: Annotated[dict[str, Overrides], doc("by task: laid over the recipe `base`")]
    tables: TableSettings


class GrokFastSettings(GrokFast, frozen=True):
    """GrokFast, for the decoders whose row asks for it."""

    mixing: Annotated[str, doc("`rows`: a batch has all operations; `batches`: one")]


class ExampleModels(Spec, frozen=True):
    """Decoders whose maps the paper shows."""

    addition: Annotated[str, doc("name of a model that adds")]
    mixed: Annotated[str, doc("name of a model that does both")]


class ArithSettings(Spec, frozen=True):
    """The second study, Quirke, Neo, Barez 2024, at a scale."""

    models: Annotated[str, doc("table of the models, a row each (below)")]
    network: DecoderSettings
    operations: Annotated[
        dict[str, Annotated[dict[str, Probability], Meta(min_length=1)]],
        Meta(min_length=1),
        doc("shares of the questions, by a row's; `inserted_`: with a parent"),
    ]
    enrichment: Enrichment
    schedule: DecoderScheduleSettings
    grokfast: GrokFastSettings
    insert: InsertionSettings
    curve_questions: Annotated[PositiveInt, doc("of each operation, at a point")]
    accuracy: AccuracyTestSettings
    example_models: ExampleModels
    circuits: CircuitSearch


class DecoderRow(Spec, frozen=True, kw_only=True):
    """A model of the second study: a row of its table."""

    operation: Annotated[str, Meta(pattern="^[a-z]+$"), doc("`add`, `sub`, `mix`")]
    digits: Annotated[PositiveInt, doc("of each number")]
    layers: Annotated[PositiveInt, doc("of the decoder")]
    heads: Annotated[PositiveInt, doc("of each layer")]
    steps: Annotated[int, Meta(ge=2), doc("updates of the training")]
    seed: Annotated[NonNegativeInt, doc("of weights and questions")]
    parent: Annotated[str | None, doc("row whose weights it begins with")] = None
    insert: Annotated[InsertionMode | None, doc("mode, with a parent")] = None
    grokfast: Annotated[bool, doc("`yes` or `no`")]
    membership: Annotated[
        Literal["stated", "inferred", "ours"], doc("of the paper's 44 models")
    ]

    @property
    def name(self) -> str:
        """Format the name, as the paper's authors do."""
        inserted = f"ins{self.insert}_" if self.insert else ""
        shape = f"d{self.digits}_l{self.layers}_h{self.heads}"
        grokfast = "_gf" if self.grokfast else ""
        steps = f"t{self.steps / 1000:g}K"
        return f"{inserted}{self.operation}_{shape}_{steps}{grokfast}_s{self.seed}"


class ScaleSettings(Spec, frozen=True):
    """What a scale changes."""

    linalg: Annotated[Overrides, doc("laid over `linalg`")] = field(
        default_factory=dict
    )
    arith: Annotated[Overrides, doc("laid over `arith`")] = field(default_factory=dict)


class TrainResources(Spec, frozen=True):
    """What a training needs."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    flops_per_second: Annotated[PositiveFloat, doc("assumed; it gives the time limit")]
    margin: Annotated[float, Meta(ge=1), doc("factor of the time limit")]
    save_every: Annotated[NonNegativeInt, doc("minutes; 0: after every update")]


class PredictResources(Spec, frozen=True):
    """What the prediction of all tests of a model needs."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    runtime: Annotated[PositiveInt, doc("time limit, in minutes")]


class Compute(Spec, frozen=True):
    """What jobs of a scale need; a change here changes no result."""

    train: TrainResources
    predict: PredictResources


class Config(Spec, frozen=True):
    """The whole configuration."""

    default_scale: Annotated[str, doc("what a plain `snakemake` makes")]
    record: RecordSettings
    linalg: LinalgSettings
    arith: ArithSettings
    scales: dict[str, ScaleSettings]
    compute: dict[str, Compute]


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def merge(under: Any, over: Any) -> Any:
    """Lay one nested mapping over another; lists and values are replaced whole."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {
        key: merge(under[key], value) if key in under else value
        for key, value in over.items()
    }


SECTIONS = {"": Config, "linalg.recipes.*": Recipe, "row": DecoderRow}
BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
KINDS: dict[type, str] = {
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.DictType: "mapping",
}


def documentation() -> str:
    """Return a Markdown table of all settings; `*` stands for any name."""
    lines = ["| setting | type | meaning |", "|---|---|---|"]
    for place, struct in SECTIONS.items():
        for key, kind, text in _leaves(place, inspect.type_info(struct)):
            lines.append(f"| `{key.strip('.')}` | {kind} | {text} |")
    return "\n".join(lines) + "\n"


def _leaves(place: str, kind: Any, text: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the place, type and description of what has no fields of its own."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema={"description": told}):
            yield from _leaves(place, inner, told)
        case inspect.StructType(fields=fields):
            for one in fields:
                yield from _leaves(f"{place}.{one.name}", one.type)
        case inspect.DictType(value_type=inspect.StructType() as inner):
            yield from _leaves(f"{place}.*", inner)
        case inspect.ListType(item_type=inspect.StructType() as inner):
            yield from _leaves(f"{place}[]", inner)
        case _:
            yield place, _kind(kind), text


def _kind(kind: Any) -> str:
    match kind:
        case inspect.UnionType(types=kinds):
            return " or ".join(map(_kind, kinds))
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case inspect.ListType(item_type=inner):
            return f"list: {_kind(inner)}"
    bounds = [
        f"{sign} {getattr(kind, bound)}"
        for bound, sign in BOUNDS.items()
        if getattr(kind, bound, None) is not None
    ]
    return " ".join([KINDS[type(kind)], " and ".join(bounds)]).strip()
