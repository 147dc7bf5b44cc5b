"""Sections of the report: ceilings, and where paper, code and notebook disagree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mathprobe.paper.cells import (
    NONE,
    Cell,
    Namer,
    Row,
    Section,
    between,
    known,
    listed,
    percent,
    shaded,
)
from mathprobe.paper.naming import Entry

PARTS = {  # of the errata: title, note, and columns with their keys
    "contradictions": (
        "Where paper, code and notebook disagree",
        "With what arithmetic on printed numbers, or samples without any network, can "
        "say of it: computed, with a 95 % interval, and as printed.",
        {"text": "text", "code": "code", "changes": "what it changes", "here": "here"},
    ),
    "silences": (
        "What the paper leaves open",
        "What its published code does, and what is done here.",
        {"text": "text", "code": "code", "here": "here"},
    ),
}
PARTS |= {  # the second study's have the same columns
    f"arith_{key}": (f"Arithmetic: {title[0].lower()}{title[1:]}", note, columns)
    for key, (title, note, columns) in PARTS.items()
}


def ceilings(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show what exact answers reach: a row per question, a column per tolerance."""
    steps = sorted(table["tolerance"].unique(), reverse=True)
    rows, before = [], None
    columns = ["task", "n", "input", "output", "test"]
    for (task, n, source, target, law), part in table.groupby(columns, sort=False):
        found = {row["tolerance"]: row for row in part.to_dict("records")}
        what = Entry(key, task, n).question, f"{source.upper()} to {target.upper()}"
        cells = [_ceiling(found.get(step)) for step in steps]
        apart = before not in (None, what)
        rows.append(Row(f"{what[0]}: {name(law)}", [Cell(what[1]), *cells], apart))
        before = what
    note = (
        "Percent of the paper’s questions that exact answers get right through its "
        "models’ encodings, at its full size: no model takes part. Below: what the "
        "training labels themselves score."
    )
    head = ["encodings", *(f"{100 * step:g} %" for step in steps)]
    return Section(key, "What exact answers reach", note, "question", head, rows)


def _ceiling(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    interval = between(row["low"], row["high"], percent)
    tip = [f"{row['examples']:,} test examples", f"95 % interval {interval}"]
    return shaded(row["oracle"], (f"label {percent(row['label'])}",), listed(tip))


def errata(points: Mapping[str, Any], evidence: pd.DataFrame) -> list[Section]:
    """Show the errata, each with its evidence, and what is left open."""
    return [_part(key, points[key], evidence) for key in PARTS if points.get(key)]


def _part(key: str, points: Mapping[str, Any], evidence: pd.DataFrame) -> Section:
    title, note, columns = PARTS[key]
    rows = []
    for point in points.values():
        cells = [Cell(point.get(column, NONE)) for column in columns]
        cells[-1] = Cell(point["here"], _settings(point))
        cells[0] = Cell(point["text"], _lines(point, evidence))
        place = f" ({point['place']})" if "place" in point else ""
        rows.append(Row(f"{point['title']}{place}", cells))
    return Section(key, title, note, "point", list(columns.values()), rows, prose=True)


def _settings(point: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"another choice: {point['setting']}",) if "setting" in point else ()


def _lines(point: Mapping[str, Any], evidence: pd.DataFrame) -> tuple[str, ...]:
    if evidence.empty:
        return ()
    rows = evidence[evidence["evidence"].isin(point.get("evidence", []))]
    return tuple(_line(row) for row in rows.to_dict("records"))


def _line(row: Mapping[str, Any]) -> str:
    unit = f" {row['unit']}" if known(row["unit"]) else ""

    def show(value: float) -> str:
        return f"{value:.4g}{unit}"

    parts = [show(row["value"])] if known(row["value"]) else []
    if interval := between(row["low"], row["high"], show):
        parts.append(f"({interval})")
    if known(row["printed"]):
        parts.append(f"printed {row['printed']:g}{unit}")
    return f"{row['quantity']}: {', '.join(parts)}"
