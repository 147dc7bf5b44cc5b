"""Figures of the second study: training losses and error rates of decoders."""

from itertools import cycle

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from mathprobe.paper.arith_tables import ALL_CLASSES
from mathprobe.paper.figures import COLOURS, STYLE, WIDTH, ArtistProps

TITLES = {  # of families
    "addition": "addition",
    "subtraction": "subtraction",
    "mixed": "both, random first weights",
    "inserted": "both, a parent's weights",
}
PAIR = ("mixed", "inserted")  # families that `transfer` compares


@rc_context(STYLE)
def losses(table: pd.DataFrame) -> Figure:
    """Draw loss against training questions by family, coloured by number of digits."""
    families = [name for name in TITLES if name in set(table["family"])]
    digits = sorted(table["digits"].unique())
    colours = dict(zip(digits, cycle(COLOURS), strict=False))
    points = table.drop_duplicates(["model", "examples"])  # operations share the loss
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
    """Draw wrong answers per million by digits, with and without a parent.

    Hollow markers are published.  The axis is linear up to 1, so that it has 0.
    """
    table = table[(table["class"] == ALL_CLASSES) & table["family"].isin(PAIR)]
    figure = Figure(figsize=(WIDTH, 2.6))
    grid = figure.subplots(1, 2, sharey=True)
    for axes, operation in zip(grid, ("addition", "subtraction"), strict=True):
        for colour, shift, family in zip(COLOURS, (-0.125, 0.125), PAIR, strict=False):
            chosen = (table["operation"] == operation) & (table["family"] == family)
            rows, own = table[chosen], table[chosen].dropna(subset="per_million")
            x, y = own["digits"] + shift, own["per_million"]
            errors = [y - own["low"], own["high"] - y]
            style: ArtistProps = {"fmt": "o", "color": colour, "elinewidth": 0.6}
            axes.errorbar(x, y, errors, label=f"{TITLES[family]}: ours", **style)
            style = {"markerfacecolor": "none", "color": colour}
            style["label"] = f"{TITLES[family]}: published"
            axes.plot(rows["digits"] + shift, rows["published"], "o", **style)
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
