"""Figures of the second study: losses as they fall, and what a parent's weights do."""

from __future__ import annotations

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mathprobe.paper.arith_tables import ALL, FAMILIES
from mathprobe.paper.figures import COLOURS, STYLE, WIDTH

TITLES = {
    "addition": "addition",
    "subtraction": "subtraction",
    "mixed": "both, random first weights",
    "inserted": "both, a parent's weights",
}
PAIR = ("mixed", "inserted")  # what the transfer of weights compares


def losses(table: pd.DataFrame) -> Figure:
    """Draw the loss against the questions seen: a panel per family, a line per model.

    Colours tell digits apart.
    """
    shown = [name for name in FAMILIES.values() if name in set(table["family"])]
    digits = sorted(table["digits"].unique())
    colours = {n: COLOURS[k % len(COLOURS)] for k, n in enumerate(digits)}
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.4))
        grid = figure.subplots(1, max(1, len(shown)), sharey=True, squeeze=False)[0]
        for axes, name in zip(grid, shown, strict=False):
            axes.set(title=TITLES[name], yscale="log", xlabel="thousands of questions")
            _lines(axes, table[table["family"] == name], colours)
        grid[0].set_ylabel("loss")
        handles = {line.get_label(): line for axes in grid for line in axes.lines}
        if handles:
            figure.legend(
                handles=[handles[f"{n} digits"] for n in digits],
                loc="outside lower center",
                ncols=6,
            )
    return figure


def _lines(axes: Axes, table: pd.DataFrame, colours: dict[int, str]) -> None:
    points = table.drop_duplicates(["model", "examples"])  # one of each operation
    for _, own in points.groupby("model", sort=False):
        n = own["digits"].iloc[0]
        thousands = own["examples"] / 1000
        axes.plot(thousands, own["loss"], color=colours[n], label=f"{n} digits", lw=0.8)


def transfer(table: pd.DataFrame) -> Figure:
    """Draw wrong answers to a million against digits, with a parent's weights or not.

    A panel per operation; hollow: published.  Axes are linear up to 1, so 0 is there.
    """
    table = table[(table["class"] == ALL) & table["family"].isin(PAIR)]
    operations = ("addition", "subtraction")
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.6))
        grid = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
        for axes, operation in zip(grid, operations, strict=True):
            _dots(axes, table[table["operation"] == operation])
            axes.set(title=f"{operation}s", xlabel="digits")
            axes.set_xticks(sorted(table["digits"].unique()))
            axes.margins(x=0.1)
        bounds = [*table["high"].dropna(), *table["published"].dropna()]
        grid[0].set_yscale("symlog", linthresh=1.0)
        grid[0].set_ylim(-0.3, 2.0 * max([*bounds, 1.5]))
        grid[0].set_ylabel("wrong answers to a million")
        handles, _ = grid[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _dots(axes: Axes, table: pd.DataFrame) -> None:
    for place, name in enumerate(PAIR):
        own = table[table["family"] == name]
        x = own["digits"] + (place - 0.5) * 0.25
        colour = COLOURS[place]
        known = own["per_million"].notna()
        spread = [
            (own["per_million"] - own["low"])[known],
            (own["high"] - own["per_million"])[known],
        ]
        axes.errorbar(
            *(x[known], own["per_million"][known], spread),
            **{"fmt": "o", "color": colour, "elinewidth": 0.6},
            label=f"{TITLES[name]}: ours",
        )
        axes.plot(
            *(x, own["published"], "o"),
            **{"markerfacecolor": "none", "color": colour},
            label=f"{TITLES[name]}: published",
        )
