"""Figures of the first study: heat maps of accuracy and learning curves, in percent.

A figure depends on its table alone: equal tables give bitwise identical files.
"""

import io
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mathprobe import files
from mathprobe.linalg.distributions import DISTRIBUTIONS, components
from mathprobe.paper.naming import (
    GROUPS,
    POSITIVE,
    Labels,
    Model,
    group,
    size_text,
    sort_distributions,
)
from mathprobe.paper.pivots import Pivot
from mathprobe.paper.tables import Frame

WIDTH = 5.5  # inches: the paper's text
ArtistProps = dict[str, Any]  # keyword arguments of lines and patches
# The settings of matplotlib, without those of the user: its defaults, and ours.
STYLE: Any = {
    name: rcParamsDefault[name] for name in rcParamsDefault if name != "backend"
}
STYLE |= {
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top", "legend.frameon"), False),
    **dict.fromkeys(("axes.titlesize", "font.size"), 8),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 7),
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.family": "STIXGeneral",
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.4,
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,  # embedded outlines, whose text can be searched and copied
    "svg.hashsalt": "mathprobe",
}
# Markers on the edge of a panel are drawn whole and do not change the layout.
UNCLIPPED: ArtistProps = {"clip_on": False, "in_layout": False}
UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}

# Colour-blind safe palette of Okabe and Ito, without its yellow: too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SOLID, DASHED, MIXED = "-", (0, (3.5, 1.4)), (0, (5, 1.2, 1.2, 1.2))
MARKS = 0.15  # distance of markers on a line, in diagonals of the panel

CIVIDIS = colormaps["cividis"]
EQUAL_CONTRAST = 0.179  # luminance of equal contrast to black and to white (WCAG)
SHARE = Normalize(0.0, 1.0)
MARGINS = 1.2, 1.1  # inches for the labels of heat maps: horizontal, vertical
GAP = 0.3  # between groups of distributions, in cells
LARGEST = 0.6  # inches: side of a cell
ORACLE_LABEL = "oracle"


@rc_context(STYLE)
def save(figure: Figure, stem: Path) -> None:
    """Write `stem`.pdf and `stem`.svg; equal figures give bitwise identical files."""
    for kind, metadata in UNDATED.items():
        content = io.BytesIO()
        figure.savefig(content, format=kind, metadata=metadata)
        files.write_bytes(stem.with_name(f"{stem.name}.{kind}"), content.getvalue())


@rc_context(STYLE)
def empty_figure() -> Figure:
    """Return the figure that is shown if there is no model."""
    figure = Figure(figsize=(WIDTH, 0.6))
    figure.text(0.5, 0.5, "no model to show", ha="center", style="italic")
    return figure


def model_labels(models: Iterable[Model], labels: Labels) -> list[str]:
    """Return labels of models, with their recipes if these differ."""
    models = [Model(*model) for model in models]
    several = len({model.recipe for model in models}) > 1
    return [labels[train] + f" ({recipe})" * several for train, recipe in models]


class Panel(NamedTuple):
    """A heat map of shares, or of differences of shares, and its format."""

    title: str
    values: Frame  # a row per model, a column per test
    colours: Colormap = CIVIDIS
    norm: Normalize = SHARE
    number: str = "{:.0f}"
    oracle: pd.Series | None = None  # an extra row below


@rc_context(STYLE)
def heatmaps(pivot: Pivot, labels: Labels) -> Figure:
    """Draw accuracy by training and test distribution: measured, published, difference.

    If nothing is published for this size, the panel of the nearest size is drawn, and
    there is no difference.
    """
    return _draw_heatmaps(_panels(pivot), labels)


@rc_context(STYLE)
def trend(matrices: Sequence[Pivot], labels: Labels) -> Figure:
    """Draw the accuracy matrices of one task side by side, and the last published one.

    All have the same rows and columns; a distribution may be missing in some of them.
    """
    sizes = [matrix.n for matrix in matrices]
    panels = []
    for matrix in matrices:
        title = _size(matrix.n)
        if sizes.count(matrix.n) > 1:
            title += f", {matrix.first('recipe')}"
        values = pd.Series(matrix.measured).unstack()
        panels.append(Panel(title, values, oracle=matrix.oracle))
    if published := _published(matrices[-1]):
        panels.append(published)
    trained, tested = (
        sort_distributions(name for panel in panels for name in panel.values.axes[side])
        for side in (0, 1)
    )
    index = pd.MultiIndex.from_tuples(Model(name, "") for name in trained)
    aligned = []
    for panel in panels:
        values = panel.values.reindex(trained, columns=tested).set_axis(index)
        oracle = None if panel.oracle is None else panel.oracle.reindex(tested)
        aligned.append(panel._replace(values=values, oracle=oracle))
    return _draw_heatmaps(aligned, labels)


def _draw_heatmaps(panels: list[Panel], labels: Labels) -> Figure:
    rows, columns = (len(side) + GAP for side in panels[0].values.axes)
    size = (WIDTH - MARGINS[0]) / max(len(panels), 2)  # of a panel without its labels
    size = min(size, LARGEST * columns)
    height = size * (rows + 1.0 + GAP) / columns + MARGINS[1]
    figure = Figure(figsize=(MARGINS[0] + len(panels) * size, height))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        _heatmap(axis, panel, labels)
    axes[0].set_ylabel("trained on")
    figure.supxlabel("tested on", fontsize=STYLE["font.size"])
    shape: ArtistProps = {"fraction": 0.02, "pad": 0.015, "aspect": 35}
    bar = colour_bar(figure, axes, CIVIDIS, SHARE, "accuracy (%)", **shape)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.ax.tick_params(length=2, width=0.5, pad=1.5)
    bar.ax.yaxis.labelpad = 2
    return figure


def colour_bar(
    figure: Figure | SubFigure,
    grid: np.ndarray,
    colours: Colormap,
    norm: Normalize,
    label: str,
    **shape: Any,
) -> Colorbar:
    """Add the colour bar of a grid of axes, without an outline."""
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=grid, **shape)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return bar


def share_and_errors(rows: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return shares in percent [B], and the lengths of their intervals [2, B]."""
    share, low, high = 100 * rows[["value", "low", "high"]].to_numpy(float).T
    return share, np.array([share - low, high - share])


def _panels(pivot: Pivot) -> list[Panel]:
    measured, printed = pivot.wide("accuracy"), _published(pivot)
    panels = [Panel(f"measured, {_size(pivot.n)}", measured, oracle=pivot.oracle)]
    if printed is None:
        return panels
    published = printed.values.reindex(
        measured.index.get_level_values(0), columns=measured.columns
    )
    printed = printed._replace(values=published.set_axis(measured.index))
    if not pivot.same_size:
        title = printed.title.replace(",", " for")
        title += f", none for {_size(pivot.n)}"
        return [*panels, printed._replace(title=title)]
    points = measured - printed.values
    bound = max(0.25, np.nanmax(points.abs().to_numpy(), initial=0.0))
    title, norm = "measured $-$ published", Normalize(-bound, bound)
    difference = Panel(title, points, colormaps["PuOr_r"], norm, "{:+.0f}")
    return [*panels, printed, difference]


def _published(pivot: Pivot) -> Panel | None:
    """Return a panel of the published accuracies of the nearest size, if any."""
    if pivot.published_n is None:
        return None
    wide = pivot.printed.pivot(index="train", columns="test", values="published")
    return Panel(f"published, {_size(pivot.published_n)}", wide)


def _size(n: int | str) -> str:
    return f"$n={n}$" if isinstance(n, int) else size_text(n)


def _positions(groups: Iterable[Hashable]) -> np.ndarray:
    """Return positions of rows or columns on an axis, with a gap between groups."""
    steps = [0.0] + [1.0 + GAP * (a != b) for a, b in pairwise(groups)]
    return np.cumsum(steps)


def _heatmap(axes: Axes, panel: Panel, labels: Labels) -> None:
    values = panel.values
    x = _positions(map(group, values.columns))
    y = _positions((recipe, group(train)) for train, recipe in values.index)
    bottom = y[-1] + 1.0 + GAP
    for place, (_, row) in zip(y, values.iterrows(), strict=True):
        _cells(axes, x, place, row, panel)
    axes.set(xlim=(-0.5, x[-1] + 0.5), ylim=(bottom + 0.5, -0.5), aspect="equal")
    axes.set_xticks(x, [labels[test] for test in values.columns])
    axes.set_title(panel.title, pad=13)
    axes.tick_params(length=0, pad=1.5)
    axes.tick_params("x", labelrotation=90)
    axes.spines[:].set_visible(False)
    if panel.oracle is not None:
        _cells(axes, x, bottom, panel.oracle, panel)
        names = [*model_labels(values.index, labels), ORACLE_LABEL]
        axes.set_yticks(np.append(y, bottom), names)
    groups = np.array([group(test) for test in values.columns])
    several = dict.fromkeys(groups) if len(set(groups)) > 1 else ()
    for name in several:
        middle = x[groups == name].mean()
        axes.text(middle, -0.65, name, size=7, ha="center", va="bottom", style="italic")


def _cells(axes: Axes, xs: np.ndarray, y: float, row: pd.Series, panel: Panel) -> None:
    for x, share in zip(xs, row, strict=True):
        missing = np.isnan(share)
        colour: Any = "0.93" if missing else panel.colours(panel.norm(share))
        corner = x - 0.5, y - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white"))
        if missing:
            continue
        text = panel.number.format(round(100 * share)).replace("-", "−")
        text = text.replace("+0", "0")
        rgb = np.asarray(colour[:3])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminance = float(linear @ (0.2126, 0.7152, 0.0722))  # of sRGB, as in WCAG
        ink = "black" if luminance > EQUAL_CONTRAST else "white"
        axes.text(x, y, text, size=6, color=ink, ha="center", va="center_baseline")


@rc_context(STYLE)
def learning_curves(
    curves: Pivot, labels: Labels, target: float | None = None
) -> Figure:
    """Draw accuracy against training examples: a panel per test distribution."""
    tests, points = curves.columns, curves.rows[curves.rows["examples"] > 0]

    def draw(axes: Axes, test: str) -> None:
        axes.set_title(f"tested on {labels[test]}")
        _curves(axes, points[points["test"] == test], curves.models, labels)
        if target is not None:
            _target(axes, target)

    layout = min(len(tests), 3), (0.55, 1.9)
    figure, grid = draw_panels(tests, *layout, draw, "accuracy (%)", sharex=True)
    grid.flat[0].set(ylim=(0, 100), yticks=range(0, 101, 25))
    name = _scale_examples(grid.flat[0], points["examples"])
    for axes in grid[-1]:
        axes.set_xlabel(name)
    _legend_by_group(figure, curves.models, grid.flat[0].get_lines())
    return figure


def _target(axes: Axes, target: float) -> None:
    """Draw a line at a target accuracy, with its label where there is room."""
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


def _scale_examples(axes: Axes, examples: pd.Series) -> str:
    """Make the axis of examples logarithmic; return its label with the unit."""
    first, last = (1, 10) if examples.empty else (examples.min(), examples.max())
    units = {" (millions)": 10**6, " (thousands)": 10**3}
    fitting = (one for one in units.items() if last >= 10 * one[1])
    name, unit = next(fitting, ("", 1))
    axes.set(xscale="log", xlim=(first, last if first < last else 2 * last))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return f"training examples{name}"


def _legend_by_group(
    figure: Figure, models: Sequence[Model], lines: Sequence[Line2D]
) -> None:
    """Add a legend with a row for each group of training distributions."""
    named = dict(zip(models, lines, strict=False))  # the last line may be a target
    rows = [[named[m] for m in named if group(m.distribution) == g] for g in GROUPS]
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


def draw_panels(
    items: Sequence[Any],
    columns: int,
    height: tuple[float, float],  # inches: around the panels, and of each row
    draw: Callable[[Axes, Any], None],
    ylabel: str,
    sharex: bool = False,
) -> tuple[Figure, np.ndarray]:
    """Draw a panel per item, row by row; return the figure and its axes."""
    rows = max(1, -(-len(items) // columns))
    figure = Figure(figsize=(WIDTH, height[0] + height[1] * rows))
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False)
    for axes, item in zip_longest(grid.flat, items):
        if item is None:
            axes.remove()
        else:
            draw(axes, item)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    return figure, grid


def line_style(train: str) -> ArtistProps:
    """Return colour, dashes and markers of a distribution, the same in all figures."""
    order, parts, count = 0, components(train), len(DISTRIBUTIONS)
    for part in parts:
        order = order * count + list(DISTRIBUTIONS).index(part)
    cycle, place = divmod(order, len(COLOURS))
    dashes = DASHED if group(train) == POSITIVE else SOLID
    return {
        "color": COLOURS[place],
        "linestyle": MIXED if len(parts) > 1 else dashes,
        "marker": MARKERS[(cycle + place) % len(MARKERS)],
        "markevery": (MARKS * (order % count) / count, MARKS),
    }


def _curves(axes: Axes, table: Frame, trained: list[Model], labels: Labels) -> None:
    for model, name in zip(trained, model_labels(trained, labels), strict=True):
        style, first = line_style(model.distribution), model.recipe == trained[0].recipe
        own = (table["train"] == model.distribution) & (table["recipe"] == model.recipe)
        points = table[own].dropna(subset="accuracy")
        line = 100 * points.groupby("examples")["accuracy"].agg(["mean", "min", "max"])
        band: ArtistProps = {"color": style["color"], "alpha": 0.15, "linewidth": 0}
        axes.fill_between(line.index, line["min"], line["max"], **band)  # of all seeds
        axes.plot(
            line.index,
            line["mean"],
            **style,
            markerfacecolor=style["color"] if first else "white",
            markeredgewidth=0 if first else 0.7,
            label=name,
            zorder=3,
            **UNCLIPPED,
        )
    axes.grid(axis="y")
    axes.set_axisbelow(True)
