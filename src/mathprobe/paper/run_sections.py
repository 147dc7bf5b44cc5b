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
    percent,
    whole,
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


def trainings(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show every training's time beside what was foreseen."""
    rows = [_training(row) for row in table.to_dict("records")]
    sums = table[["operations", "seconds", "foreseen", "gpu_hours"]].sum(min_count=1)
    rows.append(_training({**sums, "model": "together"})._replace(apart=True))
    note = (
        "Foreseen: what the operations of a training take at the rate that the "
        "settings assume (compute, flops_per_second), on its devices. Actual: all "
        "attempts. Above 100 % the assumption was too bold."
    )
    head = ["operations", "foreseen", "actual", "actual / foreseen"]
    head += ["operations per second", "GPU hours", "energy"]
    return Section(key, "What the trainings cost", note, "model", head, rows)


def _training(row: Mapping[str, Any]) -> Row:
    ratio = row["seconds"] / row["foreseen"]
    joules, rate = row.get("joules"), row.get("flops_per_second")
    cells = [
        f"{row['operations']:.2e}",
        duration(row["foreseen"]),
        duration(row["seconds"]),
        f"{percent(ratio, 0)} %",
        f"{rate:.2e}" if known(rate) else NONE,
        f"{row['gpu_hours']:.2f}" if known(row["gpu_hours"]) else NONE,
        f"{joules / 3.6e6:.2f} kWh" if known(joules) else NONE,
    ]
    return Row(row["model"], [Cell(text) for text in cells])


def rules(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show what the jobs of every rule took."""
    rows = [
        Row(
            row["rule"],
            [
                Cell(whole(row["jobs"])),
                Cell(duration(row["seconds"])),
                Cell(duration(row["longest"])),
                Cell(duration(row["cpu_seconds"])),
                Cell(f"{whole(row['peak_mb'])} MB"),
            ],
        )
        for row in table.to_dict("records")
    ]
    note = (
        "Wall time of the jobs that were run for these results, one after the other; "
        "of a job that was repeated or resumed, its last attempt."
    )
    head = ["jobs", "time", "longest job", "processor time", "memory"]
    return Section(key, "What every rule took", note, "rule", head, rows)


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
