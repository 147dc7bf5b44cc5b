"""Tidy tables of the first study: what models did, beside what the paper prints.

Shares lie between 0 and 1.  An empty cell was not measured, not printed or not reached.
A kind of table is registered with the function that builds it from a file of models.
"""

from __future__ import annotations

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
from mathprobe.paths import LINALG_NAME, RESULTS, parse
from mathprobe.registry import Registry

Row = dict[str, Any]
Frame = pd.DataFrame

TOLERANCE = 0.05  # of the paper's tables
DTYPES: dict[str, Any] = {
    **dict.fromkeys(  # a revision such as 7e10 is no number, and a seed may be "oracle"
        [
            *("model", "task", "law", "train", "test", "recipe", "seed", "machine"),
            *("cpu", "device", "python", "torch", "revision", "finished", "precision"),
            *("quantity", "group", "statistic", "verifier", "chosen_by"),
        ],
        "str",
    ),
    **dict.fromkeys(  # counts, which may be missing
        [
            *("seeds", "reached", "examples", "resolution", "budget", "parameters"),
            *("attempts", "threads", "matrices", "rejected", "count"),
            *("total", "fails", "questions", "nines", "nodes", "table"),
        ],
        COUNT := "Int64",
    ),
    "clean": "boolean",
}


def read(path: Path | str) -> Frame:
    """Read a CSV with the declared types; a size `n` is a number, or text as `5x3`."""
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
    shown = frame.reindex(columns=list(columns))
    files.write_text(path, shown.to_csv(index=False, lineterminator="\n"))


def records(frame: Frame) -> list[Row]:
    """Return the rows as dictionaries; a missing value is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return cast(list[Row], plain.to_dict("records"))


def read_concat(paths: Iterable[Path | str]) -> Frame:
    """Read tables of one kind, of several tasks and sizes, into one."""
    return pd.concat(map(read, paths), ignore_index=True)


def read_by_kind(paths: Iterable[Path]) -> dict[str, Frame]:
    """Read tables by their kind; those of several tasks and sizes become one."""
    found: dict[str, list[Frame]] = {}
    for path in paths:
        frame = read(path)
        fitting = (name for name in KINDS if KINDS[name].columns == tuple(frame))
        found.setdefault(next(fitting, path.stem), []).append(frame)
    return {name: pd.concat(own, ignore_index=True) for name, own in found.items()}


MODEL_KEYS = ("task", "n", "train", "recipe")  # of a model
ACCURACY_KEYS = ["task", "n", "train", "test"]  # what the paper prints one number for
STATISTIC_KEYS = ("quantity", "group", "tolerance", "statistic", "at")
RATE_KEYS = ("verifier", "chosen_by", "statistic")


@dataclass(frozen=True)
class TableKind:
    """A kind of tidy tables: how they are made, and where they are shown."""

    columns: tuple[str, ...] = ()
    build: Build | None = None  # from rows of all models
    model_file: str | None = None  # the models' file that has these; None: their run
    config_table: str | None = None  # of the configuration: its tasks and sizes
    published: str | None = None  # file of published numbers
    expected: Callable[[Frame, Frame], Frame] | None = None  # rows of models, printed
    keys: tuple[str, ...] = (*MODEL_KEYS, "test")  # columns that tell its rows apart
    pivot_keys: tuple[str, ...] = ("task", "n")  # those of them that tell pivots apart
    templates: tuple[str, ...] = ()  # LaTeX files that show it


KINDS: Registry[TableKind] = Registry("kind of table")
Build = Callable[..., Frame]


def table_kind(name: str, **facts: Any) -> Callable[[Build], Build]:
    """Register the decorated function as the builder of a kind of tables."""

    def register(build: Build) -> Build:
        KINDS.add(name)(TableKind(build=build, **facts))
        return build

    return register


def kinds_by_template() -> dict[str, list[str]]:
    """Return the LaTeX files of the paper, each with the kinds that it shows."""
    every = dict.fromkeys(file for known in KINDS.values() for file in known.templates)
    return {
        file: [name for name, known in KINDS.items() if file in known.templates]
        for file in every
    }


class ModelRows(NamedTuple):
    """The name of a model, and rows of one of its files with columns that say it."""

    name: tuple[Any, ...]
    rows: Frame

    @property
    def path(self) -> str:
        """Return the path of the model below its study."""
        task, n, distribution, recipe = self.name
        return LINALG_NAME.format(
            task=task, n=n, distribution=distribution, recipe=recipe
        )


def model_rows(recipe: str, run: Row, rows: Frame | None = None) -> ModelRows:
    """Name the rows of a model; without rows, its run is the only one."""
    data, schedule = run["spec"]["data"], run["spec"]["schedule"]
    n, columns = data["n"], data["columns"]
    name = (
        data["task"],
        n if n == columns else f"{n}x{columns}",
        data["distribution"],
        recipe,
    )
    rows = pd.json_normalize(run) if rows is None else rows
    steps = {"resolution": schedule["curve_every"], "budget": schedule["examples"]}
    return ModelRows(
        name, rows.assign(**dict(zip(MODEL_KEYS, name, strict=True)), **steps)
    )


def parse_model_path(path: str) -> tuple[Any, ...]:
    """Return the name of a model from its path below a study: task/distribution/nSIZE/recipe."""
    whole = f"{RESULTS}/linalg/{path}/run.json".format(scale="any")
    _, names = parse(whole, {})
    return names["task"], _size(names["n"]), names["distribution"], names["recipe"]


def build(
    kind: str,
    models: Sequence[ModelRows],
    published: dict[str, Frame],
    missing: Iterable[str] = (),
    targets: Sequence[tuple[str, float]] = (),
) -> Frame:
    """Build a kind of table of models; `missing` are paths of those without files.

    `targets` are paths of models, each with an accuracy to which examples are counted.
    """
    if not targets:
        return _build(kind, models, published, missing)
    parts = []
    for target in dict.fromkeys(accuracy for _, accuracy in targets):
        own = {path for path, accuracy in targets if accuracy == target}
        there = [model for model in models if model.path in own]
        gone = [path for path in missing if path in own]
        parts.append(_build(kind, there, published, gone, target=target))
    return pd.concat(parts, ignore_index=True)


def _build(
    kind: str,
    models: Sequence[ModelRows],
    published: dict[str, Frame],
    missing: Iterable[str],
    **options: Any,
) -> Frame:
    """Build a kind of table with the options of its builder.

    One outer merge sets printed numbers beside the measured ones and adds the rows of
    models that were not measured.
    """
    chosen: TableKind = KINDS[kind]
    if chosen.build is None:
        raise InputError(f"{kind!r}: a table that is not made from files of models")
    made = expected = Frame(columns=[*chosen.columns])
    names = [*(model.name for model in models), *map(parse_model_path, missing)]
    if models:
        rows = pd.concat([model.rows for model in models], ignore_index=True)
        made = chosen.build(rows, **options)
    if chosen.expected and names:
        printed = published.get(chosen.published or "", Frame(columns=["n"]))
        expected = chosen.expected(
            Frame(names, columns=[*MODEL_KEYS]).astype({"n": object}),
            printed.astype({"n": object}),
        )
    if len(expected):
        made = _merge_published(made, expected, [*chosen.keys]).assign(**options)
    made = made.reindex(columns=[*chosen.columns])
    return made.astype({c: COUNT for c in chosen.columns if DTYPES.get(c) == COUNT})


def _merge_published(made: Frame, expected: Frame, keys: list[str]) -> Frame:
    """Merge measured and expected rows; the measured ones come first."""
    measured = len(made)
    made = made.astype({"n": object}) if measured else expected.iloc[:0]
    made = made.assign(_place=range(measured))
    expected = expected.assign(_place=range(measured, measured + len(expected)))
    both = made.merge(expected, "outer", keys, suffixes=("", "_printed"))
    for column in {*made} & {*expected} - {*keys}:  # places, the threshold of a rule
        both[column] = both[column].fillna(both[f"{column}_printed"])
    return both.sort_values("_place", ignore_index=True)


def _tested(models: Frame, tests: Callable[[str, str], Iterable[str]]) -> Frame:
    """Return a row for every test of every model."""
    names = zip(models["task"], models["train"], strict=True)
    tested = pd.Series([[*tests(*name)] for name in names], models.index, object)
    return models.assign(test=tested).explode("test", ignore_index=True)


def _on_all_tests(models: Frame, printed: Frame) -> Frame:
    def tests(task: str, distribution: str) -> Iterable[str]:
        return dict.fromkeys([*distributions_for(task), *components(distribution)])

    return _tested(models, tests).merge(printed, "left", ACCURACY_KEYS)


def _on_printed_tests(models: Frame, printed: Frame) -> Frame:
    tested = models.merge(printed[["task", "n", "test"]].drop_duplicates())
    return tested.merge(printed, "left", ACCURACY_KEYS)


def _in_distribution(models: Frame, printed: Frame) -> Frame:
    return _tested(models, lambda _, distribution: components(distribution)).merge(
        printed, on=[*MODEL_KEYS]
    )


def _at_table_tolerance(models: Frame, printed: Frame) -> Frame:
    return models.assign(tolerance=TOLERANCE)


# By `statistics`, whose sums are exact: the order of the seeds does not matter.
def mean(values: pd.Series) -> float:
    """Return the mean of the values that are known; without any NaN."""
    known = values.dropna()
    return fmean(known) if len(known) else math.nan


def _spread(values: pd.Series) -> float:
    """Return the standard deviation over seeds; of one seed there is none: NaN."""
    known = values.dropna()
    return stdev(known) if len(known) > 1 else math.nan


def _over_seeds(scores: Frame, keys: Sequence[str]) -> Frame:
    """Average the seeds of every model on every test.

    The interval is that of the mean accuracy on these examples; the seeds share them.
    """
    made = scores.groupby([*keys], sort=False).agg(
        seeds=("accuracy", "size"),
        examples=("examples", "first"),
        accuracy=("accuracy", mean),
        spread=("accuracy", _spread),
        oracle=("oracle", "first"),
        malformed=("malformed", mean),
    )
    correct = (made["accuracy"] * made["examples"]).round().astype(int)
    ends = [*map(wilson, correct, made["examples"])]
    made["low"], made["high"] = [low for low, _ in ends], [high for _, high in ends]
    return made.reset_index()


@table_kind(
    "ood",
    model_file="scores.csv",
    config_table="out_of_distribution",
    published="accuracy",
    expected=_on_all_tests,
    columns=(
        *("task", "train", "test", "n", "recipe", "seeds", "examples"),
        *("accuracy", "low", "high", "oracle", "published", "spread"),
    ),
    templates=("out_of_distribution", "squares"),
)
def ood(scores: Frame) -> Frame:
    """Average every model on every distribution (tables 1, 2, 3 and 5)."""
    shown = scores[scores["tolerance"] == TOLERANCE]
    return _over_seeds(shown, (*MODEL_KEYS, "test"))


@table_kind(
    "tolerances",
    model_file="scores.csv",
    config_table="out_of_distribution",
    expected=_at_table_tolerance,
    keys=(*MODEL_KEYS, "tolerance"),
    columns=(
        *("task", "n", "train", "recipe", "tolerance", "seeds", "examples"),
        *("accuracy", "low", "high", "spread", "oracle", "malformed"),
    ),
    templates=("tolerances",),
)
def tolerances(scores: Frame) -> Frame:
    """Average every model on its own distribution, at all tolerances."""
    return _over_seeds(
        scores[scores["test"] == scores["train"]], (*MODEL_KEYS, "tolerance")
    )


@table_kind(
    "curves",
    model_file="curve.csv",
    config_table="learning_speed",
    published="learning_speed",
    expected=_on_printed_tests,
    columns=(
        *("task", "train", "n", "recipe", "seed", "examples", "test"),
        *("accuracy", "malformed", "loss"),
    ),
)
def curves(curve: Frame) -> Frame:
    """Keep the learning curves as they are."""
    return curve


@table_kind(
    "learning_speed",
    model_file="curve.csv",
    config_table="learning_speed",
    published="learning_speed",
    expected=_on_printed_tests,
    columns=(
        *("task", "train", "test", "n", "recipe", "target", "seeds", "reached"),
        *("examples", "spread", "resolution", "budget", "best", "published"),
    ),
    templates=("learning_speed",),
)
def learning_speed(curve: Frame, target: float) -> Frame:
    """Read from the curves how many examples a target accuracy takes (tables 6, 7)."""
    keys = [*MODEL_KEYS, "test", "resolution", "budget"]
    seeds = curve.groupby([*keys, "seed"], sort=False)
    per_seed = seeds.agg(best=("accuracy", "max"))
    per_seed["examples"] = [examples_to_reach(points, target) for _, points in seeds]
    made = per_seed.groupby(keys, sort=False).agg(
        seeds=("best", "size"),
        reached=("examples", "count"),
        examples=("examples", mean),
        spread=("examples", _spread),
        best=("best", mean),
    )
    missed = made["reached"] < made["seeds"]  # by some seed
    made[["examples", "spread"]] = made[["examples", "spread"]].mask(missed)
    made["examples"] = made["examples"].round()
    return made.assign(target=target).reset_index()


def examples_to_reach(curve: Frame, target: float) -> float | None:
    """Interpolate where a curve of examples and accuracy first reaches a target."""
    before = 0.0, 0.0
    for examples, accuracy in curve[["examples", "accuracy"]].itertuples(index=False):
        if accuracy >= target:
            share = (target - before[1]) / (accuracy - before[1])
            return before[0] + share * (examples - before[0])
        before = examples, accuracy
    return None


@table_kind(
    "failures",
    model_file="properties.csv",
    config_table="failures",
    published="failures",
    expected=_in_distribution,
    keys=(*MODEL_KEYS, "test", *STATISTIC_KEYS),
    pivot_keys=(*MODEL_KEYS, "test"),
    columns=(
        *("task", "train", "test", "n", "recipe", *STATISTIC_KEYS),
        *("seeds", "examples", "value", "low", "high", "spread"),
        *("oracle", "published", "notebook"),
    ),
    templates=("failures", "verifiers"),
)
def failures(properties: Frame) -> Frame:
    """Average what the failures of every model keep, at home (section 2)."""
    return _mean_in_distribution(properties, STATISTIC_KEYS, ("value", "low", "high"))


@table_kind(
    "verifiers",
    model_file="verifiers.csv",
    config_table="failures",
    published="verifiers",
    expected=_in_distribution,
    keys=(*MODEL_KEYS, "test", *RATE_KEYS),
    pivot_keys=(*MODEL_KEYS, "test"),
    columns=(
        *("task", "train", "test", "n", "recipe", "verifier", "chosen_by"),
        *("threshold", "statistic", "seeds", "examples", "value", "low", "high"),
        *("spread", "oracle", "published"),
    ),
    templates=("verifiers",),
)
def verifiers(rates: Frame) -> Frame:
    """Average how well rules predict every model's failures, at home (section 3).

    A calibrated threshold is the mean of those that the seeds were given.
    """
    return _mean_in_distribution(
        rates, RATE_KEYS, ("value", "low", "high", "threshold")
    )


def _mean_in_distribution(
    rows: Frame, keys: Sequence[str], averaged: Sequence[str]
) -> Frame:
    """Average the seeds of every statistic of a model on its own distribution.

    The means are those over the seeds that have a value; the bounds are means as well:
    what the examples of one seed leave open.
    """
    keys = [*MODEL_KEYS, "test", *keys]
    tests = zip(rows["test"], rows["train"], strict=True)
    rows = rows.loc[[test in components(distribution) for test, distribution in tests]]
    exact = rows[rows["seed"] == ORACLE].set_index(keys)["value"].rename("oracle")
    seeds = rows[rows["seed"] != ORACLE]
    known = seeds["value"].notna()
    some = known.groupby([seeds[key] for key in keys], dropna=False).transform("any")
    groups = seeds[known | ~some].groupby(keys, sort=False, dropna=False)
    made = groups.agg(
        seeds=("value", "count"),
        examples=("examples", lambda counts: round(fmean(counts))),
        **{column: (column, mean) for column in averaged},
        spread=("value", _spread),
    )
    return made.reset_index().merge(exact.reset_index(), "left", keys)


@table_kind(
    "roc",
    model_file="roc.csv",
    config_table="failures",
    columns=(
        *("task", "train", "n", "recipe", "seed", "test", "verifier", "threshold"),
        *("false_positive_rate", "true_positive_rate"),
    ),
)
def roc(points: Frame) -> Frame:
    """Keep the ROC curves at home as they are."""
    return points


@table_kind(
    "runs",
    columns=(
        *("model", "task", "law", "n", "recipe", "machine", "cpu", "device", "threads"),
        *("precision", "seeds", "parameters", "examples", "seconds"),
        *("examples_per_second", "attempts"),
        *("finished", "python", "torch", "revision", "clean", "joules"),
    ),
    templates=("runs",),
)
def runs(made: Frame) -> Frame:
    """Describe what was trained where, and for how long."""
    path = "{task}/{train}/n{n}/{recipe}"
    return made.assign(
        model=[path.format(**row) for row in records(made)],
        law=made["train"],
        torch=made["versions.torch"],
        seeds=made["spec.seeds"],
        precision=made["spec.precision"],
    )


def condition_numbers(rows: Iterable[Row], published: dict[str, Frame]) -> Frame:
    """Set printed quantiles beside those of a sample (table 4)."""
    sample = Frame(rows).assign(task="symmetric_inverse").astype({"n": object})
    keys = [*KINDS["condition_numbers"].keys]
    printed = published["condition_numbers"][[*keys, "published"]]
    return sample.merge(printed.astype({"n": object}), "left", keys)


for _name, _kind in {  # tables that are not made from files of models
    "condition_numbers": TableKind(
        columns=(
            *("task", "law", "n", "matrices", "rejected", "quantile"),
            *("value", "low", "high", "published"),
        ),
        published="condition_numbers",
        keys=("task", "n", "law", "quantile"),
        templates=("condition_numbers",),
    ),
    "ceilings": TableKind(
        published="accuracy",
        keys=("task", "n", "input", "output", "law", "test", "tolerance"),
        pivot_keys=("task", "n", "input", "output", "law"),
        templates=("ceilings",),
    ),
    "evidence": TableKind(templates=("errata",)),
    "arith_accuracy": TableKind(templates=("arith_accuracy",)),
    "arith_curves": TableKind(),
    "arith_evidence": TableKind(templates=("arith_errata",)),
    **{
        f"arith_{name}": TableKind(templates=("arith_circuits",))
        for name in ("circuits", "controls", "claims", "reuse")
    },
}.items():
    KINDS.add(_name)(_kind)
