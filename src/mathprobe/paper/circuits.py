"""Maps of decoders as their files tell them: for notebooks, tables and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mathprobe import files
from mathprobe.interp.facts import Facts
from mathprobe.paper import quanta

NODES = "nodes.csv"
TABLES = ("positions", "controls", "claims")
DIGIT = re.compile(r"D\d+")  # token of the first number
CHANCE = {  # who was asked for a sub-task, and what it is called
    "found": "the model's candidates",
    "random nodes": "random nodes",
    "untrained": "an untrained model",
}


class Told(NamedTuple):
    """All that is known of a model's circuit."""

    name: str
    digits: int
    facts: Facts
    positions: pd.DataFrame
    controls: pd.DataFrame
    claims: pd.DataFrame
    panels: Mapping[str, np.ndarray]

    def map(self, kind: str) -> Figure:
        """Draw a map of a kind."""
        return quanta.draw(kind, self.facts, self.digits)


def read(nodes: Path) -> Told:
    """Read a map from the folder in which its nodes lie, below its model's."""
    folder = nodes.parent
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}
    tokens = tables["positions"]["token"]
    return Told(
        folder.parent.name,
        int(tokens.str.fullmatch(DIGIT).sum()),
        Facts.load(nodes),
        **tables,
        panels=files.load_arrays(folder / "panels.npz"),
    )


def sufficiency(controls: pd.DataFrame) -> pd.DataFrame:
    """Tell how many questions stay right when only some nodes speak for themselves.

    A row for each set of nodes, random sets of a size together; a column pair for each
    thing that stands for the others.
    """
    rows = controls[controls["control"].str.startswith("keep only")]
    what = rows["control"].str.removeprefix("keep only, ")
    sums = rows.assign(replaced=what).groupby(["of", "replaced"], sort=False)
    counts = {"right": ("count", "sum"), "asked": ("total", "sum")}
    table = sums.agg(nodes=("nodes", "first"), **counts)
    share = (table["right"] / table["asked"]).unstack()
    return share.assign(nodes=table["nodes"].groupby("of", sort=False).first())


def chance(controls: pd.DataFrame) -> pd.DataFrame:
    """Tell how often each sub-task was found, where, and where it should not be."""
    rows = controls[controls["control"].isin(CHANCE)]
    table = rows.pivot_table("value", "of", "control", sort=False)
    counts = rows[rows["control"] == "found"].set_index("of")["count"]
    shown = table.reindex(columns=list(CHANCE)).rename(columns=CHANCE)
    return shown.assign(found=counts)


def held(claims: pd.DataFrame) -> pd.DataFrame:
    """Count the clauses of algorithms, and those that hold: optional ones only then."""
    counted = claims[claims["holds"] | ~claims["optional"]]
    sums = counted.groupby("algorithm", sort=False)["holds"]
    return sums.agg(hold="sum", clauses="size")
