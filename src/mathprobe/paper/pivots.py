"""Pivots of tidy tables for LaTeX, macros, figures and notebooks."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, groupby
from typing import Any

import pandas as pd

from mathprobe.catalog import parse_size
from mathprobe.intervals import matches
from mathprobe.linalg.distributions import components
from mathprobe.paper.naming import (
    Model,
    group,
    sort_distributions,
    task_title,
)
from mathprobe.paper.published import nearest_size, table_number
from mathprobe.paper.tables import (
    KINDS,
    TOLERANCE,
    Frame,
    Row,
    Tables,
    mean,
    measured,
    records,
)
from mathprobe.structs import flatten

Key = tuple[Any, ...]  # values of the columns that identify a row
Accuracies = dict[Key, float]  # shares by training and test distribution

ORDER: dict[str, Callable[[Iterable[Any]], list[Any]]] = {
    "test": sort_distributions,
    "tolerance": partial(sorted, reverse=True),
}
EMPTY: Row = dict.fromkeys(
    ("accuracy", "value", "low", "high", "spread", "oracle", "threshold", "examples")
)


def column_by_keys(rows: Frame, keys: Iterable[str], column: str) -> dict[Key, Any]:
    """Return the values of a column that are not missing, by values of key columns."""
    known = records(rows.dropna(subset=column)) if column in rows else []
    return {tuple(row[key] for key in keys): row[column] for row in known}


@dataclass(frozen=True)
class Pivot:
    """Tidy rows of one task and size, or of one model, with the published numbers."""

    task: str
    n: int | str
    rows: Frame
    printed: Frame  # published rows of the nearest size
    keys: tuple[str, ...]  # of a row; the last one goes across in `wide`
    recipe: str = ""  # of all models, if other pivots differ only in the recipe

    @property
    def is_measured(self) -> bool:
        """Return whether any of its models has results."""
        return len(measured(self.rows)) > 0

    @property
    def size_name(self) -> str:
        """Return the task and size, as in file names."""
        return f"{self.task}_n{self.n}"

    @property
    def name(self) -> str:
        """Return the name for files and labels."""
        return f"{self.size_name}_{self.recipe}".rstrip("_")

    @property
    def title(self) -> str:
        """Return the task and size, with the number of the paper's table, if any."""
        numbered = self.table_number and self.same_size
        table = f" (Table {self.table_number} of Charton, 2022)" if numbered else ""
        recipe = self.recipe and f", {self.recipe}"
        return task_title(self.task, self.n) + table + recipe

    @property
    def published_n(self) -> int | None:
        """Return the nearest published size, if any."""
        return int(self.printed["n"].iloc[0]) if len(self.printed) else None

    @property
    def same_size(self) -> bool:
        """Return whether the published numbers are for this size."""
        return self.published_n == self.n

    @property
    def table_number(self) -> int | None:
        """Return the number of the paper's table of the published size, if any."""
        return table_number(self.printed, self.task, self.published_n)

    @cached_property
    def models(self) -> list[Model]:
        """Return the models by recipe, then by training distribution."""
        rows = self.rows.assign(recipe=self.rows.get("recipe", ""))
        return [
            Model(train, str(recipe))
            for recipe, own in rows.groupby("recipe", sort=False)
            for train in sort_distributions(own[self.keys[0]])
        ]

    @cached_property
    def columns(self) -> list[Any]:
        """Return the sorted values of the last key, which are the columns."""
        across = self.keys[-1]
        return ORDER.get(across, sorted)(self.rows[across].dropna().unique())

    @cached_property
    def cells(self) -> dict[Key, Row]:
        """Return the rows by key; a key that is missing has a row without numbers."""
        rows = (
            (tuple(row[key] for key in self.keys), row) for row in records(self.rows)
        )
        return defaultdict(lambda: EMPTY, rows)

    @cached_property
    def published(self) -> dict[Key, float]:
        """Return the published numbers by the keys that are published columns."""
        keys = [key for key in self.keys if key in self.printed]
        return column_by_keys(self.printed, keys, "published")

    @cached_property
    def notebook(self) -> dict[Key, float]:
        """Return the numbers in the stored output of the published notebook by key."""
        return column_by_keys(self.printed, self.keys, "notebook")

    @property
    def has_alternatives(self) -> bool:
        """Return whether several recipes have the same training distribution.

        The recipes of Table 2 at n = 10 have different ones, and are one matrix.
        """
        models = self.rows[["train", "recipe"]].drop_duplicates()
        return bool(models["train"].duplicated().any())

    @cached_property
    def measured(self) -> Accuracies:
        """Return the measured accuracies; of alternative recipes only the first."""
        rows = self.rows
        if self.has_alternatives:
            rows = rows[rows["recipe"] == self.first("recipe")]
        return column_by_keys(rows, ["train", "test"], "accuracy")

    @cached_property
    def oracle(self) -> pd.Series:
        """Return the oracle accuracy by test, averaged over the models."""
        return self.rows.groupby("test")["oracle"].agg(mean)[self.columns]

    @property
    def of_oracle(self) -> list[float]:
        """Return the accuracies in distribution, in percent of the oracle accuracy."""
        rows = self.rows[(self.rows["oracle"] > 0) & self.rows["accuracy"].notna()]
        tests = zip(rows["train"], rows["test"], strict=True)
        own = rows.loc[[test in components(train) for train, test in tests]]
        return [*(100 * own["accuracy"] / own["oracle"])]

    def first(self, column: str) -> Any:
        """Return the value of a column in the first row."""
        return self.rows[column].iloc[0]

    def largest(self, column: str) -> Any:
        """Return the largest value of a column, or 0 if all are missing."""
        return max(self.rows[column].dropna(), default=0)

    def wide(self, values: str) -> Frame:
        """Return a column in wide form: a row per model."""
        *down, across = self.keys
        wide = self.rows.pivot(index=down, columns=across, values=values)
        index = pd.MultiIndex.from_tuples(self.models, names=Model._fields)
        return wide.reindex(index=index, columns=self.columns)


def pivots(kind: str, tables: Tables, context: Row) -> list[Pivot]:
    """Return the pivots of a kind of table; those in the settings come first."""
    entries = context["study"]["tables"].get(KINDS[kind].config_table or "", [])
    listed = [f"{entry['task']}_n{entry['n']}" for entry in entries]
    found = make_pivots(kind, tables[kind], context["published"])
    found.sort(key=lambda pivot: pivot.name)
    return sorted(found, key=lambda p: [*listed, p.size_name].index(p.size_name))


TASKS_OF = {"vectors": ["eigenvectors"], "inverses": ["inverse", "symmetric_inverse"]}


def first_pivot(kind: str, tables: Tables, context: Row, *tasks: str) -> Pivot:
    """Return the first measured pivot, of these tasks if any are named.

    If none is measured, return the first one; if there is none, one without rows.
    """
    empty = Pivot("", "", Frame(columns=KINDS[kind].columns), Frame(), ())
    found = pivots(kind, tables, context)
    found = [one for one in found if not tasks or one.task in tasks]
    return next(chain((one for one in found if one.is_measured), found), empty)


def make_pivots(name: str, rows: Frame, published: Tables) -> list[Pivot]:
    """Split a table into pivots: one per task and size, or one per model.

    Recipes with other encodings have their own pivots, because an accuracy is compared
    with that of the oracle.  A recipe that the paper does not use is compared with its
    recipe `base`.
    """
    kind, found = KINDS[name], []
    keys = tuple(key for key in kind.keys if key not in kind.pivot_keys)
    for _, own in rows.groupby([*kind.pivot_keys], sort=False) if len(rows) else ():
        first = records(own.head(1))[0]
        printed = published.get(kind.published or "", Frame())
        if "recipe" in kind.pivot_keys and first["recipe"] not in {*printed["recipe"]}:
            first["recipe"] = "base"
        for column in {"train", "recipe"} & {*kind.pivot_keys}:
            printed = printed[printed[column] == first[column]]
        task, n = first["task"], first["n"]
        pivot = Pivot(task, n, own, nearest_size(printed, task, n), keys)
        is_split = "oracle" in own and "train" in keys
        found += _by_encodings(pivot) if is_split else [pivot]
    return found


def _by_encodings(pivot: Pivot) -> list[Pivot]:
    """Split a pivot by recipe if several encodings have the same distributions.

    Their oracle accuracies differ.  A recipe without results is split off, too.
    """
    keys = ["recipe", pivot.keys[-1]]
    by_recipe = pivot.rows.groupby(keys, sort=False)["oracle"].first().unstack()
    if len(by_recipe.drop_duplicates()) == 1 or not pivot.has_alternatives:
        return [pivot]
    recipes = pivot.rows.groupby("recipe", sort=False)
    return [replace(pivot, rows=own, recipe=str(name)) for name, own in recipes]


MARCHENKO = "marchenko_pastur"
COMPARED = ("semicircle", "gaussian", "laplace")  # distributions that the text compares
BLOCKS = (  # of an accuracy matrix
    *("in_distribution", "positive_on_symmetric", "symmetric_on_positive"),
    *("symmetric_on_marchenko", *(f"{name}_ood" for name in COMPARED)),
)


def blocks(cells: Accuracies) -> dict[str, list[float]]:
    """Return the accuracies of BLOCKS in percent; a cell is in several blocks."""
    found: dict[str, list[float]] = {name: [] for name in BLOCKS}
    for (train, test), share in cells.items():
        on = "marchenko" if test == MARCHENKO else group(test)
        own = "in_distribution" if test in components(train) else f"{train}_ood"
        for name in {f"{group(train)}_on_{on}", own} & found.keys():
            found[name].append(100 * share)
    return found


def agreement(measured: Accuracies, published: Accuracies) -> Row:
    """Return the Spearman correlation and the mean absolute difference in points."""
    both = Frame({"measured": measured, "published": published}, dtype=float).dropna()
    return {
        "compared": len(both),
        "rank": both.corr("spearman").loc["measured", "published"],
        "difference": 100 * (both["measured"] - both["published"]).abs().mean(),
    }


def summaries(tables: Tables, context: Row) -> list[Row]:
    """Return every accuracy matrix with its blocks and its agreement."""
    found = []
    for pivot in pivots("ood", tables, context):
        ours, published = pivot.measured, pivot.published
        parts = {"ours": blocks(ours), "published": blocks(published)}
        found.append({"pivot": pivot, "blocks": parts, **agreement(ours, published)})
    return found


def by_size(matrices: Iterable[Pivot]) -> dict[str, list[Pivot]]:
    """Return measured accuracy matrices of tasks with several sizes, smallest first."""
    found: dict[str, list[Pivot]] = {}
    for matrix in matrices:
        if isinstance(matrix.n, int) and matrix.measured:
            found.setdefault(matrix.task, []).append(matrix)
    return {
        task: sorted(own, key=lambda matrix: int(matrix.n))
        for task, own in found.items()
        if len({matrix.n for matrix in own}) > 1
    }


def trends(tables: Tables, context: Row) -> dict[str, list[Row]]:
    """Return the summaries of `by_size`, with the examples until a target accuracy.

    `of_oracle` are the accuracies in distribution in percent of the oracle accuracy.
    `speed` are rows of learning speed by distribution, for tests on the semicircle.
    """
    found = summaries(tables, context)
    speeds = tables["learning_speed"]
    speeds, keys = speeds[speeds["test"] == "semicircle"], ["task", "n", "recipe"]
    rows: dict[str, list[Row]] = {}
    for task, matrices in by_size(one["pivot"] for one in found).items():
        for matrix in matrices:
            summary = next(one for one in found if one["pivot"] is matrix)
            recipe = matrix.first("recipe")
            own = (speeds[keys] == [task, matrix.n, recipe]).all(axis=1)
            speed = {row["train"]: row for row in records(speeds[own])}
            added = {"recipe": recipe, "speed": speed, "of_oracle": matrix.of_oracle}
            rows.setdefault(task, []).append({**summary, **added})
    return rows


def setting_differences(tables: Tables, context: Row) -> list[Row]:
    """Return the settings that differ from the published ones, with both values.

    `ours` are the values of our recipes.  A recipe that the paper does not use is
    compared with its recipe `base`.
    """
    study, reference = context["study"], context["reference"]
    rows: dict[str, Row] = {}
    for name in _recipes(study):
        published = name if name in _recipes(reference) else "base"
        ours, theirs = (
            flatten({**one["recipes"][recipe], "tests": one["tests"]})
            for one, recipe in ((study, name), (reference, published))
        )
        for key in sorted(key for key in ours if ours[key] != theirs[key]):
            row = {"setting": key, "published": theirs[key], "ours": []}
            values = rows.setdefault(f"{key} {theirs[key]}", row)["ours"]
            values += [ours[key]] if ours[key] not in values else []
    return [*rows.values()]


def _recipes(study: Row) -> list[str]:
    """Return the recipes of all tables."""
    lists = [own for own in study["tables"].values() if isinstance(own, list)]
    return list(dict.fromkeys(entry["recipe"] for own in lists for entry in own))


ROUNDING = 0.005  # half a point: accuracies are published as whole percentages


def verdict(published: float, oracle: Row) -> str:
    """Return `below`, `above`, or `at` if rounding and the interval allow equality."""
    ends = oracle["low"], oracle["high"]
    if matches(ends, (published, published), ROUNDING):
        return "at"
    return "above" if published > oracle["high"] else "below"


def matching_quantiles(rows: Frame) -> list[bool]:
    """Return for each published condition number whether ours matches it."""
    known = rows.dropna(subset="published")[["low", "high", "published"]]
    return [  # published with one decimal below 100, as integers above
        matches((low, high), (published, published), 0.05 if published < 100 else 0.5)
        for low, high, published in known.itertuples(index=False, name=None)
    ]


def oracle_accuracies(tables: Tables, context: Row) -> list[Pivot]:
    """Return oracle accuracies; the tests of an accuracy matrix share a pivot."""
    rows = tables["oracle_accuracy"]
    column = rows["test"].mask(rows["test"].isin(context["distributions"]), "")
    return make_pivots(
        "oracle_accuracy", rows.assign(distribution=column), context["published"]
    )


def oracle_comparisons(tables: Tables, context: Row) -> list[Row]:
    """Return the oracle accuracies of published tables, with a verdict per cell."""
    found = []
    for pivot in oracle_accuracies(tables, context):
        if pivot.first("distribution") or not pivot.same_size:
            continue
        published = column_by_keys(pivot.printed, ["train", "test"], "published")
        verdicts = {
            (train, test): verdict(share, pivot.cells[test, TOLERANCE])
            for (train, test), share in published.items()
            if test in set(pivot.rows["test"])
        }
        found.append({"oracle": pivot, "published": published, "verdicts": verdicts})
    return found


HOST = ("cpu", "device", "threads", "precision", "python", "torch", "revision", "clean")


def device(row: Row) -> str:
    """Return the names of the GPU, if any, and the CPU that trained a model."""
    return row["cpu"] if row["device"] == "cpu" else f"{row['device']}, {row['cpu']}"


def runs(tables: Tables, context: Row) -> list[Row]:
    """Return the trained models, grouped by machine, software and revision."""
    rows = records(tables["runs"])
    order = sort_distributions(row["train"] for row in rows)

    def environment(row: Row) -> list[str]:
        return [str(row[key]) for key in HOST]

    def key(row: Row) -> Key:
        n, place = parse_size(row["n"]), order.index(row["train"])
        return environment(row), row["task"], n, row["recipe"], place

    rows.sort(key=key)
    groups = [list(own) for _, own in groupby(rows, environment)]
    return [{**own[0], "rows": own, "on": device(own[0])} for own in groups]


def costs(tables: Tables, context: Row) -> list[Row]:
    """Return the cost of finished models by kind, then that of unfinished models.

    The column `models` counts the finished ones.
    """
    rows = tables["costs"]
    finished = rows[rows["finished"].notna()]
    sums = finished.groupby(["kind", "device"], sort=False, as_index=False).agg(
        models=("model", "size"),
        examples=("examples", "sum"),
        hours=("hours", "sum"),
        longest=("hours", "max"),
        joules=("joules", lambda joules: joules.sum(skipna=False)),
    )
    unfinished = rows[rows["finished"].isna()].assign(models=0)
    return records(sums) + records(unfinished)
