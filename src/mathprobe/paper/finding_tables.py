"""Tidy tables of circuits: what the maps of several models say, beside what is printed.

Source of what is printed: Quirke, Neo, Barez 2024.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mathprobe.arith import claims
from mathprobe.interp.facts import Facts
from mathprobe.paper.tables import read, records
from mathprobe.studies import comparisons

Row = dict[str, Any]

CONTROLS = ("control", "of", "nodes", "count", "total", "value", "low", "high")
COLUMNS = {
    "circuits": (*comparisons.SUMMARY_COLUMNS, "published"),
    "controls": ("model", *CONTROLS),
    "claims": ("model", *claims.COLUMNS),
    "reuse": ("model", *comparisons.REUSE_COLUMNS, "published"),
}


def rows(kind: str, models: Iterable[Path], published: Row) -> Iterator[Row]:
    """Gather the rows of a kind from the folders of models."""
    for folder in models:
        printed = _printed(published, folder.name)
        for row in _told(kind, folder):
            own = {"published": printed.get(row.get("quantity"))}
            wanted = own if "published" in COLUMNS[kind] else {}
            yield {"model": folder.name, **row, **wanted}


def _told(kind: str, folder: Path) -> Iterable[Row]:
    if kind == "reuse":
        return records(read(folder / "reuse.csv"))
    if kind == "circuits":
        facts = Facts.load(folder / "facts/nodes.csv")
        claimed = records(read(folder / "facts/claims.csv"))
        return comparisons.summary(folder.name, facts, claimed)
    return records(read(folder / f"facts/{kind}.csv"))


def _printed(published: Row, model: str) -> Row:
    """Give the counts that are printed of a model, by their quantity."""
    counted = published["accuracy"].get(model, {})
    useful = {"useful heads": counted.get("heads"), "useful mlps": counted.get("mlps")}
    return useful | published["found"].get(model, {})
