"""Structs of the configuration, and functions that read, merge and document it.

Settings that affect a result have the same structs as specifications (`spec.py`).  The
others are declared here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, field, inspect, structs

from mathprobe.cluster import minutes
from mathprobe.spec import (
    AccuracyTestSettings,
    CircuitSearch,
    ConditionNumberSettings,
    DecoderScheduleSettings,
    DecoderSettings,
    DistributionSettings,
    Enrichment,
    ExactAnswers,
    Fraction,
    GrokFast,
    InsertionMode,
    InsertionSettings,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Recipe,
    ZeroAnswers,
    check_unique,
    doc,
)
from mathprobe.structs import Spec

TABLE_TOLERANCE = 0.05  # relative error, in the tables of Charton 2022
Overrides = dict[str, Any]  # some values of a nested mapping; see `merge`
Distributions = Annotated[list[str], Meta(min_length=1)]
Tolerances = Annotated[list[Fraction], Meta(min_length=1)]
Gpus = Annotated[int, Meta(ge=0, le=1), doc("GPUs per job")]
Threads = Annotated[PositiveInt, doc("CPU threads per job")]
Memory = Annotated[PositiveInt, doc("memory per job, in MB")]
SLURM_NAME = re.compile(r"[^-,\s'\"`$;\\{}][^\s'\"`$;\\{}]*")


class RecordSettings(Spec, frozen=True):
    """The scale `record`, which typesets stored results and trains nothing."""

    scales: Annotated[
        list[str],
        Meta(min_length=1),
        doc("scales of the stored results; they differ only in their models"),
    ]
    folder: Annotated[str, doc("folder of the stored results")]

    def __post_init__(self) -> None:
        """Check that scales are unique."""
        check_unique(self.scales)


class TestSettings(Spec, frozen=True):
    """Size of the test sets, and conditions of correct answers."""

    __test__ = False  # pytest must not collect this class

    examples: Annotated[PositiveInt, doc("examples per test set")]
    tolerances: Annotated[
        Tolerances, doc("relative L1 errors below which an answer is correct")
    ]
    failure_tolerances: Annotated[
        Tolerances,
        doc("relative L1 errors above which an answer fails; verifiers use the first"),
    ]
    zero_answers: Annotated[
        ZeroAnswers,
        doc("verdict on vectors and values that are all 0; published code: right"),
    ]
    exact_answers: Annotated[
        ExactAnswers,
        doc("verdict on answers that equal the label; published code: right"),
    ]

    def __post_init__(self) -> None:
        """Check that tolerances are unique and begin with that of the tables."""
        for tolerances in (self.tolerances, self.failure_tolerances):
            check_unique(tolerances)
            if tolerances[0] != TABLE_TOLERANCE:
                raise ValueError(
                    f"{tolerances} must begin with {TABLE_TOLERANCE}, which tables use"
                )


class TableEntry(Spec, frozen=True, kw_only=True, omit_defaults=True):
    """Models of a table: one task, size and recipe; one model per distribution."""

    task: Annotated[str, doc("task of the models")]
    n: Annotated[PositiveInt, doc("size of the matrices")]
    recipe: Annotated[str, doc("recipe of the models")]
    distributions: Annotated[
        Distributions | None, doc("training distributions; default: all of the task")
    ] = None

    def __post_init__(self) -> None:
        """Check that distributions are unique."""
        check_unique(self.distributions or [])


class SpeedEntry(TableEntry, frozen=True, kw_only=True):
    """Models in the table of learning speeds."""

    accuracy: Annotated[
        Fraction, doc("target accuracy; the table has the examples needed to reach it")
    ]


class FailureEntry(TableEntry, frozen=True, kw_only=True):
    """Models whose failures are analysed on their training distribution."""

    distributions: Annotated[Distributions, doc("training distributions")]


class TableSettings(Spec, frozen=True):
    """Models of each table of the first study."""

    out_of_distribution: Annotated[list[TableEntry], Meta(min_length=1)]
    learning_speed: Annotated[list[SpeedEntry], Meta(min_length=1)]
    failures: Annotated[list[FailureEntry], Meta(min_length=1)]
    condition_numbers: ConditionNumberSettings


class LinalgSettings(Spec, frozen=True):
    """Settings of the first study (Charton 2022) at one scale."""

    distributions: Annotated[
        DistributionSettings,
        doc(
            "overrides by distribution: "
            "`coefficients`, `bound`, `eigenvectors`, `deviation`"
        ),
    ]
    tests: TestSettings
    recipes: Annotated[dict[str, Overrides], doc("overrides of `base`, by recipe")]
    tasks: Annotated[dict[str, Overrides], doc("overrides of `base`, by task")]
    tables: TableSettings


class GrokFastSettings(GrokFast, frozen=True):
    """Settings of GrokFast, for decoders whose row enables it."""

    mixing: Annotated[
        str, doc("`rows`: a batch mixes operations; `batches`: it has one operation")
    ]


class ExampleModels(Spec, frozen=True):
    """Decoders whose circuits the paper presents."""

    addition: Annotated[str, doc("name of an addition model")]
    mixed: Annotated[str, doc("name of a model of addition and subtraction")]


class ArithSettings(Spec, frozen=True):
    """Settings of the second study (Quirke, Neo, Barez 2024) at one scale."""

    models: Annotated[str, doc("path of the table of models; columns: `row.*`")]
    network: DecoderSettings
    operations: Annotated[
        dict[str, Annotated[dict[str, Probability], Meta(min_length=1)]],
        Meta(min_length=1),
        doc("fractions by `row.operation`, or `inserted_*` for rows with a parent"),
    ]
    enrichment: Enrichment
    schedule: DecoderScheduleSettings
    grokfast: GrokFastSettings
    insert: InsertionSettings
    curve_questions: Annotated[
        PositiveInt, doc("questions per operation and point of the learning curve")
    ]
    accuracy: AccuracyTestSettings
    example_models: ExampleModels
    circuits: CircuitSearch
    foreign_updates: Annotated[
        PositiveInt,
        doc("updates of the model that the notebook `foreign_model` trains"),
    ]


class DecoderRow(Spec, frozen=True, kw_only=True):
    """A model of the second study: one row of the table of models."""

    operation: Annotated[str, doc("`add`, `sub`, `mix`")]
    digits: Annotated[PositiveInt, doc("digits per operand")]
    layers: Annotated[PositiveInt, doc("layers of the decoder")]
    heads: Annotated[PositiveInt, doc("attention heads per layer")]
    steps: Annotated[int, Meta(ge=2), doc("number of updates")]
    seed: Annotated[NonNegativeInt, doc("seed of the weights and the questions")]
    parent: Annotated[
        str | None, doc("name of the model that supplies initial weights")
    ] = None
    insert: Annotated[InsertionMode | None, doc("insertion mode; needs a parent")] = (
        None
    )
    grokfast: Annotated[bool, doc("train with GrokFast: `yes` or `no`")]
    membership: Annotated[
        Literal["stated", "inferred", "ours"],
        doc("source of the row; `inferred` from the paper's count of 44"),
    ]

    @property
    def name(self) -> str:
        """Return the name, in the format of the paper's published models."""
        inserted = f"ins{self.insert}_" if self.insert else ""
        shape = f"d{self.digits}_l{self.layers}_h{self.heads}"
        grokfast = "_gf" if self.grokfast else ""
        steps = f"t{self.steps / 1000:g}K"
        return f"{inserted}{self.operation}_{shape}_{steps}{grokfast}_s{self.seed}"


class ScaleSettings(Spec, frozen=True):
    """Settings that a scale overrides."""

    linalg: Annotated[Overrides, doc("overrides of `linalg`")] = field(
        default_factory=dict
    )
    arith: Annotated[Overrides, doc("overrides of `arith`")] = field(
        default_factory=dict
    )


class TrainResources(Spec, frozen=True):
    """Resources of a training job."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    flops_per_second: Annotated[
        PositiveFloat, doc("assumed training rate, for the time limit")
    ]
    margin: Annotated[float, Meta(ge=1), doc("time limit divided by estimated time")]
    save_every: Annotated[
        NonNegativeInt, doc("minutes between checkpoints; 0: every update")
    ]


class PredictResources(Spec, frozen=True):
    """Resources of a job that evaluates a trained model."""

    gpus: Gpus
    threads: Threads
    mem_mb: Memory
    runtime: Annotated[int | str, doc("time limit: minutes, or with a unit: 1h")]

    def __post_init__(self) -> None:
        """Check that the runtime is a time."""
        minutes(self.runtime)


class Compute(Spec, frozen=True):
    """Resources of the jobs of a scale; they do not affect results."""

    train: TrainResources
    predict: PredictResources


class JobsSettings(Spec, frozen=True, kw_only=True):
    """Options of Slurm for a kind of jobs."""

    partition: Annotated[str, doc("partition, or several: `a,b`")]
    account: Annotated[str | None, doc("account; default: the user's own")] = None
    qos: Annotated[str | None, doc("quality of service")] = None
    constraint: Annotated[str | None, doc("features of the nodes")] = None
    exclude: Annotated[str | None, doc("nodes that are not used: `n[1-3],n7`")] = None

    def __post_init__(self) -> None:
        """Check that neither Snakemake nor a shell changes a name."""
        for key, value in structs.asdict(self).items():
            if value is not None and not SLURM_NAME.fullmatch(value):
                raise ValueError(
                    f"{key}: {value!r} is not a name; write one like gpu-a100, or "
                    "several without blanks, like a,b"
                )

    def resources(self) -> dict[str, str]:
        """Return the resources of Snakemake that the executor passes to Slurm."""
        named = {
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "slurm_extra": self.exclude and f"--exclude={shlex.quote(self.exclude)}",
        }
        return {name: value for name, value in named.items() if value}


class GpuJobsSettings(JobsSettings, frozen=True, kw_only=True):
    """Options of Slurm for jobs on GPUs."""

    gpu_model: Annotated[str | None, doc("type of the GPUs")] = None

    def resources(self) -> dict[str, str]:
        """Return the resources of Snakemake that the executor passes to Slurm."""
        model = {"gpu_model": self.gpu_model} if self.gpu_model else {}
        return super().resources() | model


class ClusterSettings(Spec, frozen=True):
    """A Slurm cluster; its settings do not affect results."""

    max_runtime: Annotated[
        int | str, doc("longest time limit of a job: 1440 (minutes), 24h or 1d")
    ]
    cpu: Annotated[JobsSettings, doc("jobs without a GPU")]
    gpu: Annotated[GpuJobsSettings, doc("jobs of scales whose jobs have GPUs")]

    def __post_init__(self) -> None:
        """Check that the time limit is a time."""
        minutes(self.max_runtime)

    def resources(self, gpus: int) -> dict[str, str]:
        """Return the resources of jobs of a scale with this number of GPUs per job."""
        return (self.gpu if gpus else self.cpu).resources()

    def limited(self, runtime: int | str) -> int:
        """Return a runtime in minutes, at most the longest one."""
        return min(minutes(runtime), minutes(self.max_runtime))


class Config(Spec, frozen=True):
    """The whole configuration."""

    default_scale: Annotated[str, doc("scale that `snakemake` builds by default")]
    record: RecordSettings
    linalg: LinalgSettings
    arith: ArithSettings
    scales: dict[str, ScaleSettings]
    compute: dict[str, Compute]
    cluster: ClusterSettings


def merge(base: Any, overrides: Any) -> Any:
    """Return a nested mapping with overrides; lists are replaced, not merged."""
    if not (isinstance(base, dict) and isinstance(overrides, dict)):
        return overrides
    return base | {
        key: merge(base[key], value) if key in base else value
        for key, value in overrides.items()
    }


SECTIONS = {"": Config, "linalg.recipes.*": Recipe, "row": DecoderRow}
BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
TYPE_NAMES: dict[type, str] = {
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "string",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
    inspect.DictType: "mapping",
}


def documentation() -> str:
    """Return a Markdown table of all settings, in which `*` is any name."""
    lines = ["| setting | type | meaning |", "|---|---|---|"]
    for section, struct in SECTIONS.items():
        for path, type_name, text in _leaves(section, inspect.type_info(struct)):
            lines.append(f"| `{path.strip('.')}` | {type_name} | {text} |")
    return "\n".join(lines) + "\n"


def _leaves(path: str, info: Any, text: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield path, type and description of every setting that has no fields."""
    match info:
        case inspect.Metadata(type=inner, extra_json_schema={"description": text}):
            yield from _leaves(path, inner, text)
        case inspect.StructType(fields=fields):
            for one in fields:
                yield from _leaves(f"{path}.{one.name}", one.type)
        case inspect.DictType(value_type=inspect.StructType() as inner):
            yield from _leaves(f"{path}.*", inner)
        case inspect.ListType(item_type=inspect.StructType() as inner):
            yield from _leaves(f"{path}[]", inner)
        case _:
            yield path, _type_name(info), text


def _type_name(info: Any) -> str:
    """Return the name of a type, with its bounds."""
    match info:
        case inspect.UnionType(types=types):
            return " or ".join(map(_type_name, types))
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case inspect.ListType(item_type=inner):
            return f"list: {_type_name(inner)}"
    bounds = [
        f"{sign} {getattr(info, bound)}"
        for bound, sign in BOUNDS.items()
        if getattr(info, bound, None) is not None
    ]
    return " ".join([TYPE_NAMES[type(info)], " and ".join(bounds)]).strip()
