"""Figures for print: heat maps of accuracy, and learning curves.

A figure depends on its table and on nothing else: equal tables give equal bytes.
Numbers in the tables are shares between 0 and 1; figures show percent.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mathprobe import files
from mathprobe.linalg.distributions import DISTRIBUTIONS, components
from mathprobe.paper.naming import GROUPS, POSITIVE, Labels, Model, group, size_text
from mathprobe.paper.pivots import Pivot

WIDTH = 5.5  # inches: the paper's text
ArtistProps = dict[str, Any]  # of lines and patches, as Matplotlib takes it
STYLE: Any = {
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.family": "STIXGeneral",
    "font.size": 8,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.4,
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,  # outlines that a reader can search and copy
    "svg.hashsalt": "mathprobe",
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}
UNCLIPPED: ArtistProps = {
    "clip_on": False,
    "in_layout": False,
}  # markers on an edge, or none
UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}

# Okabe and Ito's colours, which remain apart for colour-blind readers.  The yellow is
# too pale for a thin line on paper and is left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SOLID, DASHED, MIXED = "-", (0, (3.5, 1.4)), (0, (5, 1.2, 1.2, 1.2))
MARKS = 0.15  # between two markers on a line, in diagonals of the panel

CIVIDIS = colormaps["cividis"]
EQUAL_CONTRAST = 0.179  # the luminance on which black and white read equally well
SHARE = Normalize(0.0, 1.0)
MARGINS = 1.2, 1.1  # inches around heat maps: for labels beside, and above and below
GAP = 0.3  # of a cell, between groups of distributions
LARGEST = 0.6  # inches: the side of a cell
ORACLE_LABEL = "exact answer"  # what the encodings let through of it


def model_labels(found: Iterable[Model], labels: Labels) -> list[str]:
    """Name models by their distribution, and by their recipe if there are several."""
    found = [Model(*model) for model in found]
    several = len({model.recipe for model in found}) > 1
    return [
        labels[distribution] + (f" ({recipe})" if several else "")
        for distribution, recipe in found
    ]


def save(figure: Figure, stem: Path) -> None:
    """Write `stem`.pdf and `stem`.svg; equal figures give equal bytes."""
    for kind, undated in UNDATED.items():
        content = io.BytesIO()
        with rc_context(STYLE):
            figure.savefig(content, format=kind, metadata=undated)
        files.write_bytes(stem.with_name(f"{stem.name}.{kind}"), content.getvalue())


def empty_figure() -> Figure:
    """Stand for a figure of which there is no model."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6))
        figure.text(0.5, 0.5, "no model to show", ha="center", style="italic")
    return figure


class Panel(NamedTuple):
    """A heat map: what it shows, in which colours, and how numbers are written."""

    title: str
    values: pd.DataFrame  # shares, or differences of shares
    colours: Colormap = CIVIDIS
    norm: Normalize = SHARE
    number: str = "{:.0f}"
    ceiling: pd.Series | None = None  # an extra row, below


def heatmaps(square: Pivot, labels: Labels) -> Figure:
    """Draw accuracy by training and test distribution, beside what the paper prints.

    If it prints nothing for this size, its table of the nearest size stands beside.
    """
    panels = _panels(square)
    rows, columns = (len(side) + GAP for side in panels[0].values.axes)
    size = (WIDTH - MARGINS[0]) / max(len(panels), 2)  # of a panel without its labels
    size = min(size, LARGEST * columns)
    height = size * (rows + 1.0 + GAP) / columns + MARGINS[1]
    with rc_context(STYLE):
        figure = Figure(figsize=(MARGINS[0] + len(panels) * size, height))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=True):
            _heatmap(axis, panel, labels)
        axes[0].set_ylabel("trained on")
        figure.supxlabel("tested on", fontsize=STYLE["font.size"])
        _colour_bar(figure, axes)
    return figure


def _panels(square: Pivot) -> list[Panel]:
    ours, size = square.wide("accuracy"), square.published_n
    panels = [Panel(f"measured, {_of(square.n)}", ours, ceiling=square.oracle)]
    if size is None:
        return panels
    same = square.printed.pivot(index="train", columns="test", values="published")
    same = same.reindex(columns=ours.columns)
    same = same.reindex([distribution for distribution, _ in ours.index]).set_axis(
        ours.index
    )
    if square.same_size:
        panels.append(Panel(f"published, {_of(size)}", same))
        panels.append(_difference(ours - same))
    else:
        other = f"published for {_of(size)}, none for {_of(square.n)}"
        panels.append(Panel(other, same))
    return panels


def _of(n: int | str) -> str:
    return f"$n={n}$" if isinstance(n, int) else size_text(n)


def _difference(points: pd.DataFrame) -> Panel:
    bound = max(0.25, np.nanmax(points.abs().to_numpy(), initial=0.0))
    title, norm = "measured $-$ published", Normalize(-bound, bound)
    return Panel(title, points, colormaps["PuOr_r"], norm, "{:+.0f}")


def _places(groups: Iterable[Hashable]) -> np.ndarray:
    """Place rows or columns on an axis, a gap between groups."""
    steps = [0.0] + [1.0 + GAP * (a != b) for a, b in pairwise(groups)]
    return np.cumsum(steps)


def _heatmap(axes: Axes, panel: Panel, labels: Labels) -> None:
    values = panel.values
    across = _places(group(distribution) for distribution in values.columns)
    down = _places(
        (recipe, group(distribution)) for distribution, recipe in values.index
    )
    names = model_labels(values.index, labels)
    bottom = down[-1] + 1.0 + GAP
    for y, (_, row) in zip(down, values.iterrows(), strict=True):
        _cells(axes, across, y, row, panel)
    if panel.ceiling is not None:
        _cells(axes, across, bottom, panel.ceiling, panel)
        down, names = np.append(down, bottom), [*names, ORACLE_LABEL]
    axes.set(xlim=(-0.5, across[-1] + 0.5), ylim=(bottom + 0.5, -0.5), aspect="equal")
    axes.set_xticks(across, [labels[distribution] for distribution in values.columns])
    axes.set_title(panel.title, pad=13)
    axes.tick_params(length=0, pad=1.5)
    axes.tick_params("x", labelrotation=90)
    axes.spines[:].set_visible(False)
    if panel.ceiling is not None:
        axes.set_yticks(down, names)
    _group_names(axes, values.columns, across)


def _cells(
    axes: Axes, across: np.ndarray, y: float, shares: pd.Series, panel: Panel
) -> None:
    for x, share in zip(across, shares, strict=True):
        corner = (x - 0.5, y - 0.5)
        if np.isnan(share):
            empty = Rectangle(corner, 1, 1, facecolor="0.93", edgecolor="white")
            axes.add_patch(empty)
            continue
        colour = panel.colours(panel.norm(share))
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white"))
        text = panel.number.format(round(100 * share)).replace("-", "−")
        text = text.replace("+0", "0")
        ink = "black" if _luminance(colour) > EQUAL_CONTRAST else "white"
        axes.text(x, y, text, size=6, color=ink, ha="center", va="center_baseline")


def _luminance(colour: tuple[float, ...]) -> float:
    """Give the relative luminance of an sRGB colour, as WCAG defines it."""
    s = np.asarray(colour[:3])
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _group_names(axes: Axes, distributions: Iterable[str], places: np.ndarray) -> None:
    """Name the groups above the columns, where there are several."""
    names = np.array([group(distribution) for distribution in distributions])
    if len(set(names)) == 1:
        return
    for name in dict.fromkeys(names):
        middle = places[names == name].mean()
        axes.text(middle, -0.65, name, size=7, ha="center", va="bottom", style="italic")


def _colour_bar(figure: Figure, axes: Sequence[Axes]) -> None:
    shown = ScalarMappable(SHARE, CIVIDIS)
    bar = figure.colorbar(shown, ax=axes, fraction=0.02, pad=0.015, aspect=35)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.ax.tick_params(length=2, width=0.5, pad=1.5)
    bar.set_label("accuracy (%)", labelpad=2)
    bar.outline.set_visible(False)


def learning_curves(
    curves: Pivot, labels: Labels, target: float | None = None
) -> Figure:
    """Draw accuracy against training examples: a panel per test distribution."""
    tests, points = curves.columns, curves.rows[curves.rows["examples"] > 0]

    def draw(axes: Axes, test: str) -> None:
        axes.set_title(f"tested on {labels[test]}")
        _curves(axes, points[points["test"] == test], curves.models, labels)
        _target(axes, target)

    with rc_context(STYLE):
        figure, grid = draw_panels(
            tests, min(len(tests), 3), (0.55, 1.9), draw, sharex=True
        )
        _examples_axis(grid, points["examples"])
        _legend(figure, grid.flat[0], curves.models)
    return figure


def draw_panels(
    shown: Sequence[Any],
    columns: int,
    height: tuple[float, float],
    draw: Callable[[Axes, Any], None],
    sharex: bool = False,
) -> tuple[Figure, np.ndarray]:
    """Draw a panel for each thing shown, row by row; return the figure and its axes.

    `height` in inches is that of what is around the panels, and that of a row.
    """
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(WIDTH, height[0] + height[1] * rows))
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False)
    for axes, panel in zip_longest(grid.flat, shown):
        if panel is None:
            axes.remove()
        else:
            draw(axes, panel)
    return figure, grid


def _legend(figure: Figure, axes: Axes, trained: list[Model]) -> None:
    """Name the lines below the panels: a row for each group of distributions."""
    lines = dict(zip(trained, axes.get_lines(), strict=False))
    rows = [
        [lines[m] for m in trained if group(m.distribution) == name] for name in GROUPS
    ]
    rows = [row for row in rows if row]
    blank = Line2D([], [], linestyle="none", label=" ")
    columns = zip_longest(*rows, fillvalue=blank)
    figure.legend(
        handles=[line for column in columns for line in column],
        loc="outside lower center",
        ncols=max(map(len, rows), default=1),
        title="trained on",
        title_fontsize=STYLE["legend.fontsize"],
        handlelength=3.2,
        columnspacing=1.6,
    )


class LineStyle(NamedTuple):
    """How the curve of a distribution looks, whatever stands beside it."""

    order: int
    colour: str
    marker: str
    dashes: Any


def line_style(distribution: str) -> LineStyle:
    """Give a distribution or mixture its colour, marker and dashes."""
    order = 0
    for part in components(distribution):
        order = order * len(DISTRIBUTIONS) + list(DISTRIBUTIONS).index(part)
    round_, place = divmod(order, len(COLOURS))
    marker = MARKERS[(round_ + place) % len(MARKERS)]
    dashes = DASHED if group(distribution) == POSITIVE else SOLID
    return LineStyle(
        order,
        COLOURS[place],
        marker,
        MIXED if len(components(distribution)) > 1 else dashes,
    )


def _curves(
    axes: Axes, table: pd.DataFrame, trained: list[Model], labels: Labels
) -> None:
    for model, name in zip(trained, model_labels(trained, labels), strict=True):
        look, first = line_style(model.distribution), model.recipe == trained[0].recipe
        own = (table["train"] == model.distribution) & (table["recipe"] == model.recipe)
        points = table[own].dropna(subset="accuracy")
        line = 100 * points.groupby("examples")["accuracy"].agg(["mean", "min", "max"])
        # Between the best and the worst seed.
        shade: ArtistProps = {"color": look.colour, "alpha": 0.15, "linewidth": 0}
        axes.fill_between(line.index, line["min"], line["max"], **shade)
        axes.plot(
            line.index,
            line["mean"],
            color=look.colour,
            linestyle=look.dashes,
            marker=look.marker,
            markerfacecolor=look.colour if first else "white",
            markevery=(
                MARKS * (look.order % len(DISTRIBUTIONS)) / len(DISTRIBUTIONS),
                MARKS,
            ),
            markeredgewidth=0 if first else 0.7,
            label=name,
            zorder=3,
            **UNCLIPPED,
        )
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _target(axes: Axes, target: float | None) -> None:
    if target is None:
        return
    axes.axhline(100 * target, color="0.35", linewidth=0.7, linestyle=":", zorder=2)
    below = target > 0.9
    axes.annotate(
        f"target: {100 * target:g} %",
        (0, 100 * target),
        xycoords=("axes fraction", "data"),
        xytext=(3, -2 if below else 2),
        textcoords="offset points",
        va="top" if below else "bottom",
        size=6,
        color="0.35",
    )


def _examples_axis(grid: np.ndarray, examples: pd.Series) -> None:
    units = {"training examples (millions)": 1e6, "training examples (thousands)": 1e3}
    fitting = [name for name, unit in units.items() if examples.max() >= 10 * unit]
    name = next(iter(fitting), "training examples")
    unit = units.get(name, 1)
    axes = grid.flat[0]
    axes.set_xscale("log")
    first, last = (1, 10) if examples.empty else (examples.min(), examples.max())
    axes.set_xlim(first, last if first < last else 2 * last)
    axes.set_ylim(0, 100)
    axes.set_yticks(range(0, 101, 25))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for below in grid[-1]:
        below.set_xlabel(name)
    for left in grid[:, 0]:
        left.set_ylabel("accuracy (%)")
