"""Heat maps of any run: numbers of nodes, and attention.  K: key tokens."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from mathprobe.errors import InputError
from mathprobe.interp.nodes import KINDS, Node
from mathprobe.paper.figures import CIVIDIS, SHARE, STYLE, WIDTH, colour_bar

ACROSS = 4  # heads in a row of panels
ROW = 0.16  # inches: height of a row of numbers of nodes
MARGINS = 1.1, 0.9  # inches for labels and colour bar: horizontal, vertical
LOWEST, HIGHEST = 0.6, 1.6  # inches: height of a panel of attention
SMALLEST = 5.0  # points: size of the names of tokens
SIGNED = colormaps["PuOr_r"]
BAR: dict[str, Any] = {"fraction": 0.03, "pad": 0.015, "aspect": 25}


@rc_context(STYLE)
def node_values(
    panels: Mapping[str, Mapping[Node, float]], tokens: Sequence[str], label: str
) -> Figure:
    """Draw a number per node: a column per position, a row per head, MLP or layer.

    Colours diverge around 0 and are the same in all panels.  Cells without a number,
    or with NaN, are grey.

    Parameters
    ----------
    panels
        Numbers by node.  Each title has its column of panels, in which the heads of
        each layer, the MLPs and the residual stream have a panel of their own.
    tokens
        The name of the token at each position.  Nodes of an encoder and of a decoder
        need a figure each.
    label
        Name and unit of the numbers.

    Raises
    ------
    InputError
        If there is no node, or a position has no token.
    """
    nodes = _sorted_nodes(panels.values(), tokens)
    groups = _rows(nodes)
    positions = range(nodes[0].position, nodes[-1].position + 1)
    heights = [len(rows) for rows in groups]
    height = ROW * sum(heights) + 0.08 * len(heights) + MARGINS[1]
    figure = Figure(figsize=(WIDTH, height))
    shape = len(groups), len(panels)
    grid = figure.subplots(
        *shape, sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    numbers = [abs(value) for own in panels.values() for value in own.values()]
    bound = np.nanmax([0.0, *numbers]) or 1.0
    norm = Normalize(-bound, bound)
    for column, (title, values) in zip(grid.T, panels.items(), strict=True):
        column[0].set_title(title)
        for axes, rows in zip(column, groups, strict=True):
            _cells(axes, _table(values, rows, positions), SIGNED, norm)
            axes.set_yticks(range(len(rows)), rows)
        names = tokens[positions.start : positions.stop]
        _name_tokens(column[-1], "x", names, (WIDTH - MARGINS[0]) / len(panels))
        column[-1].set_xlabel("position")
    colour_bar(figure, grid, SIGNED, norm, label, **BAR)
    return figure


@rc_context(STYLE)
def attention(
    panels: Mapping[str, Mapping[Node, Sequence[float]]],
    keys: Sequence[str],
    queries: Sequence[str] | None = None,
) -> Figure:
    """Draw the attention of heads: a panel per head, a row per query, a column per key.

    Keys that a causal head cannot attend to are grey.

    Parameters
    ----------
    panels
        Attention to the keys [K] by head at a query position.  Each title has its
        rows of panels.
    keys, queries
        The names of the tokens; without `queries`, they are the keys.

    Raises
    ------
    InputError
        If there is no head, or a position has no token.
    """
    queries = keys if queries is None else queries
    heads = _sorted_nodes(panels.values(), queries)
    first, last = heads[0].position, heads[-1].position
    names = [name for rows in _rows(heads) for name in rows]
    across = min(ACROSS, len(names))
    chunks = [names[start : start + across] for start in range(0, len(names), across)]
    lines = list(product(chunks, panels))
    width = (WIDTH - MARGINS[0]) / across
    rows = queries[first : last + 1]
    side = max(LOWEST, min(width, HIGHEST, 1.5 * ROW * len(rows)))
    figure = Figure(figsize=(WIDTH, (side + 0.2) * len(lines) + MARGINS[1]))
    grid = figure.subplots(len(lines), across, sharex=True, sharey=True, squeeze=False)
    for line, (components, title) in zip(grid, lines, strict=True):
        for axes in line[len(components) :]:
            axes.set_axis_off()
        for axes, component in zip(line, components, strict=False):
            known = panels[title].items()
            values = {node: row for node, row in known if node.component == component}
            _cells(axes, _shares(values, first, (len(rows), len(keys))), CIVIDIS, SHARE)
            axes.set_title(component)
            _name_tokens(axes, "x", keys, width)
        _name_tokens(line[0], "y", rows, side)
        line[0].set_ylabel(f"{title}\nquery")
    for axes in grid[-1]:
        axes.set_xlabel("key")
    colour_bar(figure, grid, CIVIDIS, SHARE, "attention", **BAR)
    return figure


def _table(
    values: Mapping[Node, float], rows: list[str], positions: Iterable[int]
) -> np.ndarray:
    """Return the numbers of components at positions, and NaN for missing nodes."""
    table = pd.DataFrame(np.nan, rows, list(positions))
    for node, value in values.items():
        if node.component in rows:
            table.loc[node.component, node.position] = value
    return table.to_numpy()


def _shares(
    values: Mapping[Node, Sequence[float]], first: int, shape: tuple[int, int]
) -> np.ndarray:
    """Return the attention of a head by query, from `first` on, and key."""
    shares = np.full(shape, np.nan)
    for node, row in values.items():
        seen = node.position + 1 if node.is_causal else len(row)
        shares[node.position - first, :seen] = row[:seen]
    return shares


def _sorted_nodes(
    panels: Iterable[Mapping[Node, Any]], tokens: Sequence[str]
) -> list[Node]:
    """Return all nodes by position; raise InputError if none, or one has no token."""
    nodes = sorted({node for values in panels for node in values})
    if not nodes:
        raise InputError("no nodes to draw")
    if nodes[-1].position >= len(tokens):
        raise InputError(
            f"{nodes[-1].name} has no token: there are {len(tokens)} names of tokens, "
            f"for the positions 0 to {len(tokens) - 1}"
        )
    return nodes


def _rows(nodes: Iterable[Node]) -> list[list[str]]:
    """Return components: the heads of each layer, the MLPs, the residual stream."""
    groups: dict[str, dict[str, None]] = {}
    for node in sorted(nodes, key=_place):
        group = node.hook_name if node.has_heads else node.kind
        groups.setdefault(group, {})[node.component] = None
    return [list(rows) for rows in groups.values()]


def _place(node: Node) -> tuple[int, int, int]:
    return list(KINDS).index(node.kind), node.layer, node.index


def _cells(axes: Axes, table: np.ndarray, colours: Colormap, norm: Normalize) -> None:
    """Draw a table as vector graphics, first row on top."""
    axes.pcolormesh(
        *(np.arange(length + 1) - 0.5 for length in table.shape[::-1]),
        np.ma.masked_invalid(table),
        cmap=colours,
        norm=norm,
        edgecolors="white",
        linewidth=min(0.3, 6.0 / table.shape[1]),
    )
    axes.set(facecolor="0.9", ylim=(len(table) - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=1.5)


def _name_tokens(
    axes: Axes, which: Literal["x", "y"], names: Sequence[str], length: float
) -> None:
    """Write names of tokens along an axis of this length, in inches.

    Names that do not fit are turned, made smaller, and at last left out.
    """
    points, usual = 72.0 * length / len(names), STYLE["xtick.labelsize"]
    turned = which == "x" and points < 0.6 * usual * max(map(len, names))
    size = min(usual, max(SMALLEST, points)) if turned or which == "y" else usual
    step = math.ceil(SMALLEST / points)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(range(0, len(names), step), names[::step])
    axes.tick_params(which, labelrotation=90 * turned, labelsize=size)
