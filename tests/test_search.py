import math

import pytest
import torch
from networks import decoder, ids

from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.interp.search import (
    InterchangeIntervention,
    Rate,
    head_pairs,
    sample_nodes,
    search,
)
from mathprobe.intervals import clopper_pearson
from mathprobe.seeds import rng_for

NODES = [
    Node.parse(name)
    for name in ("P3L0H0", "P3L0H1", "P3L0H3", "P3L0MLP", "P3L1H1", "P4L0H1", "P4L0H2")
]


@pytest.fixture
def run():
    return Run.greedy(decoder(), ids(15, 6, 9), 4)


def exchange(run, **changes):
    data = {
        "clean": run,
        "other": Run.greedy(run.model, ids(15, 6, 9, seed=1), 4),
        "predicted": run.unpatched_answers,
        "claimed": torch.ones(4, dtype=torch.bool),
        "whole": True,
        "case": torch.zeros(6, dtype=torch.int64),
        "cases": 1,
    }
    return InterchangeIntervention(**data | changes)


def hits(run, answer, predicted, whole, claimed=(True, True, True, True)):
    """Judge one answer of the first question; 0 stands for the clean token."""
    clean = run.unpatched_answers
    made, wanted = (
        torch.where(torch.tensor(x) == 0, clean, clean + torch.tensor(x))
        for x in (answer, predicted)
    )
    one = exchange(run, predicted=wanted, whole=whole, claimed=torch.tensor(claimed))
    return bool(one.hits(made[None])[0, 0])


@pytest.mark.parametrize(
    ("answer", "whole", "some"),
    [
        ([0, 1, 2, 0], True, True),
        ([0, 1, 0, 0], False, True),
        ([0, 0, 2, 0], False, True),
        ([0, 0, 0, 0], False, False),  # nothing changed
        ([0, 1, 3, 0], False, False),  # changed to something else
        ([0, 1, 2, 1], False, False),  # something more changed
    ],
)
def test_what_was_predicted_comes_true_wholly_or_partly(run, answer, whole, some):
    assert hits(run, answer, [0, 1, 2, 0], True) is whole
    assert hits(run, answer, [0, 1, 2, 0], False) is some


@pytest.mark.parametrize("whole", [True, False])
def test_tokens_of_which_nothing_is_claimed_may_become_anything(run, whole):
    claimed = (True, True, False, False)
    assert hits(run, [0, 1, 5, 0], [0, 1, 0, 0], whole, claimed)
    assert not hits(run, [0, 2, 5, 0], [0, 1, 0, 0], whole, claimed)
    assert not hits(run, [0, 0, 5, 0], [0, 1, 0, 0], whole, claimed)


def test_exchanging_everything_gives_the_answer_of_the_other_question(run):
    other = Run.greedy(run.model, ids(15, 6, 9, seed=1), 4)
    everywhere = exchange(run, other=other, predicted=other.unpatched_answers)
    assert run.unpatched_answers.ne(other.unpatched_answers).any()
    last = [node for node in run.nodes if node.layer == 1]
    rate = everywhere.rates([tuple(run.nodes), tuple(last), ()])
    assert (
        rate[2].value
        == run.unpatched_answers.eq(other.unpatched_answers).all(1).double().mean()
    )
    assert rate[0].value >= rate[2].value


def test_exchanging_with_the_same_question_changes_nothing(run):
    same = exchange(run, other=run)
    assert [rate.value for rate in same.rates([(node,) for node in NODES])] == [1.0] * 7


def test_the_rate_is_that_of_the_hardest_case(run):
    wanted = run.unpatched_answers.clone()
    wanted[[1, 3, 4], 0] += 1
    case = torch.tensor([0, 0, 1, 1, 1, 2])
    found = exchange(run, other=run, predicted=wanted, case=case, cases=3)
    (rate,) = found.rates([(NODES[0],)])
    assert rate == Rate(1 / 3, *clopper_pearson(1, 3))


def test_without_pairs_of_a_case_nothing_is_known(run):
    empty = exchange(run, cases=2).rates([(NODES[0],)])[0]
    nothing = exchange(
        run.select(torch.zeros(6, dtype=torch.bool)), case=torch.zeros(0).long()
    ).rates([(NODES[0],)])[0]
    for rate in (empty, nothing):
        assert math.isnan(rate.value)
        assert (rate.low, rate.high) == (0.0, 1.0)
        assert not rate.is_found


def test_pairs_are_of_heads_of_one_layer_at_one_position():
    names = [(one.component, other.component) for one, other in head_pairs(NODES)]
    assert names == [
        *(("L0H0", "L0H1"), ("L0H0", "L0H3"), ("L0H1", "L0H3")),
        ("L0H1", "L0H2"),
    ]


class Known:
    """An exchange whose results are given."""

    def __init__(self, found):
        self.found, self.tried = found, []

    def rates(self, sets):
        self.tried += sets
        return [
            Rate(1.0, 0.9, 1.0) if nodes in self.found else Rate(0.1, 0.0, 0.2)
            for nodes in sets
        ]


def test_pairs_are_tried_where_no_single_head_is_found():
    head, mlp = NODES[0], NODES[3]
    both = head_pairs(NODES)
    found = search(Known([(head,)]), NODES, both)
    assert [nodes for nodes in found if len(nodes) == 2] == both[3:]
    assert found[(head,)].is_found
    found = search(Known([(mlp,)]), NODES, both)
    assert [nodes for nodes in found if len(nodes) == 2] == both


def test_random_nodes_are_different_ones_of_those_given():
    chosen = sample_nodes(NODES, 4, rng_for("test"))
    assert len(set(chosen)) == 4
    assert set(chosen) <= set(NODES)
    assert len(sample_nodes(NODES, 10, rng_for("test"))) == len(NODES)
    others = {tuple(sample_nodes(NODES, 4, rng_for("test", k))) for k in range(5)}
    assert len(others) > 1
