"""Figures of the second study: losses as they fall, and what a parent's weights do."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mathprobe.paper.arith_tables import ALL_CLASSES
from mathprobe.paper.figures import COLOURS, STYLE, WIDTH

TITLES = {  # of families
    "addition": "addition",
    "subtraction": "subtraction",
    "mixed": "both, random first weights",
    "inserted": "both, a parent's weights",
}
PAIR = ("mixed", "inserted")  # families that the transfer of weights compares


@rc_context(STYLE)
def losses(table: pd.DataFrame) -> Figure:
    """Draw the loss against the questions seen: a panel per family, a line per model.

    Colours tell digits apart.
    """
    families = [name for name in TITLES if name in set(table["family"])]
    digits = sorted(table["digits"].unique())
    colours = dict(zip(digits, cycle(COLOURS), strict=False))
    points = table.drop_duplicates(["model", "examples"])  # one of each operation
    figure = Figure(figsize=(WIDTH, 2.4))
    grid = figure.subplots(1, max(1, len(families)), sharey=True, squeeze=False)[0]
    handles = {}
    for axes, family in zip(grid, families, strict=False):
        axes.set(title=TITLES[family], yscale="log", xlabel="thousands of questions")
        own = points[points["family"] == family]
        for (_, n), curve in own.groupby(["model", "digits"], sort=False):
            x, style = curve["examples"] / 1000, {"color": colours[n], "lw": 0.8}
            (handles[n],) = axes.plot(x, curve["loss"], label=f"{n} digits", **style)
    grid[0].set_ylabel("loss")
    if handles:
        lines = [handles[n] for n in digits]
        figure.legend(handles=lines, loc="outside lower center", ncols=6)
    return figure


@rc_context(STYLE)
def transfer(table: pd.DataFrame) -> Figure:
    """Draw wrong answers to a million against digits, with a parent's weights or not.

    A panel per operation; hollow: published.  Axes are linear up to 1, so 0 is there.
    """
    table = table[(table["class"] == ALL_CLASSES) & table["family"].isin(PAIR)]
    figure = Figure(figsize=(WIDTH, 2.6))
    grid = figure.subplots(1, 2, sharey=True)
    for axes, operation in zip(grid, ("addition", "subtraction"), strict=True):
        _dots(axes, table[table["operation"] == operation])
        axes.set(title=f"{operation}s", xlabel="digits")
        axes.set_xticks(sorted(table["digits"].unique()))
        axes.margins(x=0.1)
    largest = table[["high", "published"]].max().max()
    grid[0].set_yscale("symlog", linthresh=1.0)
    grid[0].set(ylim=(-0.3, 2.0 * max(1.5, largest)))
    grid[0].set_ylabel("wrong answers to a million")
    handles, _ = grid[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _dots(axes: Axes, table: pd.DataFrame) -> None:
    for colour, shift, family in zip(COLOURS, (-0.125, 0.125), PAIR, strict=False):
        every = table[table["family"] == family]
        own = every.dropna(subset="per_million")
        rate, title = own["per_million"], TITLES[family]
        spread = [rate - own["low"], own["high"] - rate]
        style: dict[str, Any] = {"fmt": "o", "color": colour, "elinewidth": 0.6}
        x = own["digits"] + shift
        axes.errorbar(x, rate, spread, label=f"{title}: ours", **style)
        style = {"markerfacecolor": "none", "color": colour}
        x, title = every["digits"] + shift, f"{title}: published"
        axes.plot(x, every["published"], "o", label=title, **style)
