"""The second study's table as a reader sees it: families of models, and classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mathprobe.intervals import clopper_pearson
from mathprobe.paper.arith_tables import ALL, Row, family


def families(tables: dict[str, list[Row]], facts: Row) -> list[Row]:
    """Give the models by family, each with what is known of every operation."""
    cells = {
        (row["model"], row["operation"]): row
        for row in tables.get("arith_accuracy") or []
        if row["class"] == ALL
    }
    found: dict[str, list[Row]] = {}
    for model in facts["arith"]["models"]:
        own = {op: cell for (name, op), cell in cells.items() if name == model["name"]}
        found.setdefault(family(model), []).append({**model, "cells": own})
    return [{"name": name, "models": models} for name, models in found.items()]


def by_class(tables: dict[str, list[Row]], facts: Row) -> list[Row]:
    """Sum the fails of each class of difficulty up over the models of a family."""
    sums: dict[str, dict[str, list[int]]] = {}
    for row in tables.get("arith_accuracy") or []:
        if row["class"] != ALL:
            names = sums.setdefault(row["class"], {})
            total = names.setdefault(row["family"], [0, 0])
            total[0] += row["fails"]
            total[1] += row["questions"]
    return [
        {"class": name, "cells": {who: _rate(*sums[name][who]) for who in sums[name]}}
        for name in sorted(sums, key=_order)
    ]


def _order(name: str) -> tuple[int, str]:
    return "SMN".index(name[0]), name


def _rate(fails: int, asked: int) -> Row:
    low, high = clopper_pearson(fails, asked)
    return {
        **{"fails": fails, "questions": asked, "per_million": 1e6 * fails / asked},
        **{"low": 1e6 * low, "high": 1e6 * high},
    }


def measured(models: Iterable[Row]) -> list[Row]:
    """Give the models that were trained and tested."""
    return [
        model
        for model in models
        if any(cell["fails"] is not None for cell in model["cells"].values())
    ]


VIEWS: dict[str, Any] = {"families": families, "by_class": by_class}
