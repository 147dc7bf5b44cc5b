"""Figure of the heads of a matrix model: ablation, patching and cross-attention."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from mathprobe.paper.figures import (
    CIVIDIS,
    COLOURS,
    MARKERS,
    STYLE,
    WIDTH,
    colour_bar,
    share_and_errors,
)
from mathprobe.paper.tables import Frame

EVERYTHING, MEMORY = "everything", "encoder output"  # components
ITSELF = "itself"  # control: every activation is replaced by its own value
SHIFTS = {"mean": -0.18, "zero": 0.0, "resample": 0.18, ITSELF: 0.0}  # of points
FEW = 12  # labels that fit side by side
LARGEST = 0.65  # inches: side of a heat map
MOST_NUMBERS = 5  # of the answer, as rows of heat maps


@rc_context(STYLE)
def heads(ablations: Frame, attention: Frame) -> Figure:
    """Draw the tables `ablations` and `attention` of one network.

    Top: right answers that become wrong if a component is ablated.  Middle: the same
    if the output of the encoder at some tokens is that for another matrix.  Bottom:
    cross-attention to the coefficients, a column per head and a row per number of the
    answer; last row: before training, averaged over the numbers.
    """
    names = list(attention["component"].unique())
    rows = min(int(attention["answer"].max()), MOST_NUMBERS) + 1
    side = min(LARGEST, (WIDTH - 1.0) / len(names))
    heights = [1.7, 1.7, (side + 0.12) * rows + 0.3]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    parts = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)
    upper, lower, maps = parts[:, 0]
    whole = ablations["tokens"] == "all"
    patched = ablations["component"] == MEMORY
    _shares(upper.subplots(), ablations[whole & ~patched], "component", "ablated")
    output = "encoder output of another matrix, at the tokens of"
    _shares(lower.subplots(), ablations[patched], "tokens", output)
    upper.legend(loc="outside upper center", ncols=len(SHIFTS))
    _maps(maps, attention, names, rows)
    return figure


def _shares(axes: Axes, rows: Frame, column: str, label: str) -> None:
    """Draw the shares of answers that become wrong, with intervals."""
    places = list(dict.fromkeys(rows[column]))
    for order, (ablation, shift) in enumerate(SHIFTS.items()):
        own = rows[rows["ablation"] == ablation].dropna(subset="value")
        x = np.array([places.index(name) for name in own[column]], float)
        x += shift if rows["ablation"].nunique() > 1 else 0.0
        axes.errorbar(
            x,
            *share_and_errors(own),
            fmt=MARKERS[order],
            color=COLOURS[order],
            elinewidth=0.6,
            markersize=2.6,
            label="control: itself" if ablation == ITSELF else ablation,
        )
    size = min(6.5, 260.0 / len(places))
    turn = 90 if len(places) > FEW else 0
    axes.set_xticks(range(len(places)), places, size=size, rotation=turn)
    axes.set(xlim=(-0.6, len(places) - 0.4), ylim=(-2, 102), yticks=range(0, 101, 25))
    axes.set(xlabel=label, ylabel="right answers that\nbecome wrong (%)")
    axes.grid(axis="y")


def _maps(figure: SubFigure, attention: Frame, names: Sequence[str], rows: int) -> None:
    """Draw the heat maps of cross-attention."""
    single = attention[attention["tokens"].str.contains(",")]
    place = single["tokens"].str.split(",", expand=True).astype(int)
    single = single.assign(row=place[0], column=place[1])
    norm = Normalize(0.0, single["value"].max())
    grid = figure.subplots(rows, len(names), squeeze=False)
    trained = single["network"] == "trained"
    for number, line in enumerate(grid, 1):
        last = number == rows
        own = single[~trained if last else trained & (single["answer"] == number)]
        line[0].set_ylabel("untrained" if last else f"number {number}")
        for name, axes in zip(names, line, strict=True):
            shown = own[own["component"] == name]
            values = shown.pivot_table("value", "row", "column")
            axes.imshow(values, cmap=CIVIDIS, norm=norm)
            axes.set(xticks=[], yticks=[])
    for name, axes in zip(names, grid[0], strict=True):
        axes.set_title(name)
    label = "cross-attention to the coefficient"
    colour_bar(figure, grid, CIVIDIS, norm, label, aspect=30)
