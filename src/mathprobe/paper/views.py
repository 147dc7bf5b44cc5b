"""Tidy tables as a reader sees them: squares of laws, rows of quantiles, places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import Any

from mathprobe.paper.tables import SHOWN_TOLERANCE, Row, printed_rows

Tables = dict[str, list[Row]]  # by the name of the file, without .csv
Facts = Row  # scale, published, labels, laws, positive, study, reference
Cells = dict[tuple[str, str], float]  # percentages, by training and test law


def printed_size(published: Row, task: str, n: int) -> int | None:
    """Give the size nearest to n of which something is printed; None: of none."""
    sizes = [int(key[1:]) for key in published.get(task) or {}]
    return min(sizes, key=lambda size: (abs(size - n), size), default=None)


def _printed_cells(facts: Facts, task: str, n: int | None) -> Cells:
    published = facts["published"]
    rows = published["out_of_distribution"].get(task, {}).get(f"n{n}", {})
    return {
        (train, test): value
        for train, row in rows.items()
        for test, value in zip(published["columns"], row, strict=True)
        if value is not None
    }


def _in_order(facts: Facts, names: Iterable[str]) -> list[str]:
    names = set(names)
    known = [law for law in facts["laws"] if law in names]
    return known + sorted(names - set(known))


def _per_recipe(
    tables: Tables, facts: Facts, prefix: str, kind: str
) -> Iterator[tuple[str, str, list[Row]]]:
    """Give name, task and rows of the tables of a kind, as the settings list them."""
    entries = facts["study"]["tables"][kind]
    asked = [f"{prefix}_{entry['task']}_n{entry['n']}" for entry in entries]
    there = sorted(name for name in tables if name.startswith(f"{prefix}_"))
    for name in dict.fromkeys([*filter(tables.get, asked), *there]):
        recipes = dict.fromkeys(row.get("recipe") for row in tables[name])
        task = re.fullmatch(rf"{prefix}_(.+)_n\d+", name)[1]
        for number, recipe in enumerate(recipes):
            own = [row for row in tables[name] if row.get("recipe") == recipe]
            key = name.removeprefix(f"{prefix}_") + (f"_{recipe}" if number else "")
            yield key, task, own


def grids(tables: Tables, facts: Facts) -> list[Row]:
    """Give accuracies as squares: a row per training law, a column per test law."""
    found = _per_recipe(tables, facts, "ood", "out_of_distribution")
    return [_grid(facts, *each) for each in found]


def _grid(facts: Facts, name: str, task: str, rows: list[Row]) -> Row:
    cells = {(row["train"], row["test"]): row for row in rows}
    tests = _in_order(facts, (test for _, test in cells))
    n = rows[0]["n"]
    size = printed_size(facts["published"]["out_of_distribution"], task, n)
    ceilings = {
        test: fmean(row["oracle"] for key, row in cells.items() if key[1] == test)
        for test in tests
    }
    return {
        **{"name": name, "task": task, "n": n, "recipe": rows[0]["recipe"]},
        **{"seeds": rows[0]["seeds"], "examples": rows[0]["examples"]},
        **{"cells": cells, "tests": tests, "ceilings": ceilings},
        "trains": _in_order(facts, (train for train, _ in cells)),
        "published": _printed_cells(facts, task, size),
        "published_n": size,
    }


def tolerances(tables: Tables, facts: Facts) -> list[Row]:
    """Give accuracies at home: a row per law, a column per tolerance."""
    found = _per_recipe(tables, facts, "tolerances", "out_of_distribution")
    return [_by_tolerance(facts, *each) for each in found]


def _by_tolerance(facts: Facts, name: str, task: str, rows: list[Row]) -> Row:
    return {
        **{"name": name, "task": task, "examples": rows[0]["examples"]},
        "seeds": rows[0]["seeds"],
        "n": int(re.search(r"_n(\d+)", name)[1]),
        "laws": _in_order(facts, (row["law"] for row in rows)),
        "tolerances": sorted({row["tolerance"] for row in rows}, reverse=True),
        "cells": {(row["law"], row["tolerance"]): row for row in rows},
    }


def speeds(tables: Tables, facts: Facts) -> list[Row]:
    """Give examples to an accuracy: a row per training law, columns per test."""
    found = _per_recipe(tables, facts, "learning_speed", "learning_speed")
    return [_speed(facts, *each) for each in found]


def _speed(facts: Facts, name: str, task: str, rows: list[Row]) -> Row:
    first = rows[0]
    published = facts["published"]["learning_speed"]
    size = printed_size(published, task, first["n"])
    shown = published[task][f"n{size}"] if size else {"accuracy": None}
    return {
        **{
            key: first[key]
            for key in ("n", "target", "resolution", "budget", "recipe", "seeds")
        },
        **{"name": name, "task": task, "published_n": size},
        "published_accuracy": shown["accuracy"],
        "published": {
            (train, test): None if value is None else 1e6 * value
            for train, row in shown.get("rows", {}).items()
            for test, value in zip(shown["columns"], row, strict=True)
        },
        "trains": _in_order(facts, (row["train"] for row in rows)),
        "tests": _in_order(facts, (row["test"] for row in rows)),
        "cells": {(row["train"], row["test"]): row for row in rows},
    }


def conditions(tables: Tables, facts: Facts) -> list[Row]:
    """Give condition numbers: a row per law, a column per quantile."""
    rows = tables.get("condition_numbers")
    if not rows:
        return []
    return [
        {
            "laws": _in_order(facts, (row["law"] for row in rows)),
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


def law_name(facts: Facts, law: str) -> str:
    """Name a law as the paper does; one that it lacks, or a mixture, plainly."""
    plain = law.replace("_", " ").replace("+", " + ")
    return facts["labels"].get(law, plain)


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
    for name, task, own in _per_recipe(tables, facts, kind, "failures"):
        place = itemgetter("train", "test", "n", "recipe")
        for (train, test, n, recipe), rows in groupby(own, key=place):
            rows = list(rows)
            size = _printed_near(facts["published"][kind], task, train, n, recipe)
            printed = task, train, size, recipe
            yield {
                **{"name": name, "task": task, "n": n, "recipe": recipe},
                **{"train": train, "law": law_name(facts, train)},
                **{"test": test, "test_law": law_name(facts, test)},
                "published_n": size,
                "seeds": max(row["seeds"] for row in rows),
                "examples": max(row["examples"] for row in rows),
                "cells": {tuple(row[key] for key in columns): row for row in rows},
                "printed_place": printed,
                "published": printed_rows(facts["published"][kind], "text", *printed),
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
        if _printed_cells(facts, rows[0]["task"], rows[0]["n"])
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
    printed = _printed_cells(facts, rows[0]["task"], rows[0]["n"])
    return {
        **{key: rows[0][key] for key in ("task", "n", "input", "output", "examples")},
        "trains": _in_order(facts, (train for train, _ in printed)),
        "tests": _in_order(facts, shown),
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
    tests = _in_order(facts, (row["test"] for row in rows))
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
    *("cpu", "device", "threads", "processes", "precision"),
    *("python", "torch", "revision", "clean"),
)


def device(row: Row) -> str:
    """Name what a model was trained on."""
    return row["cpu"] if row["device"] == "cpu" else f"{row['device']}, {row['cpu']}"


def _task(row: Row) -> str:
    """Read the task of a model from its path."""
    return row["model"].split("/")[0]


def runs(tables: Tables, facts: Facts) -> list[Row]:
    """Give the models in groups that were made in the same place by the same code."""

    def place(row: Row) -> tuple[str, ...]:
        return tuple(str(row[key]) for key in PLACE)

    order = {law: number for number, law in enumerate(facts["laws"])}
    rows = sorted(
        tables.get("runs") or [],
        key=lambda row: (
            *(place(row), _task(row), row["n"], row["recipe"]),
            *(order.get(row["law"], len(order)), row["law"]),
        ),
    )
    shown = [
        {**row, "task": _task(row), "law_name": law_name(facts, row["law"])}
        for row in rows
    ]
    groups = (list(group) for _, group in groupby(shown, key=place))
    return [
        {"rows": group, **{key: group[0][key] for key in PLACE}, "on": device(group[0])}
        for group in groups
    ]


VIEWS = {
    "grids": grids,
    "by_tolerance": tolerances,
    "speeds": speeds,
    "failures": failures,
    "verifiers": verifiers,
    "conditions": conditions,
    "ceilings": ceilings,
    "ceilings_by_tolerance": ceilings_by_tolerance,
    "places": runs,
}
