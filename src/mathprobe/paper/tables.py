"""Tidy tables of the first study: measured values next to published ones.

Shares are between 0 and 1.  An empty cell was not measured, not published or not
reached.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple, cast

import pandas as pd

from mathprobe import files
from mathprobe.errors import InputError
from mathprobe.intervals import wilson
from mathprobe.linalg.distributions import components
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.scores import ORACLE
from mathprobe.paths import RESULTS, parse, run_file
from mathprobe.registry import Registry

Frame = pd.DataFrame
Row = dict[str, Any]
Tables = dict[str, Frame]  # tidy tables by kind
Name = tuple[Any, ...]  # of a model: values of MODEL_KEYS
Build = Callable[..., Frame]

TOLERANCE = 0.05  # relative error below which the paper's tables count an answer right


def names(text: str) -> tuple[str, ...]:
    """Return the words of a text, for instance names of columns."""
    return tuple(text.split())


STRINGS = names(  # revision 7e10 is not a number; a seed may be "oracle"
    "model task distribution train test recipe seed machine cpu device python torch "
    "revision finished precision kind quantity group statistic verifier chosen_by"
)
COUNTS = names(  # integers, which may be missing
    "seeds reached examples resolution budget parameters attempts threads matrices "
    "rejected count total fails questions nines nodes published_rule table"
)
COUNT = "Int64"
DTYPES: dict[str, Any] = dict.fromkeys(STRINGS, "str") | {"clean": "boolean"}
DTYPES |= dict.fromkeys(COUNTS, COUNT)


def read(path: Path | str) -> Frame:
    """Read a CSV with the declared dtypes; a size `n` is an integer, or text (5x3)."""
    return pd.read_csv(
        path,
        dtype=DTYPES,
        converters={"n": _size},
        na_values=[""],
        keep_default_na=False,  # a distribution may be called NA
    )


def _size(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def write(path: Path | str, frame: Frame, columns: Sequence[str]) -> None:
    """Write exactly these columns as CSV; a column that the frame lacks is empty."""
    text = frame.reindex(columns=list(columns)).to_csv(index=False, lineterminator="\n")
    files.write_text(path, text)


def records(frame: Frame) -> list[Row]:
    """Return the rows as dictionaries; a missing value is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return cast(list[Row], plain.to_dict("records"))


def read_concat(paths: Iterable[Path | str]) -> Frame:
    """Read tables of one kind and concatenate them."""
    return concat([*map(read, paths)])


def concat(frames: list[Frame]) -> Frame:
    """Concatenate tables; those without rows have no types, so they are left out."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled or frames, ignore_index=True)


def read_by_kind(paths: Iterable[Path]) -> Tables:
    """Read tables, recognise their kinds by their columns, and concatenate them.

    Raises InputError for a table whose columns match no kind.
    """
    found: dict[str, list[Frame]] = {}
    for path in paths:
        frame = read(path)
        fitting = [name for name, kind in KINDS.items() if kind.columns == tuple(frame)]
        if path.stem in KINDS and not KINDS[path.stem].columns:
            fitting = [path.stem]  # a kind without declared columns
        if not fitting:
            raise InputError(f"{path}: its columns match no kind of table")
        found.setdefault(fitting[0], []).append(frame)
    return {name: concat(own) for name, own in found.items()}


MODEL_KEYS = ("task", "n", "train", "recipe")  # identify a model
RESULTS_OF_MODELS = ("accuracy", "best", "value")  # the column of a kind of table
ACCURACY_KEYS = ["task", "n", "train", "test"]  # identify a published accuracy
STATISTIC_KEYS = ("quantity", "group", "tolerance", "statistic", "at")
RATE_KEYS = ("verifier", "chosen_by", "statistic")


@dataclass(frozen=True)
class TableKind:
    """A kind of tidy table: columns, builder, and the LaTeX files that print it."""

    columns: tuple[str, ...] = ()
    build: Build | None = None  # from the rows of all models; None: built elsewhere
    model_file: str | None = None  # file of each model; None: only its run.json
    config_table: str | None = None  # list of tasks and sizes in the configuration
    published: str | None = None  # file of published numbers
    expected: Callable[[Frame, Frame], Frame] | None = None  # from models and published
    keys: tuple[str, ...] = (*MODEL_KEYS, "test")  # columns that identify a row
    pivot_keys: tuple[str, ...] = ("task", "n")  # keys that rows of a pivot share
    templates: tuple[str, ...] = ()  # LaTeX files that print it
    unfinished: bool = False  # whether it also has the unfinished models of a record


KINDS: Registry[TableKind] = Registry("kind of table")


def table_kind(name: str, columns: str, **fields: Any) -> Callable[[Build], Build]:
    """Register the decorated function as the builder of a table with these columns."""

    def register(build: Build) -> Build:
        KINDS.add(name)(TableKind(names(columns), build, **fields))
        return build

    return register


class ModelRows(NamedTuple):
    """The rows of a file of a model, with MODEL_KEYS as columns."""

    name: Name
    rows: Frame


def model_rows(recipe: str, run: Row, rows: Frame | None = None) -> ModelRows:
    """Add the name of a model to its rows; by default its only row is its run."""
    data, schedule = run["spec"]["data"], run["spec"]["schedule"]
    n = data["n"] if data["n"] == data["columns"] else f"{data['n']}x{data['columns']}"
    name = data["task"], n, data["distribution"], recipe
    added = {"resolution": schedule["curve_every"], "budget": schedule["examples"]}
    added |= zip(MODEL_KEYS, name, strict=True)
    rows = pd.json_normalize(run) if rows is None else rows
    return ModelRows(name, rows.assign(**added))


def read_models(kind: str, folders: Iterable[Path]) -> list[ModelRows]:
    """Read the rows that a table of this kind has of each model, by its folder."""
    file = KINDS[kind].model_file
    return [
        model_rows(
            folder.name,
            files.read_json(run_file(folder)),
            read(folder / file) if file else None,
        )
        for folder in folders
    ]


def _model_name(path: str) -> Name:
    """Return the name of a model from its path task/distribution/nSIZE/recipe."""
    _, names = parse(f"{RESULTS}/linalg/{path}/run.json".format(scale="any"), {})
    return names["task"], _size(names["n"]), names["distribution"], names["recipe"]


def measured(rows: Frame) -> Frame:
    """Return the rows of models that have results; a record may lack those of others.

    Tables without a column of results, or without models, are returned unchanged.
    """
    column = next((name for name in RESULTS_OF_MODELS if name in rows), None)
    if column is None or not {*MODEL_KEYS} <= {*rows} or rows.empty:
        return rows
    return rows[rows.groupby([*MODEL_KEYS])[column].transform("count") > 0]


def build(
    kind: str,
    models: Sequence[ModelRows],
    published: Tables,
    missing: Iterable[str] = (),
    targets: Iterable[tuple[str, float]] = (),
) -> Frame:
    """Build a table; one outer merge adds published numbers and rows of missing models.

    `missing` are the paths of models without files.  `targets` are pairs of a model's
    path and a target accuracy; learning speed counts the examples until this accuracy.
    Raises UnknownName or InputError for kinds that are not built from models.
    """
    chosen = KINDS[kind]
    if chosen.build is None:
        raise InputError(f"{kind!r}: tables of this kind are not built from models")
    lacking = [*map(_model_name, missing)]
    groups: dict[float | None, list[Name]] = {}
    for path, accuracy in targets:
        groups.setdefault(accuracy, []).append(_model_name(path))
    groups = groups or {None: [*(model.name for model in models), *lacking]}
    parts = []
    for target, members in groups.items():
        own = [model for model in models if model.name in members]
        own_missing = [name for name in lacking if name in members]
        options = {} if target is None else {"target": target}
        parts.append(_build(chosen, own, published, own_missing, options))
    return pd.concat(parts, ignore_index=True)


def _build(
    kind: TableKind,
    models: Sequence[ModelRows],
    published: Tables,
    missing: list[Name],
    options: dict[str, float],
) -> Frame:
    measured = expected = Frame(columns=[*kind.columns])
    names = [*(model.name for model in models), *missing]
    if models and kind.build:
        rows = pd.concat([model.rows for model in models], ignore_index=True)
        measured = kind.build(rows, **options)
    if kind.expected and names:
        named = Frame(names, columns=[*MODEL_KEYS]).astype({"n": object})
        printed = Frame(columns=["n"])
        if kind.published:
            printed = published[kind.published]
        expected = kind.expected(named, printed.astype({"n": object}))
    if len(expected):
        merged = _merge_published(measured, expected, [*kind.keys])
        measured = merged.assign(**options)
    table = measured.reindex(columns=[*kind.columns])
    return table.astype({c: COUNT for c in kind.columns if c in COUNTS})


def _merge_published(measured: Frame, expected: Frame, keys: list[str]) -> Frame:
    """Merge measured and expected rows; the measured ones come first."""
    count = len(measured)
    measured = measured.astype({"n": object}) if count else expected.iloc[:0]
    measured = measured.assign(_order=range(count))
    expected = expected.assign(_order=range(count, count + len(expected)))
    both = measured.merge(expected, "outer", keys, suffixes=("", "_expected"))
    for column in {*measured} & {*expected} - {*keys}:  # order; threshold of a verifier
        both[column] = both[column].fillna(both[f"{column}_expected"])
    return both.sort_values("_order", ignore_index=True)


def _on_all_tests(models: Frame, printed: Frame) -> Frame:
    tests = [
        [*dict.fromkeys([*distributions_for(task), *components(train)])]
        for task, train in zip(models["task"], models["train"], strict=True)
    ]
    tested = models.assign(test=pd.Series(tests, models.index)).explode("test")
    return tested.merge(printed, "left", ACCURACY_KEYS)


def _on_published_tests(models: Frame, printed: Frame) -> Frame:
    tested = models.merge(printed[["task", "n", "test"]].drop_duplicates())
    return tested.merge(printed, "left", ACCURACY_KEYS)


def _in_distribution(models: Frame, printed: Frame) -> Frame:
    tested = models.assign(test=models["train"].map(components)).explode("test")
    return tested.merge(printed, on=[*MODEL_KEYS])


# The sums of `statistics` are exact, so the order of the seeds does not matter.
def mean(values: pd.Series) -> float:
    """Return the mean of the values that are not missing; NaN if all are."""
    known = values.dropna()
    return fmean(known) if len(known) else math.nan


def _spread(values: pd.Series) -> float:
    """Return the standard deviation over seeds; NaN for fewer than two."""
    known = values.dropna()
    return stdev(known) if len(known) > 1 else math.nan


def _over_seeds(scores: Frame, keys: Sequence[str]) -> Frame:
    """Average the seeds of each model; intervals are for the examples of one seed."""
    averages = scores.groupby([*keys], sort=False).agg(
        seeds=("accuracy", "size"),
        examples=("examples", "first"),
        accuracy=("accuracy", mean),
        spread=("accuracy", _spread),
        oracle=("oracle", "first"),
        malformed=("malformed", mean),
    )
    correct = (averages["accuracy"] * averages["examples"]).round().astype(int)
    ends = [*map(wilson, correct, averages["examples"])]
    averages["low"] = [low for low, _ in ends]
    averages["high"] = [high for _, high in ends]
    return averages.reset_index()


@table_kind(
    "ood",
    "task train test n recipe seeds examples accuracy low high oracle published spread",
    model_file="scores.csv",
    config_table="out_of_distribution",
    published="accuracy",
    expected=_on_all_tests,
    templates=("out_of_distribution", "accuracy_matrices", "trend"),
)
def ood(scores: Frame) -> Frame:
    """Average the accuracy of every model on every test (Tables 1, 2, 3 and 5)."""
    return _over_seeds(scores[scores["tolerance"] == TOLERANCE], (*MODEL_KEYS, "test"))


@table_kind(
    "tolerances",
    "task n train recipe tolerance seeds examples accuracy low high spread oracle "
    "malformed",
    model_file="scores.csv",
    config_table="out_of_distribution",
    expected=lambda models, _: models.assign(tolerance=TOLERANCE),
    keys=(*MODEL_KEYS, "tolerance"),
    templates=("tolerances",),
)
def tolerances(scores: Frame) -> Frame:
    """Average the accuracy of every model in distribution, by tolerance.

    That of a mixture is the mean over its components.
    """
    in_mixture = zip(scores["test"], scores["train"], strict=True)
    own = scores[[test in components(train) for test, train in in_mixture]]
    keys = [*MODEL_KEYS, "tolerance"]
    per_seed = own.groupby([*keys, "seed"], sort=False, as_index=False).agg(
        examples=("examples", "sum"),
        accuracy=("accuracy", "mean"),
        oracle=("oracle", "mean"),
        malformed=("malformed", "mean"),
    )
    return _over_seeds(per_seed, keys)


@table_kind(
    "learning_speed",
    "task train test n recipe target seeds reached examples spread resolution budget "
    "best published",
    model_file="curve.csv",
    config_table="learning_speed",
    published="learning_speed",
    expected=_on_published_tests,
    templates=("learning_speed", "trend"),
)
def learning_speed(curve: Frame, target: float) -> Frame:
    """Count training examples until all seeds reach an accuracy (Tables 6 and 7)."""
    keys = [*MODEL_KEYS, "test", "resolution", "budget"]
    seeds = curve.groupby([*keys, "seed"], sort=False)
    per_seed = seeds.agg(best=("accuracy", "max"))
    per_seed["examples"] = [examples_to_reach(points, target) for _, points in seeds]
    averages = per_seed.groupby(keys, sort=False).agg(
        seeds=("best", "size"),
        reached=("examples", "count"),
        examples=("examples", mean),
        spread=("examples", _spread),
        best=("best", mean),
    )
    missed = averages["reached"] < averages["seeds"]
    averages[["examples", "spread"]] = averages[["examples", "spread"]].mask(missed)
    averages["examples"] = averages["examples"].round()
    return averages.assign(target=target).reset_index()


def examples_to_reach(curve: Frame, target: float) -> float | None:
    """Return the examples until a curve, interpolated linearly, reaches a target."""
    before = 0.0, 0.0
    for examples, accuracy in curve[["examples", "accuracy"]].itertuples(index=False):
        if accuracy >= target:
            share = (target - before[1]) / (accuracy - before[1])
            return before[0] + share * (examples - before[0])
        before = examples, accuracy
    return None


@table_kind(
    "failures",
    "task train test n recipe quantity group tolerance statistic at seeds examples "
    "value low high spread oracle published notebook",
    model_file="properties.csv",
    config_table="failures",
    published="failures",
    expected=_in_distribution,
    keys=(*MODEL_KEYS, "test", *STATISTIC_KEYS),
    pivot_keys=(*MODEL_KEYS, "test"),
    templates=("failures", "verifiers"),
)
def failures(properties: Frame) -> Frame:
    """Average the properties of answers in distribution (section 2)."""
    return _mean_in_distribution(properties, STATISTIC_KEYS, "value", "low", "high")


@table_kind(
    "verifiers",
    "task train test n recipe verifier chosen_by threshold statistic seeds examples "
    "value low high spread oracle published",
    model_file="verifiers.csv",
    config_table="failures",
    published="verifiers",
    expected=_in_distribution,
    keys=(*MODEL_KEYS, "test", *RATE_KEYS),
    pivot_keys=(*MODEL_KEYS, "test"),
    templates=("verifiers",),
)
def verifiers(rates: Frame) -> Frame:
    """Average rates and thresholds of verifiers in distribution (section 3)."""
    return _mean_in_distribution(rates, RATE_KEYS, "value", "low", "high", "threshold")


def _mean_in_distribution(rows: Frame, keys: Sequence[str], *averaged: str) -> Frame:
    """Average statistics and their bounds over the seeds that have a value."""
    keys = [*MODEL_KEYS, "test", *keys]
    tests = zip(rows["test"], rows["train"], strict=True)
    rows = rows.loc[[test in components(train) for test, train in tests]]
    oracle = rows[rows["seed"] == ORACLE].set_index(keys)["value"].rename("oracle")
    seeds = rows[rows["seed"] != ORACLE]
    known = seeds["value"].notna()
    some = known.groupby([seeds[key] for key in keys], dropna=False).transform("any")
    groups = seeds[known | ~some].groupby(keys, sort=False, dropna=False)
    averages = groups.agg(
        seeds=("value", "count"),
        examples=("examples", lambda counts: round(fmean(counts))),
        **{column: (column, mean) for column in averaged},
        spread=("value", _spread),
    )
    return averages.reset_index().merge(oracle.reset_index(), "left", keys)


@table_kind(
    "runs",
    "model task train n recipe machine cpu device threads precision seeds parameters "
    "examples seconds examples_per_second attempts finished python torch revision "
    "clean joules",
    templates=("runs",),
)
def runs(trained: Frame) -> Frame:
    """Return the machine, software and duration of each training."""
    path = "{task}/{train}/n{n}/{recipe}"
    return trained.assign(
        model=[path.format(**row) for row in records(trained)],
        torch=trained["versions.torch"],
        seeds=trained["spec.seeds"],
        precision=trained["spec.precision"],
    )


def costs(runs: Iterable[tuple[str, Row]]) -> Frame:
    """Return the examples, hours and energy of each model of both studies so far.

    They are those of all seeds together.  `runs` are pairs of the name of the folder
    and the content of run.json.  `hours` are hours of a GPU, or of a CPU core.
    """
    rows = []
    for folder, run in runs:
        spec, on_cpu = run["spec"], run["device"] == "cpu"
        if "data" in spec:
            task, n, train, recipe = model_rows(folder, run).name
            kind = f"{task.replace('_', ' ')}, n = {n}, {recipe}"
            model, total = f"{task}/{train}/n{n}/{recipe}", spec["schedule"]["examples"]
        else:
            model, kind = spec["name"], " and ".join(spec["questions"]["shares"])
            total = spec["schedule"]["updates"] * spec["schedule"]["batch"]
        hours = run["seconds"] * (run["threads"] if on_cpu else 1) / 3600
        seeds = spec.get("seeds", 1)
        named = {"model": model, "kind": kind, "hours": hours}
        counts = {"examples": seeds * run["examples"], "total": seeds * total}
        rows.append({**run, **named, **counts})
    return Frame(rows, columns=[*KINDS["costs"].columns])


def condition_numbers(rows: Iterable[Row], published: Tables) -> Frame:
    """Add the published quantiles to those of a sample (Table 4)."""
    sample = Frame(rows).assign(task="symmetric_inverse").astype({"n": object})
    keys = [*KINDS["condition_numbers"].keys]
    printed = published["condition_numbers"][[*keys, "published"]]
    return sample.merge(printed.astype({"n": object}), "left", keys)


table_kind(
    "curves",
    "task train n recipe seed examples test accuracy malformed loss",
    model_file="curve.csv",
    config_table="learning_speed",
    published="learning_speed",
    expected=_on_published_tests,
    templates=("learning_speed",),
    unfinished=True,
)(lambda rows: rows)
table_kind(
    "roc",
    "task train n recipe seed test verifier threshold false_positive_rate "
    "true_positive_rate",
    model_file="roc.csv",
    config_table="failures",
)(lambda rows: rows)

for _name, _kind in {  # tables that are not built from files of models
    "condition_numbers": TableKind(
        names(
            "task distribution n matrices rejected quantile value low high published"
        ),
        published="condition_numbers",
        keys=("task", "n", "distribution", "quantile"),
        templates=("condition_numbers",),
    ),
    "costs": TableKind(
        names("model kind device examples total hours joules finished"),
        templates=("costs",),
    ),
    "oracle_accuracy": TableKind(
        published="accuracy",
        keys=("task", "n", "input", "output", "distribution", "test", "tolerance"),
        pivot_keys=("task", "n", "input", "output", "distribution"),
        templates=("oracle_accuracy",),
    ),
    "evidence": TableKind(templates=("errata",)),
    "arith_accuracy": TableKind(templates=("arith_accuracy",)),
    "arith_curves": TableKind(),
    "arith_evidence": TableKind(templates=("arith_errata",)),
    "arith_circuits": TableKind(templates=("arith_circuits", "arith_subtasks")),
    "arith_controls": TableKind(templates=("arith_circuits",)),
    "arith_claims": TableKind(templates=("arith_circuits",)),
    "arith_reuse": TableKind(templates=("arith_subtasks",)),
    "arith_sufficiency": TableKind(),
    "findings": TableKind(
        names("claim paper statement published scale recorded size ours verdict label"),
        keys=("claim", "scale", "recorded"),
        templates=("reproduced",),
    ),
}.items():
    KINDS.add(_name)(_kind)
