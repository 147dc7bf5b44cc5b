"""Figures beside the maps: positions that matter, components, several models' maps.

Source: Quirke, Neo, Barez 2024.  Everything is drawn from stored tables alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.arith_pivots import shares
from mathprobe.paper.figures import COLOURS, STYLE, WIDTH
from mathprobe.studies.arith_facts import PANEL_SEPARATOR, TRI_STATE

CASES = ("stops", "hands on", "carries")  # states of a column, in their order
ACROSS = 4  # panels in a row
MEASURES = {  # and what the paper multiplies them with
    "explained": 100,
    "silhouette": 100,
    "calinski_harabasz": 1,
    "agreement": 100,
}
SHARES = {  # of the nodes of a model, that are compared across models
    "nodes for S": "needed for\nadditions",
    "nodes for M": "needed for\ndifferences",
    "nodes for N": "for negative\ndifferences",
    "nodes for 3 of 3 classes": "needed\nfor all",
    "heads with a purpose": "heads with\na purpose",
    "mlps with a purpose": "MLPs with\na purpose",
}


@rc_context(STYLE)
def positions(rows: pd.DataFrame) -> Figure:
    """Draw the share of questions that fail without each position."""
    figure = Figure(figsize=(WIDTH, 2.0))
    axes = figure.add_subplot()
    share, low, high = 100 * rows[["value", "low", "high"]].to_numpy(float).T
    places, hit = np.arange(len(rows)), rows["fails"].to_numpy() > 0
    axes.bar(places, share, color=COLOURS[4])
    reach = [(share - low)[hit], (high - share)[hit]]
    style: dict[str, Any] = {"fmt": "none", "ecolor": "0.3", "elinewidth": 0.6}
    axes.errorbar(places[hit], share[hit], reach, **style)
    named = zip(rows["token"], rows["position"], strict=True)
    axes.set_xticks(places, [f"{token}\nP{place}" for token, place in named])
    axes.tick_params(axis="x", labelsize=min(7.0, 150.0 / len(rows)), length=0)
    axes.set(ylim=(0, 100), ylabel="questions that fail (%)")
    return figure


@rc_context(STYLE)
def pca_scatter(arrays: Mapping[str, np.ndarray], facts: Facts) -> Figure:
    """Draw what heads write along their first two components, a colour per state."""
    names = sorted(name for name in arrays if name != "case")
    down = max(1, math.ceil(len(names) / ACROSS))
    figure = Figure(figsize=(WIDTH, 1.5 * down + 0.3))
    grid = figure.subplots(down, ACROSS, squeeze=False).flat
    for axes, name in zip(grid, names, strict=False):
        for number, label in enumerate(CASES):
            x, y = arrays[name][arrays["case"] == number][:, :2].T
            axes.plot(x, y, ".", ms=2, color=COLOURS[number], label=label)
        axes.set_title(_title(name, facts), fontsize=6)
        axes.set(xticks=[], yticks=[])
    for axes in figure.axes[len(names) :]:
        axes.set_axis_off()
    if names:
        shown = figure.axes[0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside lower center", ncols=len(CASES))
    return figure


def _title(name: str, facts: Facts) -> str:
    """Name a panel, and below give its measures as the paper does."""
    place, operation, column = name.split(PANEL_SEPARATOR)
    measures = []
    for measure, scale in MEASURES.items():
        known = facts.for_node(Node.parse(place), f"{TRI_STATE} {measure} {operation}")
        values = {fact.digit: fact.value for fact in known}
        measures.append(f"{scale * (values[int(column)] or 0.0):.0f}")
    symbol = "+" if operation == "addition" else "−"
    return f"{place} {symbol} column {column}\n{'/'.join(measures)}"


@rc_context(STYLE)
def node_shares(summaries: pd.DataFrame) -> Figure:
    """Draw shares of the nodes of several models: a row a model, a panel a quantity."""
    order = list(summaries["model"].unique())
    table = 100 * shares(summaries).reindex(index=order, columns=list(SHARES))
    figure = Figure(figsize=(WIDTH, 0.7 + 0.16 * len(order)))
    grid = figure.subplots(1, len(SHARES), sharey=True)
    for axes, (quantity, title) in zip(grid, SHARES.items(), strict=True):
        axes.barh(order, table[quantity], color=COLOURS[4])
        axes.set_title(title, fontsize=7)
        axes.set(xlim=(0, 100), xlabel="%")
    grid[0].invert_yaxis()
    grid[0].tick_params(axis="y", labelsize=6)
    return figure


@rc_context(STYLE)
def learning_curves(tracks: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how models learn: right answers of each operation, and the loss.

    Tracks are learning curves by the names of models, as a training writes them.
    """
    tests = list(dict.fromkeys(t for one in tracks.values() for t in one["test"]))
    figure = Figure(figsize=(WIDTH, 2.2))
    *grid, last = figure.subplots(1, len(tests) + 1, sharex=True)
    for colour, (name, track) in zip(cycle(COLOURS), tracks.items(), strict=False):
        for axes, test in zip(grid, tests, strict=True):
            own = track[track["test"] == test]
            axes.plot(own["examples"], 100 * own["accuracy"], color=colour)
        steps = track.drop_duplicates("examples").dropna(subset="loss")
        last.plot(steps["examples"], steps["loss"], color=colour, label=name)
    for axes, test in zip(grid, tests, strict=True):
        axes.set(ylim=(0, 100), title=test)
    last.set(yscale="log", title="loss")
    figure.axes[0].set_ylabel("right answers (%)")
    for axes in figure.axes:
        axes.set_xlabel("training questions (thousands)")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1e3:g}")
    names = last.get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=2, fontsize=6)
    return figure
