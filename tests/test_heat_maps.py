"""Heat maps have the given numbers at the right places, and readable names."""

import math
from itertools import pairwise

import numpy as np
import pytest
from networks import decoder, ids

from mathprobe.errors import InputError
from mathprobe.interp.attention import mean_attention
from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.paper import figures, heat_maps

TOKENS = ("D0", "OPR", "D'0", "=", "A2", "A1", "A0")
EFFECTS = {"P01L0H0": 0.5, "P01L10H1": 2.0, "P03L2H1": -4.0, "P02L0MLP": 1.0}
EFFECTS |= {"P03L2RES": math.nan, "P01L10RES": 3.0}


def numbers(values):
    return {Node.parse(name): value for name, value in values.items()}


def cells(axes):
    """Return the drawn numbers; masked cells are NaN."""
    return np.ma.filled(axes.collections[0].get_array(), np.nan)


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.fixture
def figure():
    panels = {"effect": numbers(EFFECTS), "control": numbers({"P01L0H0": 0.1})}
    return heat_maps.node_values(panels, TOKENS, "effect")


def test_every_number_is_in_the_cell_of_its_node(figure):
    drawn = {}
    for axes in figure.axes[:10:2]:  # of the first title
        rows = zip(labels(axes.yaxis), cells(axes), strict=True)
        drawn |= {
            (row, place): value
            for row, values in rows
            for place, value in enumerate(values)
        }
    expected = {
        (node.component, node.position - 1): value
        for node, value in numbers(EFFECTS).items()
        if not math.isnan(value)
    }
    assert {at: one for at, one in drawn.items() if not math.isnan(one)} == expected
    assert len(drawn) == 3 * 6  # positions 1 to 3


def test_heads_of_each_layer_mlps_and_the_residual_stream_have_panels(figure):
    panels = [labels(axes.yaxis) for axes in figure.axes[:10:2]]
    assert panels == [["L0H0"], ["L2H1"], ["L10H1"], ["L0MLP"], ["L2RES", "L10RES"]]
    assert labels(figure.axes[8].xaxis) == ["OPR", "D'0", "="]


def test_colours_diverge_around_zero_and_are_shared(figure):
    meshes = [axes.collections[0] for axes in figure.axes[:10]]
    assert {(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes} == {(-4.0, 4.0)}
    assert figure.axes[-1].get_ylabel() == "effect"


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_numbers_without_a_range_are_drawn(value):
    panels = {"": numbers({"P00L0H0": value})}
    assert heat_maps.node_values(panels, TOKENS, "effect").axes


@pytest.mark.parametrize("digits", [2, 6, 15, 40])
def test_names_of_tokens_do_not_overlap(digits):
    positions = 3 * digits + 3
    nodes = {Node(position, 0, "mlp"): 1.0 for position in range(positions)}
    tokens = [f"D'{position}" for position in range(positions)]
    drawn = heat_maps.node_values({"": nodes}, tokens, "effect")
    drawn.draw_without_rendering()
    boxes = [text.get_window_extent() for text in drawn.axes[0].get_xticklabels()]
    assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))
    assert all(text.get_size() >= 5.0 for text in drawn.axes[0].get_xticklabels())


def test_attention_has_a_panel_per_head_and_no_later_keys(tmp_path):
    run = Run.greedy(decoder(), ids(15, 3, 9), 4)
    heads = [node for node in run.nodes if node.is_head]
    means = mean_attention(run, heads).tolist()
    panels = {"model": dict(zip(heads, means, strict=True))}
    drawn = heat_maps.attention(panels, [*TOKENS, "x"])
    maps = {axes.get_title(): cells(axes) for axes in drawn.axes[:-1]}
    assert list(maps) == [f"L{layer}H{head}" for layer in (0, 1) for head in range(4)]
    for node, row in zip(heads, means, strict=True):
        shown = maps[node.component][node.position]
        later = [math.nan] * (7 - node.position)
        np.testing.assert_array_equal(shown, [*row[: node.position + 1], *later])
    figures.save(drawn, tmp_path / "attention")
    content = (tmp_path / "attention.svg").read_bytes()
    assert content.count(b"<image") == 1  # the colour bar


def test_cross_attention_has_names_for_queries_and_keys():
    panels = {"": {Node.parse("P01D0X1"): [0.25] * 4}}
    drawn = heat_maps.attention(panels, ["a", "b", "c", "d"], ["start", "first"])
    axes = drawn.axes[0]
    assert (labels(axes.yaxis), labels(axes.xaxis)) == (["first"], list("abcd"))
    assert cells(axes).tolist() == [[0.25] * 4]


@pytest.mark.parametrize("values", [{}, {"P07L0H0": 1.0}])
def test_nodes_without_a_token_are_refused(values):
    with pytest.raises(InputError, match=r"no nodes|P07L0H0 has no token: there are 7"):
        heat_maps.node_values({"": numbers(values)}, TOKENS, "effect")
