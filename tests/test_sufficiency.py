"""Curves of decoders with hand-set weights, whose circuit is known."""

from dataclasses import replace

import msgspec
import pandas as pd
import pytest
from test_circuits import SETTINGS, circuit
from wired import cascade

from mathprobe.interp.nodes import Node
from mathprobe.studies import controls, sufficiency


@pytest.fixture(scope="module")
def explained():
    return pd.DataFrame(sufficiency.table(circuit("addition", 2)))


@pytest.fixture(scope="module")
def cascades():
    """Exactly one useful head has no known sub-task: see `test_circuits`."""
    return circuit("addition", 3, cascade("addition", 3))


def test_a_fully_explained_model_keeps_all_answers_without_further_nodes(explained):
    curves = explained[~explained["order"].isin(["published", "most pairs"])]
    assert set(curves["nodes"]) == {8}
    assert set(curves["value"]) == {1.0}
    assert set(curves["added"]) == {""}


def test_without_our_sub_tasks_the_digit_with_its_carry_is_missing(explained):
    row = explained[explained["order"] == "published"].iloc[0]
    assert row["nodes"] == 7
    assert row["value"] < 0.5


def test_a_curve_names_the_node_that_is_missing(cascades):
    rows = pd.DataFrame(sufficiency.table(cascades))
    assert list(rows.columns) == list(sufficiency.COLUMNS)
    for order in ("greedy", "ablation", "random"):
        for name in controls.ABLATIONS:
            own = rows[(rows["order"] == order) & (rows["ablation"] == name)]
            assert own["added"].tolist() == ["", "P08L1H3"]
            first, last = own["value"]
            assert first < 0.8
            assert last == 1.0
    assert set(rows["total"]) == {len(cascades.varied_questions[0].ids) - 32}


def test_the_greedy_order_begins_with_the_node_that_restores_most_tokens(cascades):
    run, _ = cascades.varied_questions
    useful, useless = cascades.ablation_facts.nodes, run.nodes[0]
    carry, digit = map(Node.parse, ("P08L1H3", "P09L1MLP"))  # A3 changes less often
    rest = [useless, carry, digit]
    known = [node for node in useful if node not in rest]
    selection, values = run.select(slice(0, 160, 5)), cascades.ablation_values
    order = sufficiency.greedy_order(selection, values, known, rest)
    assert order == [digit, carry, useless]


@pytest.mark.parametrize(("per_class", "measured"), [(1, set()), (4, {6})])
def test_few_questions_are_halved_and_fewer_give_no_curve(per_class, measured):
    """Additions of two digits have three classes."""
    settings = msgspec.structs.replace(SETTINGS, questions_per_class=per_class)
    few = replace(circuit("addition", 2), settings=settings)
    assert {row["total"] for row in sufficiency.table(few)} == measured


def test_a_curve_has_few_points_and_both_ends():
    for steps in (0, 1, 6, 7, 8, 200):
        points = sufficiency._points(steps)
        assert points[0] == 0
        assert points[-1] == steps
        assert len(points) == min(steps + 1, sufficiency.POINTS)
