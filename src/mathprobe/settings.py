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
    AccuracySettings,
    Chance,
    CircuitSearch,
    ConditionSettings,
    Count,
    DecoderScheduleSettings,
    DecoderSettings,
    Enrichment,
    GrokFast,
    InsertionMode,
    InsertionSettings,
    LawSettings,
    Positive,
    Rate,
    Recipe,
    Share,
    about,
    check_unique,
)
from mathprobe.structs import Spec

SHOWN_TOLERANCE = 0.05  # of the paper's tables
Changes = dict[str, Any]  # a part of a struct, to be laid over another
Laws = Annotated[list[str], Meta(min_length=1)]
Tolerances = Annotated[list[Share], Meta(min_length=1)]
Gpus = Annotated[int, Meta(ge=0, le=1), about("of each job")]
Threads = Annotated[Positive, about("of each job")]
Memory = Annotated[Positive, about("of each job, in MB")]


class RecordSettings(Spec, frozen=True):
    """The scale `record`: what is kept of another scale's trainings."""

    scale: Annotated[str, about("whose settings and tables are shown")]
    folder: Annotated[str, about("in which the models are kept")]


class TestSettings(Spec, frozen=True):
    """Test sets, and when an answer is right."""

    __test__ = False  # not a test class, whatever its name begins with

    examples: Annotated[Positive, about("of every test set; it belongs to no model")]
    tolerances: Annotated[Tolerances, about("of the relative L1 error")]
    failure_tolerances: Annotated[
        Tolerances, about("beyond which an answer fails; the first is the verifiers'")
    ]

    def __post_init__(self) -> None:
        """Check that the tolerance of the tables is there, and each once."""
        for tolerances in (self.tolerances, self.failure_tolerances):
            check_unique(tolerances)
            if SHOWN_TOLERANCE not in tolerances:
                raise ValueError(f"{tolerances} lacks {SHOWN_TOLERANCE} of the tables")


class TableEntry(Spec, frozen=True, kw_only=True, omit_defaults=True):
    """Models of a table: of a task, size and recipe, and of these laws or all."""

    task: Annotated[str, about("of the models")]
    n: Annotated[Positive, about("size of the matrices")]
    recipe: Annotated[str, about("of the models")]
    laws: Annotated[Laws | None, about("of the trainings; left out: the task's")] = None

    def __post_init__(self) -> None:
        """Check that every law is there once."""
        check_unique(self.laws or [])


class SpeedEntry(TableEntry, frozen=True, kw_only=True):
    """Models whose learning curves are read."""

    accuracy: Annotated[Share, about("to which the examples are counted")]


class FailureEntry(TableEntry, frozen=True, kw_only=True):
    """Models whose failures are looked at, on the law of their training."""

    laws: Annotated[Laws, about("of the trainings")]


class TableSettings(Spec, frozen=True):
    """The tables of the first study, and the models that each shows."""

    out_of_distribution: Annotated[list[TableEntry], Meta(min_length=1)]
    learning_speed: Annotated[list[SpeedEntry], Meta(min_length=1)]
    failures: Annotated[list[FailureEntry], Meta(min_length=1)]
    condition_numbers: ConditionSettings


class LinalgSettings(Spec, frozen=True):
    """The first study, Charton 2022, at a scale."""

    laws: Annotated[LawSettings, about("by law: `coefficients`, `bound`, `deviation`")]
    tests: TestSettings
    recipes: Annotated[dict[str, Changes], about("by name: laid over `base` (below)")]
    tasks: Annotated[dict[str, Changes], about("by task: laid over the recipe `base`")]
    tables: TableSettings


class GrokFastSettings(GrokFast, frozen=True):
    """GrokFast, for the decoders whose row asks for it."""

    mixing: Annotated[str, about("`rows`: a batch has all operations; `batches`: one")]


class ShownDecoders(Spec, frozen=True):
    """Decoders whose maps the paper shows."""

    addition: Annotated[str, about("name of a model that adds")]
    mixed: Annotated[str, about("name of a model that does both")]


class ArithSettings(Spec, frozen=True):
    """The second study, Quirke, Neo, Barez 2024, at a scale."""

    models: Annotated[str, about("table of the models, a row each (below)")]
    network: DecoderSettings
    operations: Annotated[
        dict[str, Annotated[dict[str, Chance], Meta(min_length=1)]],
        Meta(min_length=1),
        about("shares of the questions, by a row's; `inserted_`: with a parent"),
    ]
    enrichment: Enrichment
    schedule: DecoderScheduleSettings
    grokfast: GrokFastSettings
    insert: InsertionSettings
    curve_questions: Annotated[Positive, about("of each operation, at a point")]
    accuracy: AccuracySettings
    shown: ShownDecoders
    circuits: CircuitSearch


class DecoderRow(Spec, frozen=True, kw_only=True):
    """A model of the second study: a row of its table."""

    operation: Annotated[str, Meta(pattern="^[a-z]+$"), about("`add`, `sub`, `mix`")]
    digits: Annotated[Positive, about("of each number")]
    layers: Annotated[Positive, about("of the decoder")]
    heads: Annotated[Positive, about("of each layer")]
    steps: Annotated[int, Meta(ge=2), about("updates of the training")]
    seed: Annotated[Count, about("of weights and questions")]
    parent: Annotated[str | None, about("row whose weights it begins with")] = None
    insert: Annotated[InsertionMode | None, about("mode, with a parent")] = None
    grokfast: Annotated[bool, about("`yes` or `no`")]
    membership: Annotated[
        Literal["stated", "inferred", "ours"], about("of the paper's 44 models")
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

    linalg: Annotated[Changes, about("laid over `linalg`")] = field(
        default_factory=dict
    )
    arith: Annotated[Changes, about("laid over `arith`")] = field(default_factory=dict)


class TrainResources(Spec, frozen=True):
    """What a training needs."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    flops_per_second: Annotated[Rate, about("assumed; it gives the time limit")]
    margin: Annotated[float, Meta(ge=1), about("factor of the time limit")]
    save_every: Annotated[Count, about("minutes; 0: after every update")]


class PredictResources(Spec, frozen=True):
    """What the prediction of all tests of a model needs."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    runtime: Annotated[Positive, about("time limit, in minutes")]


class Compute(Spec, frozen=True):
    """What jobs of a scale need; a change here changes no result."""

    train: TrainResources
    predict: PredictResources


class Config(Spec, frozen=True):
    """The whole configuration."""

    default_scale: Annotated[str, about("what a plain `snakemake` makes")]
    record: RecordSettings
    linalg: LinalgSettings
    arith: ArithSettings
    scales: dict[str, ScaleSettings]
    compute: dict[str, Compute]


def read(path: Path | str) -> Any:
    """Read a YAML file."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def overlay(under: Any, over: Any) -> Any:
    """Lay one nested mapping over another; lists and values are replaced whole."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {
        key: overlay(under[key], value) if key in under else value
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
