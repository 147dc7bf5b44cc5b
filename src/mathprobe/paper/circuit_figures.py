"""Figures of circuits; source: Quirke, Neo, Barez 2024."""

import math
from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.arith_pivots import shares
from mathprobe.paper.figures import COLOURS, STYLE, WIDTH, ArtistProps, share_and_errors
from mathprobe.studies.arith_facts import PANEL_SEPARATOR, TRI_STATE

CASES = ("stops", "hands on", "carries")  # states of a column, by number
ACROSS = 4  # panels in a row
MEASURES = {  # and the factors with which the paper prints them
    "explained": 100,
    "silhouette": 100,
    "calinski_harabasz": 1,
    "agreement": 100,
}
KEPT_TITLES = {"mean": "others mean-ablated", "resample": "others resample-ablated"}
ORDERS = {  # of the nodes added to those with a known sub-task, and two sets of nodes
    "greedy": "most answer tokens right first",
    "ablation": "most failures when ablated first",
    "random": "random order",
    "published": "a published sub-task",
    "most pairs": "a sub-task in most pairs",
}
SINGLE = ("published", "most pairs")
SHARES = {  # of a model's nodes: titles of the panels
    "nodes for S": "needed for\nadditions",
    "nodes for M": "needed for\ndifferences",
    "nodes for N": "for negative\ndifferences",
    "nodes for 3 of 3 classes": "needed\nfor all",
    "heads with a purpose": "heads with\na sub-task",
    "mlps with a purpose": "MLPs with\na sub-task",
}


@rc_context(STYLE)
def positions(rows: pd.DataFrame) -> Figure:
    """Draw the share of questions that fail when a position is ablated."""
    figure = Figure(figsize=(WIDTH, 2.0))
    axes = figure.add_subplot()
    share, errors = share_and_errors(rows)
    x, hit = np.arange(len(rows)), rows["fails"].to_numpy() > 0
    axes.bar(x, share, color=COLOURS[4])
    style: ArtistProps = {"fmt": "none", "ecolor": "0.3", "elinewidth": 0.6}
    axes.errorbar(x[hit], share[hit], errors[:, hit], **style)
    named = zip(rows["token"], rows["position"], strict=True)
    axes.set_xticks(x, [f"{token}\nP{position}" for token, position in named])
    axes.tick_params(axis="x", labelsize=min(7.0, 150.0 / len(rows)), length=0)
    axes.set(ylim=(0, 100), ylabel="questions that fail (%)")
    return figure


@rc_context(STYLE)
def pca_scatter(arrays: Mapping[str, np.ndarray], facts: Facts) -> Figure:
    """Draw the outputs of heads along two principal components, coloured by state.

    `arrays` has scores [B, components] by name, and the state of each question: `case`.
    """
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
        named = figure.axes[0].get_legend_handles_labels()
        figure.legend(*named, loc="outside lower center", ncols=len(CASES))
    return figure


def _title(name: str, facts: Facts) -> str:
    """Return the node, operation and column, with the paper's measures below."""
    place, operation, column = name.split(PANEL_SEPARATOR)
    measures = []
    for measure, factor in MEASURES.items():
        known = facts.for_node(Node.parse(place), f"{TRI_STATE} {measure} {operation}")
        values = {fact.label: fact.known_value for fact in known}
        measures.append(f"{factor * values[column]:.0f}")
    symbol = "+" if operation == "addition" else "−"
    return f"{place} {symbol} column {column}\n{'/'.join(measures)}"


@rc_context(STYLE)
def sufficiency(rows: pd.DataFrame) -> Figure:
    """Draw the share of answers that stay right against the number of nodes kept.

    There is a panel per ablation of the other nodes, and a line per order of nodes.
    """
    figure = Figure(figsize=(WIDTH, 2.2))
    grid = figure.subplots(1, len(KEPT_TITLES), sharey=True)
    for axes, (ablation, title) in zip(grid, KEPT_TITLES.items(), strict=True):
        for colour, (order, label) in zip(COLOURS, ORDERS.items(), strict=False):
            own = rows[(rows["ablation"] == ablation) & (rows["order"] == order)]
            marker = "o" if order in SINGLE else "."
            style: ArtistProps = {"color": colour, "marker": marker, "elinewidth": 0.6}
            axes.errorbar(own["nodes"], *share_and_errors(own), label=label, **style)
        axes.set(title=title, ylim=(0, 105), xlabel="nodes that are not ablated")
    grid[0].set_ylabel("answers that stay right (%)")
    named = grid[0].get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=3, fontsize=6)
    return figure


@rc_context(STYLE)
def node_shares(summaries: pd.DataFrame) -> Figure:
    """Draw shares of the nodes of models: a row per model, a panel per quantity."""
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
def learning_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw accuracy by operation and loss against training questions, by model."""
    tests = list(dict.fromkeys(t for curve in curves.values() for t in curve["test"]))
    figure = Figure(figsize=(WIDTH, 2.2))
    *grid, last = figure.subplots(1, len(tests) + 1, sharex=True)
    for colour, (name, curve) in zip(cycle(COLOURS), curves.items(), strict=False):
        for axes, test in zip(grid, tests, strict=True):
            own = curve[curve["test"] == test]
            axes.plot(own["examples"], 100 * own["accuracy"], color=colour)
        steps = curve.drop_duplicates("examples").dropna(subset="loss")
        last.plot(steps["examples"], steps["loss"], color=colour, label=name)
    for axes, test in zip(grid, tests, strict=True):
        axes.set(ylim=(0, 100), title=test)
    last.set(yscale="log", title="loss")
    figure.axes[0].set_ylabel("right answers (%)")
    for axes in figure.axes:
        axes.set_xlabel("training questions (thousands)")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1e3:g}")
    named = last.get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=2, fontsize=6)
    return figure
