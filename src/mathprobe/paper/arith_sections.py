"""Sections of the report: how often decoders of arithmetic are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mathprobe.paper.arith_tables import ALL
from mathprobe.paper.cells import (
    NONE,
    Cell,
    Namer,
    Row,
    Section,
    between,
    known,
    listed,
    significant,
    whole,
)
from mathprobe.paper.naming import Entry

OPERATIONS = ("addition", "subtraction")


def accuracy(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show every decoder: its loss, and how often it is wrong with each operation."""
    rows = []
    for model, part in table.groupby("model", sort=False):
        found = {row["operation"]: row for row in _of(part) if row["class"] == ALL}
        first = next(iter(found.values()))
        cells = [_cell(found.get(operation), part) for operation in OPERATIONS]
        rows.append(Row(str(model), [_loss(first), *cells]))
    note = (
        "Wrong answers to a million enriched questions, the same for all models of as "
        "many digits. Below: published. A tooltip has the exact 95 % interval and what "
        "each class of difficulty contributes: S additions, M and N subtractions "
        "without and with a negative answer, 0 without any carry, 5 with the longest."
    )
    head = ["loss", *(f"{operation}s" for operation in OPERATIONS)]
    return Section(key, "Decoders that add and subtract", note, "model", head, rows)


def _of(part: pd.DataFrame) -> list[dict[str, Any]]:
    return part.to_dict("records")


def _loss(row: Mapping[str, Any]) -> Cell:
    return Cell(_power(row["loss"]), _published(row["published_loss"], _power))


def _power(value: Any) -> str:
    return f"{value:.1e}" if known(value) else NONE


def _published(value: Any, show: Any) -> tuple[str, ...]:
    return (f"published {show(value)}",) if known(value) else ()


def _cell(row: Mapping[str, Any] | None, part: pd.DataFrame) -> Cell:
    if row is None:
        return Cell("")
    interval = between(row["low"], row["high"], significant)
    tip = [f"{whole(row['questions'])} questions", interval and f"95 %: {interval}"]
    tip += [
        f"{one['class']}: {whole(one['fails'])} of {whole(one['questions'])}"
        for one in _of(part)
        if one["operation"] == row["operation"]
        and one["class"] != ALL
        and one["fails"] > 0
    ]
    below = _published(row["published"], whole)
    return Cell(whole(row["per_million"]), below, listed(tip))
