"""Sections of the report: what ran where, and what it cost."""

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
    count,
    duration,
    known,
)
from mathprobe.paper.naming import Entry


def runs(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show what was trained where, and for how long."""
    rows = [_run(row) for row in table.to_dict("records")]
    sums = [duration(table["seconds"].sum()), count(table["examples"].sum())]
    cells = [Cell(text) for text in sums]
    blanks = [Cell("")] * (len(RUN_HEAD) - len(cells))
    rows.append(Row("together", [*cells, *blanks], apart=True))
    note = "Training time counts every attempt whose state was saved, but no waiting."
    return Section(
        key, "What ran where, and for how long", note, "model", list(RUN_HEAD), rows
    )


RUN_HEAD = (
    *("time", "examples", "per second", "attempts", "device", "machine"),
    *("parameters", "finished", "torch", "code"),
)


def _run(row: Mapping[str, Any]) -> Row:
    processes = f"processes: {count(row['processes'])}"
    threads = f"threads: {count(row['threads'])}"
    number = threads if row["device"] == "cpu" else processes
    device = Cell(_text(row["device"]), (number, _text(row["precision"])))
    cells = [
        Cell(duration(row["seconds"])),
        Cell(count(row["examples"]), (f"seeds: {count(row['seeds'])}",)),
        Cell(count(row["examples_per_second"])),
        Cell(count(row["attempts"])),
        device,
        Cell(_text(row["machine"]), (_text(row["cpu"]),)),
        Cell(count(row["parameters"])),
        Cell(moment(row["finished"])),
        Cell(_text(row["torch"]), (f"Python {_text(row['python'])}",)),
        _revision(row),
    ]
    return Row(_text(row["model"]), cells)


def _text(value: Any) -> str:
    return str(value) if known(value) else NONE


def moment(finished: Any) -> str:
    """Show a time as a day and a minute; times are UTC."""
    return _text(finished)[:16].replace("T", " ")


def _revision(row: Mapping[str, Any]) -> Cell:
    if not known(row["revision"]):
        return Cell("unknown")
    clean = known(row["clean"]) and bool(row["clean"])
    below = () if clean else ("with changes",)
    return Cell(row["revision"][:8], below, row["revision"])
