"""Pivots of tidy tables for LaTeX, macros, figures and notebooks."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, groupby
from typing import Any

import pandas as pd

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.catalog import parse_size
from mathprobe.intervals import clopper_pearson, matches
from mathprobe.linalg.distributions import components
from mathprobe.paper.arith_tables import ALL_CLASSES, models_frame
from mathprobe.paper.naming import (
    Model,
    decoder_labels,
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
from mathprobe.studies.comparisons import count_clauses

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
    keys: tuple[str, ...]  # columns that identify a row; the last one goes across
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
        """Return the sorted values of the key that goes across."""
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
        """Return the published numbers by those of the keys that they have."""
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
    """Return the pivots of a kind of table: first those that the settings list."""
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
    with that of the oracle.
    """
    kind, found = KINDS[name], []
    keys = tuple(key for key in kind.keys if key not in kind.pivot_keys)
    for _, own in rows.groupby([*kind.pivot_keys], sort=False) if len(rows) else ():
        first = records(own.head(1))[0]
        printed = published.get(kind.published or "", Frame())
        for column in {"train", "recipe"} & {*kind.pivot_keys}:
            printed = printed[printed[column] == first[column]]
        task, n = first["task"], first["n"]
        pivot = Pivot(task, n, own, nearest_size(printed, task, n), keys)
        is_split = "oracle" in own and "train" in keys
        found += _by_encodings(pivot) if is_split else [pivot]
    return found


def _by_encodings(pivot: Pivot) -> list[Pivot]:
    """Split a pivot by recipe if recipes with other encodings have equal distributions.

    Their oracle accuracies differ.  A recipe without results is split off, too.
    """
    keys = ["recipe", pivot.keys[-1]]
    by_recipe = pivot.rows.groupby(keys, sort=False)["oracle"].first().unstack()
    if len(by_recipe.drop_duplicates()) == 1 or not pivot.has_alternatives:
        return [pivot]
    recipes = pivot.rows.groupby("recipe", sort=False)
    return [replace(pivot, rows=own, recipe=str(name)) for name, own in recipes]


MARCHENKO = "marchenko_pastur"
COMPARED = ("semicircle", "gaussian", "laplace")  # distributions the prose compares
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
    """Return measured accuracy matrices by task and size, if it has several sizes."""
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
    speeds = pivots("learning_speed", tables, context)
    rows: dict[str, list[Row]] = {}
    for task, matrices in by_size(one["pivot"] for one in found).items():
        for matrix in matrices:
            summary = next(one for one in found if one["pivot"] is matrix)
            recipe = matrix.first("recipe")
            speed = {
                train: cell
                for pivot in speeds
                if (pivot.task, pivot.n) == (task, matrix.n)
                for (train, trained, test), cell in pivot.cells.items()
                if (trained, test) == (recipe, "semicircle")
            }
            of_oracle = [
                100 * cell["accuracy"] / cell["oracle"]
                for cell in matrix.cells.values()
                if cell["test"] in components(cell["train"])
                and cell["oracle"]
                and cell["accuracy"] is not None
            ]
            rows.setdefault(task, []).append(
                {**summary, "recipe": recipe, "speed": speed, "of_oracle": of_oracle}
            )
    return rows


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
    rows = tables["ceilings"]
    column = rows["test"].mask(rows["test"].isin(context["distributions"]), "")
    return make_pivots("ceilings", rows.assign(law=column), context["published"])


def oracle_comparisons(tables: Tables, context: Row) -> list[Row]:
    """Return the oracle accuracies of published tables, with a verdict per cell."""
    found = []
    for pivot in oracle_accuracies(tables, context):
        if pivot.first("law") or not pivot.same_size:
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
    order = sort_distributions(row["law"] for row in rows)

    def environment(row: Row) -> list[str]:
        return [str(row[key]) for key in HOST]

    def key(row: Row) -> Key:
        n, place = parse_size(row["n"]), order.index(row["law"])
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


KEEP_ONLY = "keep only, "  # prefix of controls in which all other nodes are ablated
CHANCE = {  # controls in which sub-tasks are searched for, and their column names
    "found": "the model's candidates",
    "random nodes": "random nodes",
    "untrained": "an untrained model",
}
ALL_TASKS = "all"  # sub-tasks together
KEPT = {"useful": "useful", "purpose": "with a purpose", "random": "random"}
MAPS = {  # columns of `maps`: the table that each is from, and its column there
    "heads": ("count", "useful heads"),
    "mlps": ("count", "useful mlps"),
    "heads/published": ("published", "useful heads"),
    "mlps/published": ("published", "useful mlps"),
    "heads/purpose": ("share", "heads with a purpose"),
    "mlps/purpose": ("share", "mlps with a purpose"),
    "hold": ("claims", "hold"),
    "clauses": ("claims", "clauses"),
    "heads/rule": ("rule", "heads with a purpose"),
    **{
        f"right/{ablation}/{key}": (ablation, nodes)
        for ablation in ("mean", "resample")
        for key, nodes in KEPT.items()
    },
    **{f"classes/{n}": ("share", f"nodes for {n} of 3 classes") for n in (1, 2, 3)},
}


def arith_table(tables: Tables, kind: str) -> Frame:
    """Return a tidy table of the second study."""
    return tables[f"arith_{kind}"]


def rates(tables: Tables, context: Row) -> Frame:
    """Return wrong answers by model and operation, over all complexity classes."""
    rows = arith_table(tables, "accuracy")
    return rows[rows["class"] == ALL_CLASSES].set_index(["model", "operation"])


def matching_rates(rates: Frame) -> list[bool]:
    """Return for each published error rate of a decoder whether ours matches it."""
    ends = rates[["low", "high", "published_low", "published_high"]].dropna()
    return [
        matches((low, high), (published_low, published_high))
        for low, high, published_low, published_high in ends.itertuples(index=False)
    ]


def decoders(tables: Tables, context: Row) -> Frame:
    """Return the models of the catalog with their losses and highest error rates."""
    columns = ["loss", "published_loss", "per_million", "high", "published"]
    worst = rates(tables, context).groupby("model")[columns].max()
    return models_frame(context["arith"]["models"]).join(worst, on="model")


def decoder_names(tables: Tables, context: Row) -> dict[str, str]:
    """Return readable labels of the models of the catalog by name."""
    return decoder_labels(context["arith"]["models"])


def by_class(tables: Tables, context: Row) -> dict[str, dict[str, Row]]:
    """Return wrong answers per million by complexity class and family of models."""
    rows = arith_table(tables, "accuracy")
    grouped = rows[rows["class"] != ALL_CLASSES].groupby(["class", "family"])
    sums = grouped[["fails", "questions"]].sum()
    found: dict[str, dict[str, Row]] = {}
    for (level, family), fails, total in sums.itertuples():
        low, high = clopper_pearson(fails, total)
        rates = {"per_million": fails / total, "low": low, "high": high}
        cell = {name: 1e6 * rate for name, rate in rates.items()}
        found.setdefault(level, {})[family] = cell
    order = sorted(found, key=lambda level: ("SMN".index(level[0]), level))
    return {level: found[level] for level in order}


def shares(circuits: Frame) -> Frame:
    """Return shares of nodes: a row per model, a column per quantity."""
    return _share(circuits[circuits["total"].notna()], "model", "quantity")


def _share(rows: Frame, index: str, columns: str) -> Frame:
    """Return summed counts over summed totals in wide form."""
    sums = rows.groupby([index, columns], sort=False)[["count", "total"]].sum()
    return (sums["count"] / sums["total"]).astype(float).unstack()


def maps(tables: Tables, context: Row) -> Frame:
    """Return the columns of MAPS: a row per model, NaN for a model without a map."""
    circuits = arith_table(tables, "circuits")
    controls = arith_table(tables, "controls")
    by_rule = circuits.drop(columns="count").rename(columns={"published_rule": "count"})
    kept = {
        name: _share(controls[controls["control"] == KEEP_ONLY + name], "model", "of")
        for name in ("mean", "resample")
    }
    parts = {
        "count": circuits.pivot(index="model", columns="quantity", values="count"),
        "published": circuits.pivot(
            index="model", columns="quantity", values="published"
        ),
        "share": shares(circuits),
        "rule": shares(by_rule.dropna(subset="count")),
        "claims": count_clauses(arith_table(tables, "claims"), "model"),
        **kept,
    }
    names = [model["name"] for model in context["arith"]["models"]]
    columns = pd.MultiIndex.from_tuples(MAPS.values())
    found = pd.concat(parts, axis=1).reindex(index=names, columns=columns)
    return found.set_axis(list(MAPS), axis=1)


def sufficiency(controls: Frame) -> Frame:
    """Return shares of right answers by nodes kept and ablation of the others."""
    rows = controls[controls["control"].str.startswith(KEEP_ONLY)]
    rows = rows.assign(replaced=rows["control"].str.removeprefix(KEEP_ONLY))
    nodes = rows.groupby("of")["nodes"].first()
    return _share(rows, "of", "replaced").assign(nodes=nodes)


def chance(controls: Frame) -> Frame:
    """Return how often sub-tasks are found in the model and at chance level.

    The index are sub-tasks, also ALL_TASKS, and the keys of CHANCE.  The columns are
    `count`, `total`, and the exact 95 % interval of the share, which treats all tests
    as independent.
    """
    rows = controls[controls["control"].isin(CHANCE)]
    rows = pd.concat([rows, rows.assign(of=ALL_TASKS)])
    sums = rows.groupby(["of", "control"], sort=False)[["count", "total"]].sum()
    ends = [
        clopper_pearson(count, total) if total else (0.0, 1.0)
        for count, total in sums.itertuples(index=False)
    ]
    return sums.assign(low=[low for low, _ in ends], high=[high for _, high in ends])


def subtasks(tables: Tables, context: Row) -> dict[str, dict[str, Row]]:
    """Return how often each model does each sub-task, by our and the published rules.

    The counts are `count` and `published_rule`, by model and sub-task.  Sub-tasks that
    no model does are omitted.
    """
    rows = arith_table(tables, "circuits")
    rows = rows[rows["quantity"].isin(SUBTASKS)]
    counts = rows.groupby("quantity")[["count", "published_rule"]].max().max(axis=1)
    rows = rows[rows["quantity"].map(counts) > 0]
    grouped = rows.groupby("model", sort=False)
    return {
        str(model): {row["quantity"]: row for row in records(own)}
        for model, own in grouped
    }


def reuse(tables: Tables, context: Row) -> dict[str, list[Row]]:
    """Return how many nodes inserted from its parent each model uses."""
    grouped = arith_table(tables, "reuse").groupby("model", sort=False)
    return {str(model): records(own) for model, own in grouped}


def pivot_functions() -> dict[str, Callable[[Tables, Row], Any]]:
    """Return the functions that templates call: one per kind of table, and others."""
    functions = (oracle_accuracies, oracle_comparisons, runs, costs, summaries, trends)
    arith = (rates, decoders, decoder_names, by_class, maps, subtasks, reuse)
    return {
        **{kind: partial(pivots, kind) for kind in KINDS},
        **{function.__name__: function for function in (*functions, *arith)},
    }
