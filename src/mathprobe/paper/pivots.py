"""Tidy tables as a reader sees them: one pivot per kind, for every kind of output.

LaTeX, figures, notebooks and the numbers of the prose show the same pivots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import pandas as pd

from mathprobe.catalog import size
from mathprobe.linalg.laws import parts
from mathprobe.paper.naming import (
    POSITIVE,
    SYMMETRIC,
    Model,
    group,
    in_order,
    question,
)
from mathprobe.paper.published import nearest, number_in_paper
from mathprobe.paper.tables import (
    KINDS,
    RATE,
    SHOWN_TOLERANCE,
    STATISTIC,
    Frame,
    Row,
    mean,
    records,
)

Tables = dict[str, Frame]  # by kind
Facts = Row  # scale, published, labels, laws, positive, study, reference
Cells = dict[tuple, float]  # shares, by training and test law

ORDER: dict[str, Callable[[Iterable[Any]], list[Any]]] = {
    "test": in_order,
    "tolerance": partial(sorted, reverse=True),
}


def by(rows: Frame, keys: Sequence[str], column: str) -> dict[tuple, Any]:
    """Return the known values of a column, by the values of other columns."""
    known = records(rows.dropna(subset=column)) if len(rows) else []
    return {tuple(row[key] for key in keys): row[column] for row in known}


@dataclass(frozen=True)
class Pivot:
    """One task and size of a kind of tables: models down, tests or the like across."""

    task: str
    n: int | str
    rows: Frame  # tidy
    printed: Frame  # what is printed for the nearest size
    across: str  # the column whose values stand side by side

    @property
    def name(self) -> str:
        """Return the part of file names and labels that tells pivots apart."""
        return f"{self.task}_n{self.n}"

    @property
    def title(self) -> str:
        """Return the question, and the number of the paper's table of it, if any."""
        table = f" (Table {self.number} of the paper)"
        return question(self.task, self.n) + table * bool(self.number and self.same)

    @property
    def published_n(self) -> int | None:
        """Return the nearest size of which something is printed, if any."""
        return int(self.printed["n"].iloc[0]) if len(self.printed) else None

    @property
    def same(self) -> bool:
        """Return whether something is printed for this very size."""
        return self.published_n == self.n

    @property
    def number(self) -> int | None:
        """Return the number of the paper's table of the printed size, if any."""
        return number_in_paper(self.printed, self.task, self.published_n)

    @property
    def published_percent(self) -> float | None:
        """Return the printed target of a learning speed, in percent."""
        return self.printed["percent"].iloc[0] if len(self.printed) else None

    @property
    def recipes(self) -> list[str]:
        """Return the recipes in their order."""
        return list(self.rows["recipe"].unique())

    @cached_property
    def models(self) -> list[Model]:
        """Return the models by recipe, then by law."""
        return [
            Model(law, recipe)
            for recipe, own in self.rows.groupby("recipe", sort=False)
            for law in in_order(own["train"])
        ]

    @cached_property
    def columns(self) -> list[Any]:
        """Return what stands side by side, in its order."""
        return ORDER.get(self.across, sorted)(self.rows[self.across].dropna().unique())

    @cached_property
    def cells(self) -> dict[tuple[Model, Any], Row]:
        """Return the rows by model and column."""
        return {
            (Model(row["train"], row["recipe"]), row[self.across]): row
            for row in records(self.rows)
        }

    @cached_property
    def published(self) -> Cells:
        """Return the printed numbers by law and column."""
        return by(self.printed, ["train", self.across], "published")

    @cached_property
    def ours(self) -> Cells:
        """Return the accuracies by law and column; of several recipes the first."""
        known = self.rows.dropna(subset="accuracy")
        first = known.drop_duplicates(["train", self.across])
        return by(first, ["train", self.across], "accuracy")

    @cached_property
    def oracle(self) -> pd.Series:
        """Return the mean accuracy of exact answers over the models, by column."""
        return self.rows.groupby(self.across)["oracle"].agg(mean)[self.columns]

    def largest(self, column: str) -> Any:
        """Return the largest of the values of a column; without any 0."""
        return max(self.rows[column].dropna(), default=0)

    def wide(self, values: str) -> Frame:
        """Return a column of the tidy rows, spread: models down."""
        spread = self.rows.pivot(
            index=["train", "recipe"], columns=self.across, values=values
        )
        index = pd.MultiIndex.from_tuples(self.models, names=Model._fields)
        return spread.reindex(index=index, columns=self.columns)


def pivots(kind: str, tables: Tables, facts: Facts) -> list[Pivot]:
    """Return the pivots of a kind, those of the settings first and in their order."""
    entries = facts["study"]["tables"].get(KINDS[kind].entries, [])
    asked = [f"{entry['task']}_n{entry['n']}" for entry in entries]
    found = of_kind(kind, tables.get(kind, Frame()), facts["published"])
    place = {name: number for number, name in enumerate(dict.fromkeys(asked))}
    return sorted(found, key=lambda p: (place.get(p.name, len(place)), p.name))


def of_kind(kind: str, rows: Frame, published: Tables) -> list[Pivot]:
    """Return a pivot for every task and size of tidy rows, beside what is printed."""
    if rows.empty:
        return []
    own, printed = (
        frame.rename(columns={"law": "train"})
        for frame in (rows, published.get(KINDS[kind].printed, Frame()))
    )
    own = own if "recipe" in own else own.assign(recipe="")
    return [
        Pivot(task, n, part, nearest(printed, task, n), KINDS[kind].across)
        for (task, n), part in own.groupby(["task", "n"], sort=False)
    ]


MARCHENKO = "marchenko_pastur"
PARTS: dict[str, Callable[[str, str], bool]] = {  # of a square, by train and test
    "home": lambda train, test: test in parts(train),
    "positive_on_symmetric": lambda train, test: (
        (group(train), group(test)) == (POSITIVE, SYMMETRIC)
    ),
    "symmetric_on_positive": lambda train, test: (
        (group(train), group(test)) == (SYMMETRIC, POSITIVE) and test != MARCHENKO
    ),
    "symmetric_on_marchenko": lambda train, test: (
        group(train) == SYMMETRIC and test == MARCHENKO
    ),
    **{
        f"{law}_abroad": lambda train, test, law=law: train == law != test
        for law in ("semicircle", "gaussian", "laplace")
    },
}


def part(cells: Cells, name: str) -> list[float]:
    """Return the percentages of a part of a square that has a name."""
    return [100 * value for key, value in cells.items() if PARTS[name](*key)]


def agreement(ours: Cells, published: Cells) -> Row:
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
            "grid": grid,
            "parts": {
                whose: {name: part(cells, name) for name in PARTS}
                for whose, cells in (("ours", grid.ours), ("published", grid.published))
            },
            **agreement(grid.ours, grid.published),
        }
        for grid in pivots("ood", tables, facts)
    ]


class Statistics(dict[tuple, Row]):
    """Rows by what they measure; what was not measured is a row of nothing."""

    def __missing__(self, key: tuple) -> Row:
        """Return nothing of what was not measured."""
        return dict.fromkeys(
            ("value", "low", "high", "spread", "oracle", "threshold", "examples")
        )


@dataclass(frozen=True)
class AtHome(Pivot):
    """One model on a test of its own law: its statistics, by what they measure."""

    across: tuple[str, ...]  # columns that say it

    @property
    def recipe(self) -> str:
        """Return the recipe of the model."""
        return self.recipes[0]

    @property
    def test(self) -> str:
        """Return the law of the test."""
        return self.rows["test"].iloc[0]

    @property
    def verifier(self) -> str | None:
        """Return the quantity that predicts failures, the first of what is measured."""
        return next(iter(self.cells), (None,))[0]

    @property
    def place(self) -> tuple[str, str, str]:
        """Return the name of the model and of the test."""
        return self.name, self.rows["train"].iloc[0], self.test

    @cached_property
    def cells(self) -> Statistics:
        """Return the rows by what they measure."""
        rows = records(self.rows)
        return Statistics((tuple(row[key] for key in self.across), row) for row in rows)

    @property
    def published(self) -> dict[tuple, float]:
        """Return the printed numbers by what they measure."""
        return by(self.printed, self.across, "published")

    @property
    def notebook(self) -> dict[tuple, float]:
        """Return the numbers of the notebook's stored output by what they measure."""
        return by(self.printed, self.across, "notebook")


def _at_home(
    kind: str, across: tuple[str, ...], tables: Tables, facts: Facts
) -> list[AtHome]:
    """Return a pivot for every model and test, beside the nearest printed size."""
    found, printed = [], facts["published"][kind]
    for pivot in pivots(kind, tables, facts):
        own = pivot.rows.groupby(["train", "test", "recipe"], sort=False)
        for (train, _, recipe), rows in own:
            same = (printed["train"] == train) & (printed["recipe"] == recipe)
            near = nearest(printed[same], pivot.task, pivot.n)
            found.append(AtHome(pivot.task, pivot.n, rows, near, across))
    return found


ROUNDING = 0.005  # half a point: accuracies are printed as whole percentages


def _ceiling_groups(tables: Tables, facts: Facts) -> list[Frame]:
    """Part the ceilings by what is asked; laws that are compared stay together."""
    rows = tables.get("ceilings", Frame())
    if rows.empty:
        return []
    own = rows["test"].mask(rows["test"].isin(facts["laws"]), "")
    what = [rows[key] for key in ("task", "n", "input", "output")]
    return [group for _, group in rows.groupby([*what, own], sort=False)]


def ceilings(tables: Tables, facts: Facts) -> list[Row]:
    """Return printed accuracies as squares, above what exact answers reach."""
    squares = []
    for rows in _ceiling_groups(tables, facts):
        shown = rows[rows["tolerance"] == SHOWN_TOLERANCE]
        first, tests = records(shown)[0], {row["test"]: row for row in records(shown)}
        printed = facts["published"]["accuracy"]
        same = (printed["task"] == first["task"]) & (printed["n"] == first["n"])
        cells = by(printed[same], ["train", "test"], "published")
        if not cells or first["test"] not in facts["laws"]:
            continue
        squares.append(
            {
                **{key: first[key] for key in ("task", "n", "examples")},
                "trains": in_order(train for train, _ in cells),
                "tests": in_order(tests),
                "published": cells,
                "ceilings": tests,
                "verdicts": {
                    (train, test): verdict(share, tests[test])
                    for (train, test), share in cells.items()
                    if test in tests
                },
            }
        )
    return squares


def verdict(printed: float, ceiling: Row) -> str:
    """Return where a printed share lies: below a ceiling, at it, or above it.

    It is at the ceiling if its rounding and the ceiling's interval leave that open.
    """
    if printed - ROUNDING > ceiling["high"]:
        return "above"
    return "at" if printed + ROUNDING >= ceiling["low"] else "below"


def ceilings_by_tolerance(tables: Tables, facts: Facts) -> list[Row]:
    """Return what exact answers reach: a row per question, a column per tolerance."""
    return [
        {
            **{key: rows[key].iloc[0] for key in ("task", "n", "input", "output")},
            "tests": in_order(rows["test"]),
            "cells": {  # by tolerance and who answers: one for every test
                bound: own[["oracle", "label"]].to_dict("list")
                for bound, own in sorted(rows.groupby("tolerance"), reverse=True)
            },
        }
        for rows in _ceiling_groups(tables, facts)
    ]


PLACE = (
    *("cpu", "device", "threads", "processes", "precision"),
    *("python", "torch", "revision", "clean"),
)


def device(row: Row) -> str:
    """Return the name of what a model was trained on."""
    return row["cpu"] if row["device"] == "cpu" else f"{row['device']}, {row['cpu']}"


def runs(tables: Tables, facts: Facts) -> list[Row]:
    """Return the models in groups that were made in the same place by the same code."""
    rows = records(tables.get("runs", Frame()))
    laws = in_order(row["law"] for row in rows)

    def place(row: Row) -> tuple[str, ...]:
        return tuple(str(row[key]) for key in PLACE)

    def order(row: Row) -> tuple[Any, ...]:
        name = row["task"], size(row["n"]), row["recipe"]
        return place(row), *name, laws.index(row["law"])

    groups = (list(made) for _, made in groupby(sorted(rows, key=order), key=place))
    return [
        {"rows": made, **{key: made[0][key] for key in PLACE}, "on": device(made[0])}
        for made in groups
    ]


VIEWS: dict[str, Callable[[Tables, Facts], list[Any]]] = {
    "summaries": summaries,
    "failures": partial(_at_home, "failures", STATISTIC),
    "verifiers": partial(_at_home, "verifiers", RATE),
    "ceilings": ceilings,
    "ceilings_by_tolerance": ceilings_by_tolerance,
    "runs": runs,
}


def views(tables: Tables, facts: Facts) -> dict[str, Callable[[], list[Any]]]:
    """Return what templates call: the pivots of every kind, by its name, and VIEWS."""
    every = {kind: partial(pivots, kind) for kind in KINDS} | VIEWS
    return {name: partial(view, tables, facts) for name, view in every.items()}
