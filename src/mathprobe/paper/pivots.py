"""Tidy tables as a reader sees them: one pivot per kind, for every kind of output.

LaTeX, figures, notebooks and the numbers of the prose show the same pivots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import pandas as pd

from mathprobe.catalog import parse_size
from mathprobe.linalg.distributions import components
from mathprobe.paper.naming import (
    POSITIVE,
    SYMMETRIC,
    Model,
    group,
    sort_distributions,
    task_title,
)
from mathprobe.paper.published import nearest_size, table_number
from mathprobe.paper.tables import KINDS, TOLERANCE, Frame, Row, mean, records

Tables = dict[str, Frame]  # by kind
Facts = Row  # scale, published, labels, distributions, positive, study, reference
Key = tuple[Any, ...]  # values of the columns that tell rows apart
Accuracies = dict[Key, float]  # shares, by training and test distribution

ORDER: dict[str, Callable[[Iterable[Any]], list[Any]]] = {
    "test": sort_distributions,
    "tolerance": partial(sorted, reverse=True),
}
EMPTY: Row = dict.fromkeys(
    ("accuracy", "value", "low", "high", "spread", "oracle", "threshold", "examples")
)


class Rows(dict[Key, Row]):
    """Rows by the columns that tell them apart; what is not there is empty."""

    def __missing__(self, key: Key) -> Row:
        """Return a row without numbers."""
        return EMPTY


def by(rows: Frame, keys: Iterable[str], column: str) -> dict[Key, Any]:
    """Return the known values of a column, by the values of other columns."""
    known = records(rows.dropna(subset=column)) if column in rows else []
    return {tuple(row[key] for key in keys): row[column] for row in known}


@dataclass(frozen=True)
class Pivot:
    """Tidy rows of one task and size, or of one model, beside what is printed."""

    task: str
    n: int | str
    rows: Frame
    printed: Frame  # for the nearest size
    keys: tuple[str, ...]  # columns that tell rows apart; the last one stands across

    @property
    def name(self) -> str:
        """Return the part of file names and labels that tells pivots apart."""
        return f"{self.task}_n{self.n}"

    @property
    def title(self) -> str:
        """Return the question, and the number of the paper's table of it, if any."""
        table = f" (Table {self.table_number} of the paper)"
        return task_title(self.task, self.n) + table * bool(
            self.table_number and self.same_size
        )

    @property
    def published_n(self) -> int | None:
        """Return the nearest size of which something is printed, if any."""
        return int(self.printed["n"].iloc[0]) if len(self.printed) else None

    @property
    def same_size(self) -> bool:
        """Return whether something is printed for this very size."""
        return self.published_n == self.n

    @property
    def table_number(self) -> int | None:
        """Return the number of the paper's table of the printed size, if any."""
        return table_number(self.printed, self.task, self.published_n)

    @cached_property
    def models(self) -> list[Model]:
        """Return the models by recipe, then by distribution."""
        rows = self.rows.assign(recipe=self.rows.get("recipe", ""))
        return [
            Model(distribution, str(recipe))
            for recipe, own in rows.groupby("recipe", sort=False)
            for distribution in sort_distributions(own[self.keys[0]])
        ]

    @cached_property
    def columns(self) -> list[Any]:
        """Return what stands side by side, in its order."""
        across = self.keys[-1]
        return ORDER.get(across, sorted)(self.rows[across].dropna().unique())

    @cached_property
    def cells(self) -> Rows:
        """Return the rows by the columns that tell them apart."""
        rows = records(self.rows)
        return Rows((tuple(row[key] for key in self.keys), row) for row in rows)

    @cached_property
    def published(self) -> dict[Key, float]:
        """Return the printed numbers, by those of these columns that they have."""
        keys = [key for key in self.keys if key in self.printed]
        return by(self.printed, keys, "published")

    @cached_property
    def notebook(self) -> dict[Key, float]:
        """Return the numbers of the published notebook's stored output likewise."""
        return by(self.printed, self.keys, "notebook")

    @cached_property
    def measured(self) -> Accuracies:
        """Return the accuracies by distribution and test; of several recipes the first."""
        keys = ["train", "test"]
        known = self.rows.dropna(subset="accuracy").drop_duplicates(keys)
        return by(known, keys, "accuracy")

    @cached_property
    def oracle(self) -> pd.Series:
        """Return the mean accuracy of exact answers over the models, by test."""
        return self.rows.groupby("test")["oracle"].agg(mean)[self.columns]

    def first(self, column: str) -> Any:
        """Return the value of a column in the first row."""
        return self.rows[column].iloc[0]

    def largest(self, column: str) -> Any:
        """Return the largest of the values of a column; without any 0."""
        return max(self.rows[column].dropna(), default=0)

    def wide(self, values: str) -> Frame:
        """Return a column of the rows, spread: models down."""
        *down, across = self.keys
        spread = self.rows.pivot(index=down, columns=across, values=values)
        index = pd.MultiIndex.from_tuples(self.models, names=Model._fields)
        return spread.reindex(index=index, columns=self.columns)


def pivots(kind: str, tables: Tables, facts: Facts) -> list[Pivot]:
    """Return the pivots of a kind, those of the settings first and in their order."""
    entries = facts["study"]["tables"].get(KINDS[kind].config_table or "", [])
    asked = [f"{entry['task']}_n{entry['n']}" for entry in entries]
    found = make_pivots(kind, tables.get(kind, Frame()), facts["published"])
    found.sort(key=lambda p: p.name)
    return sorted(found, key=lambda p: [*asked, p.name].index(p.name))


def make_pivots(kind: str, rows: Frame, published: Tables) -> list[Pivot]:
    """Return a pivot for every task and size, or model, beside what is printed."""
    known, found = KINDS[kind], []
    keys = tuple(key for key in known.keys if key not in known.pivot_keys)
    for _, own in rows.groupby([*known.pivot_keys], sort=False) if len(rows) else ():
        first = records(own.head(1))[0]
        printed = published.get(known.published or "", Frame())
        for column in {"train", "recipe"} & {*known.pivot_keys}:
            printed = printed[printed[column] == first[column]]
        task, n = first["task"], first["n"]
        found.append(Pivot(task, n, own, nearest_size(printed, task, n), keys))
    return found


MARCHENKO = "marchenko_pastur"
FOLLOWED = (
    "semicircle",
    "gaussian",
    "laplace",
)  # distributions that the prose compares


def _ood(distribution: str, train: str, test: str) -> bool:
    return train == distribution != test


BLOCKS: dict[str, Callable[[str, str], bool]] = {  # of a square, by train and test
    "in_distribution": lambda train, test: test in components(train),
    "positive_on_symmetric": lambda train, test: (
        (group(train), group(test)) == (POSITIVE, SYMMETRIC)
    ),
    "symmetric_on_positive": lambda train, test: (
        (group(train), group(test)) == (SYMMETRIC, POSITIVE) and test != MARCHENKO
    ),
    "symmetric_on_marchenko": lambda train, test: (
        group(train) == SYMMETRIC and test == MARCHENKO
    ),
    **{f"{distribution}_ood": partial(_ood, distribution) for distribution in FOLLOWED},
}


def block(cells: Accuracies, name: str) -> list[float]:
    """Return the percentages of a part of a square that has a name."""
    return [100 * value for key, value in cells.items() if BLOCKS[name](*key)]


def agreement(ours: Accuracies, published: Accuracies) -> Row:
    """Compare two squares cell by cell: Spearman's correlation, mean gap in points."""
    both = Frame({"ours": ours, "published": published}, dtype=float).dropna()
    return {
        "compared": len(both),
        "rank": both.corr("spearman").loc["ours", "published"],
        "difference": 100 * (both["ours"] - both["published"]).abs().mean(),
    }


def summaries(tables: Tables, facts: Facts) -> list[Row]:
    """Return every square with its parts, ours and published, and how they agree."""
    return [
        {
            "pivot": grid,
            "blocks": {
                whose: {name: block(cells, name) for name in BLOCKS}
                for whose, cells in (
                    ("ours", grid.measured),
                    ("published", grid.published),
                )
            },
            **agreement(grid.measured, grid.published),
        }
        for grid in pivots("ood", tables, facts)
    ]


ROUNDING = 0.005  # half a point: accuracies are printed as whole percentages


def verdict(printed: float, ceiling: Row) -> str:
    """Return where a printed share lies: below a ceiling, at it, or above it.

    It is at the ceiling if its rounding and the ceiling's interval leave that open.
    """
    if printed - ROUNDING > ceiling["high"]:
        return "above"
    return "at" if printed + ROUNDING >= ceiling["low"] else "below"


def ceilings(tables: Tables, facts: Facts) -> list[Pivot]:
    """Return what exact answers reach, by question; compared distributions stay together."""
    rows = tables.get("ceilings", Frame(columns=["test"]))
    distribution = rows["test"].mask(rows["test"].isin(facts["distributions"]), "")
    return make_pivots("ceilings", rows.assign(law=distribution), facts["published"])


def oracle_comparisons(tables: Tables, facts: Facts) -> list[Row]:
    """Return the ceilings of printed accuracies, and where these lie."""
    return [
        {
            "oracle": exact,
            "published": printed,
            "verdicts": {
                (train, test): verdict(share, exact.cells[test, TOLERANCE])
                for (train, test), share in printed.items()
                if test in set(exact.rows["test"])
            },
        }
        for exact in ceilings(tables, facts)
        if exact.same_size and not exact.first("law")
        for printed in [by(exact.printed, ["train", "test"], "published")]
    ]


PLACE = (
    *("cpu", "device", "threads", "precision"),
    *("python", "torch", "revision", "clean"),
)


def device(row: Row) -> str:
    """Return the name of what a model was trained on."""
    return row["cpu"] if row["device"] == "cpu" else f"{row['device']}, {row['cpu']}"


def runs(tables: Tables, facts: Facts) -> list[Row]:
    """Return the models in groups that were made in the same place by the same code."""
    rows = records(tables.get("runs", Frame()))
    distributions = sort_distributions(row["law"] for row in rows)

    def place(row: Row) -> list[str]:
        return [str(row[key]) for key in PLACE]

    def name(row: Row) -> tuple[Any, ...]:
        return (
            row["task"],
            parse_size(row["n"]),
            row["recipe"],
            distributions.index(row["law"]),
        )

    rows.sort(key=lambda row: (place(row), name(row)))
    groups = [list(made) for _, made in groupby(rows, place)]
    return [{**made[0], "rows": made, "on": device(made[0])} for made in groups]


View = Callable[[Tables, Facts], list[Any]]


def pivot_functions() -> dict[str, View]:
    """Return what templates call by name: the pivots of every kind, and other pivot_functions."""
    return {
        **{kind: partial(pivots, kind) for kind in KINDS},
        **{"ceilings": ceilings, "oracle_comparisons": oracle_comparisons},
        **{"runs": runs, "summaries": summaries},
    }
