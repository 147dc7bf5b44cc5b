"""Tidy tables as a reader sees them: squares of laws, rows of quantiles, places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import Any

from mathprobe.catalog import size
from mathprobe.linalg.laws import parts
from mathprobe.paper.naming import (
    POSITIVE,
    SYMMETRIC,
    Model,
    entry,
    group,
    in_order,
    number_in_paper,
    printed_size,
)
from mathprobe.paper.tables import (
    SHOWN_TOLERANCE,
    Row,
    mean_of_known,
    printed_rows,
)

Tables = dict[str, list[Row]]  # by the name of the file, without .csv
Facts = Row  # scale, published, labels, laws, positive, study, reference
Cells = dict[tuple[str, str], float]  # percentages, by training and test law


def _models(rows: Iterable[Row], law: str) -> list[Model]:
    """Name the models of a table, by recipe in its order, then by law."""
    found = list(dict.fromkeys(Model(row[law], row["recipe"]) for row in rows))
    recipes = list(dict.fromkeys(model.recipe for model in found))
    laws = in_order(model.law for model in found)
    return sorted(found, key=lambda m: (recipes.index(m.recipe), laws.index(m.law)))


def printed_cells(published: Row, task: str, n: int | None) -> Cells:
    """Give the percentages that are printed for a task and size."""
    rows = published["out_of_distribution"].get(task, {}).get(f"n{n}", {})
    return {
        (train, test): value
        for train, row in rows.items()
        for test, value in zip(published["columns"], row, strict=True)
        if value is not None
    }


class Statistics(dict[tuple, Row]):
    """Rows by what they measure; what was not measured is a row of nothing."""

    def __missing__(self, key: tuple) -> Row:
        """Give nothing of what was not measured."""
        return dict.fromkeys(
            ("value", "low", "high", "spread", "oracle", "threshold", "examples")
        )


def _largest(rows: Iterable[Row], key: str) -> int:
    """Give the largest of the values that are there; without any 0."""
    return max((row[key] for row in rows if row[key] is not None), default=0)


def _each(
    tables: Tables, facts: Facts, prefix: str, kind: str
) -> Iterator[tuple[Row, list[Row]]]:
    """Give what each table of a kind shows and its rows, as the settings list them."""
    entries, published = facts["study"]["tables"][kind], facts["published"]
    asked = [f"{prefix}_{entry['task']}_n{entry['n']}" for entry in entries]
    there = sorted(name for name in tables if name.startswith(f"{prefix}_"))
    for name in dict.fromkeys([*filter(tables.get, asked), *there]):
        shown, rows = entry(name, [prefix]), tables[name]
        printed = printed_size(published[kind], shown.task, shown.n)
        what = {
            **{"name": shown.name, "task": shown.task, "n": shown.n},
            "published_n": printed,
            "number": number_in_paper(published, kind, shown.task, printed),
            "recipes": list(dict.fromkeys(row["recipe"] for row in rows)),
            "seeds": _largest(rows, "seeds"),
        }
        yield what, rows


def grids(tables: Tables, facts: Facts) -> list[Row]:
    """Give accuracies as squares: a row per model, a column per test law."""
    kind = "out_of_distribution"
    return [
        _grid(facts["published"], *each) for each in _each(tables, facts, "ood", kind)
    ]


def _grid(published: Row, what: Row, rows: list[Row]) -> Row:
    cells = {(Model(row["train"], row["recipe"]), row["test"]): row for row in rows}
    tests = in_order(row["test"] for row in rows)
    return {
        **what,
        **{"cells": cells, "tests": tests, "models": _models(rows, "train")},
        "examples": _largest(rows, "examples"),
        "ceilings": {
            test: mean_of_known(row["oracle"] for row in rows if row["test"] == test)
            for test in tests
        },
        "published": printed_cells(published, what["task"], what["published_n"]),
    }


def percentages(grid: Row) -> Cells:
    """Give a square's accuracies by its laws; of several recipes the first counts."""
    cells: Cells = {}
    for (model, test), row in grid["cells"].items():
        if row["accuracy"] is not None:
            cells.setdefault((model.law, test), 100 * row["accuracy"])
    return cells


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
    """Give the percentages of a part of a square that has a name."""
    return [value for key, value in cells.items() if PARTS[name](*key)]


def agreement(ours: Cells, published: Cells) -> Row:
    """Compare two squares cell by cell: Spearman's correlation, mean difference."""
    from scipy.stats import spearmanr

    both = sorted(ours.keys() & published.keys())
    left, right = ([cells[key] for key in both] for cells in (ours, published))
    varied = len(set(left)) > 1 and len(set(right)) > 1
    gaps = [abs(a - b) for a, b in zip(left, right, strict=True)]
    return {
        "compared": len(both),
        "rank": float(spearmanr(left, right).statistic) if varied else None,
        "difference": fmean(gaps) if gaps else None,
    }


def summaries(tables: Tables, facts: Facts) -> list[Row]:
    """Give every square with its parts, ours and published, and how they agree."""
    found = []
    for grid in grids(tables, facts):
        sides = {"ours": percentages(grid), "published": grid["published"]}
        values = {
            whose: {name: part(cells, name) for name in PARTS}
            for whose, cells in sides.items()
        }
        found.append({**grid, "parts": values, **agreement(*sides.values())})
    return found


def tolerances(tables: Tables, facts: Facts) -> list[Row]:
    """Give accuracies at home: a row per model, a column per tolerance."""
    found = _each(tables, facts, "tolerances", "out_of_distribution")
    return [
        {
            **what,
            "examples": _largest(rows, "examples"),
            "models": _models(rows, "law"),
            "tolerances": sorted({row["tolerance"] for row in rows}, reverse=True),
            "cells": {
                (Model(row["law"], row["recipe"]), row["tolerance"]): row
                for row in rows
            },
        }
        for what, rows in found
    ]


def speeds(tables: Tables, facts: Facts) -> list[Row]:
    """Give examples to an accuracy: a row per model, columns per test."""
    kind = "learning_speed"
    return [
        _speed(facts["published"][kind], *e) for e in _each(tables, facts, kind, kind)
    ]


def _speed(published: Row, what: Row, rows: list[Row]) -> Row:
    first, size = rows[0], what["published_n"]
    shown = published[what["task"]][f"n{size}"] if size else {"accuracy": None}
    return {
        **what,
        "target": first["target"],
        **{key: _largest(rows, key) or None for key in ("resolution", "budget")},
        "published_accuracy": shown["accuracy"],
        "published": {
            (train, test): None if value is None else 1e6 * value
            for train, row in shown.get("rows", {}).items()
            for test, value in zip(shown["columns"], row, strict=True)
        },
        "models": _models(rows, "train"),
        "tests": in_order(row["test"] for row in rows),
        "cells": {
            (Model(row["train"], row["recipe"]), row["test"]): row for row in rows
        },
    }


def conditions(tables: Tables, facts: Facts) -> list[Row]:
    """Give condition numbers: a row per law, a column per quantile."""
    rows = tables.get("condition_numbers")
    if not rows:
        return []
    return [
        {
            "laws": in_order(row["law"] for row in rows),
            "quantiles": sorted({row["quantile"] for row in rows}),
            "cells": {(row["law"], row["quantile"]): row for row in rows},
            **{key: rows[0][key] for key in ("n", "matrices")},
            "published_n": facts["published"]["condition_numbers"]["n"],
            "published": _printed_conditions(facts),
        }
    ]


def _printed_conditions(facts: Facts) -> dict[tuple[str, float], float]:
    published = facts["published"]["condition_numbers"]
    return {
        (law, quantile): value
        for law, row in published["rows"].items()
        for quantile, value in zip(published["quantiles"], row, strict=True)
    }


FAILURE = ("quantity", "group", "tolerance", "statistic", "at")
VERDICT = ("verifier", "chosen_by", "statistic")


def failures(tables: Tables, facts: Facts) -> list[Row]:
    """Give what failures keep, a view per model: its statistics by name."""
    found = _at_home(tables, facts, "failures", FAILURE)
    printed = facts["published"]["failures"]
    return [
        {**each, "notebook": printed_rows(printed, "notebook", *each["printed_place"])}
        for each in found
    ]


def verifiers(tables: Tables, facts: Facts) -> list[Row]:
    """Give how well failures are predicted, a view per model: its rates by name."""
    return [
        {**each, "verifier": next(iter(each["cells"]))[0]}
        for each in _at_home(tables, facts, "verifiers", VERDICT)
    ]


def _at_home(
    tables: Tables, facts: Facts, kind: str, columns: tuple[str, ...]
) -> Iterator[Row]:
    """Part the tables of a kind by model and test, beside the nearest printed size."""
    labels = facts["labels"]
    for what, own in _each(tables, facts, kind, "failures"):
        place = itemgetter("train", "test", "n", "recipe")
        for (train, test, n, recipe), rows in groupby(own, key=place):
            rows = list(rows)
            task, published = what["task"], facts["published"][kind]
            size = _printed_near(published, task, train, n, recipe)
            printed = task, train, size, recipe
            yield {
                **{"name": what["name"], "task": task, "n": n, "recipe": recipe},
                **{"train": train, "law": labels[train]},
                **{"test": test, "test_law": labels[test]},
                "published_n": size,
                "seeds": _largest(rows, "seeds"),
                "examples": _largest(rows, "examples"),
                "cells": Statistics(
                    (tuple(row[key] for key in columns), row) for row in rows
                ),
                "printed_place": printed,
                "published": printed_rows(published, "text", *printed),
            }


def _printed_near(
    published: Row, task: str, law: str, n: int, recipe: str
) -> int | None:
    """Give the size nearest to n of which something is printed for the recipe."""
    sizes = published["text"].get(task, {}).get(law, {})
    fitting = {size: 0 for size, recipes in sizes.items() if recipe in recipes}
    return printed_size({task: fitting}, task, n)


ROUNDING = 0.005  # half a point: accuracies are printed as whole percentages


def ceilings(tables: Tables, facts: Facts) -> list[Row]:
    """Give printed accuracies as squares, above what exact answers reach."""
    return [
        _beside_ceilings(facts, rows)
        for rows in _ceiling_groups(tables, facts)
        if printed_cells(facts["published"], rows[0]["task"], rows[0]["n"])
        and rows[0]["test"] in facts["laws"]
    ]


def ceilings_by_tolerance(tables: Tables, facts: Facts) -> list[Row]:
    """Give what exact answers reach: a row per question, a column per tolerance."""
    return [_by_bound(rows, facts) for rows in _ceiling_groups(tables, facts)]


def _ceiling_groups(tables: Tables, facts: Facts) -> list[list[Row]]:
    """Part the ceilings by what is asked; laws that are compared stay together."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in tables.get("ceilings") or []:
        own = None if row["test"] in facts["laws"] else row["test"]
        what = (row[key] for key in ("task", "n", "input", "output"))
        groups.setdefault((*what, own), []).append(row)
    return list(groups.values())


def _beside_ceilings(facts: Facts, rows: list[Row]) -> Row:
    shown = {row["test"]: row for row in rows if row["tolerance"] == SHOWN_TOLERANCE}
    printed = printed_cells(facts["published"], rows[0]["task"], rows[0]["n"])
    return {
        **{key: rows[0][key] for key in ("task", "n", "input", "output", "examples")},
        "trains": in_order((train for train, _ in printed)),
        "tests": in_order(shown),
        "published": printed,
        "ceilings": shown,
        "verdicts": {
            (train, test): verdict(percent / 100, shown[test])
            for (train, test), percent in printed.items()
            if test in shown
        },
    }


def verdict(printed: float, ceiling: Row) -> str:
    """Say where a printed share lies: below a ceiling, at it, or above it.

    It is at the ceiling when its rounding and the ceiling's interval leave that open.
    """
    if printed - ROUNDING > ceiling["high"]:
        return "above"
    return "at" if printed + ROUNDING >= ceiling["low"] else "below"


def _by_bound(rows: list[Row], facts: Facts) -> Row:
    bounds = sorted({row["tolerance"] for row in rows}, reverse=True)
    tests = in_order(row["test"] for row in rows)
    return {
        **{key: rows[0][key] for key in ("task", "n", "input", "output")},
        **{"tests": tests, "tolerances": bounds},
        "cells": {
            bound: {
                who: [row[who] for row in rows if row["tolerance"] == bound]
                for who in ("oracle", "label")
            }
            for bound in bounds
        },
    }


PLACE = (
    *("cpu", "device", "threads", "precision"),
    *("python", "torch", "revision", "clean"),
)


def device(row: Row) -> str:
    """Name what a model was trained on."""
    return row["cpu"] if row["device"] == "cpu" else f"{row['device']}, {row['cpu']}"


def runs(tables: Tables, facts: Facts) -> list[Row]:
    """Give the models in groups that were made in the same place by the same code."""
    rows = [
        {**row, "task": row["model"].split("/")[0]} for row in tables.get("runs") or []
    ]
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


VIEWS = {
    "grids": grids,
    "summaries": summaries,
    "by_tolerance": tolerances,
    "speeds": speeds,
    "failures": failures,
    "verifiers": verifiers,
    "conditions": conditions,
    "ceilings": ceilings,
    "ceilings_by_tolerance": ceilings_by_tolerance,
    "places": runs,
}
