import math

import pytest
import torch
from networks import decoder, ids

from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import node_patch
from mathprobe.interp.patching import Run
from mathprobe.interp.search import (
    InterchangeIntervention,
    Rate,
    head_pairs,
    lowest_rates,
    mlp_sets,
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


def intervention(run, **changes):
    data = {
        "base": run,
        "source": Run.greedy(run.model, ids(15, 6, 9, seed=1), 4),
        "predicted": run.unpatched_answers,
        "mask": torch.ones(4, dtype=torch.bool),
        "match_all": True,
        "case": torch.zeros(6, dtype=torch.int64),
        "cases": 1,
    }
    return InterchangeIntervention(**data | changes)


def succeeds(run, answer, predicted, match_all, mask=(True, True, True, True)):
    """Return whether an answer succeeds; answers are offsets from the base tokens."""
    base = run.unpatched_answers
    patched, wanted = (base + torch.tensor(x) for x in (answer, predicted))
    one = intervention(
        run, predicted=wanted, match_all=match_all, mask=torch.tensor(mask)
    )
    return bool(one.successes(patched[None])[0, 0])


@pytest.mark.parametrize(
    ("answer", "all_match", "some_match"),
    [
        ([0, 1, 2, 0], True, True),
        ([0, 1, 0, 0], False, True),
        ([0, 0, 2, 0], False, True),
        ([0, 0, 0, 0], False, False),  # nothing changed
        ([0, 1, 3, 0], False, False),  # changed to something else
        ([0, 1, 2, 1], False, False),  # another token changed
    ],
)
def test_success_needs_all_or_some_predicted_tokens(run, answer, all_match, some_match):
    assert succeeds(run, answer, [0, 1, 2, 0], True) is all_match
    assert succeeds(run, answer, [0, 1, 2, 0], False) is some_match


@pytest.mark.parametrize("match_all", [True, False])
def test_tokens_outside_the_mask_are_ignored(run, match_all):
    mask = (True, True, False, False)
    assert succeeds(run, [0, 1, 5, 0], [0, 1, 0, 0], match_all, mask)
    assert not succeeds(run, [0, 2, 5, 0], [0, 1, 0, 0], match_all, mask)
    assert not succeeds(run, [0, 0, 5, 0], [0, 1, 0, 0], match_all, mask)


@pytest.mark.parametrize("match_all", [True, False])
@pytest.mark.parametrize("masked", [[0], [1, 2], [0, 1, 2, 3]])
def test_settled_answers_have_the_success_of_answers_decoded_whole(
    match_all, masked, run
):
    source = Run.greedy(run.model, ids(15, 6, 9, seed=1), 4)
    mask = torch.zeros(4, dtype=torch.bool)
    mask[masked] = True
    values = source.activations(*(node.hook_name for node in run.nodes))
    patches = [[node_patch(node, values)] for node in run.nodes]
    whole = run.answers(patches, teacher_forced=False)
    settled = 0
    for wanted in [source.unpatched_answers, *whole[::7]]:
        one = intervention(
            run, source=source, predicted=wanted, mask=mask, match_all=match_all
        )
        answers = run.answers(patches, False, one.is_settled)
        assert torch.equal(one.successes(answers), one.successes(whole))
        settled += (answers != whole).sum()
    assert settled > 0


def test_patching_all_nodes_gives_the_source_answer(run):
    source = Run.greedy(run.model, ids(15, 6, 9, seed=1), 4)
    everywhere = intervention(run, source=source, predicted=source.unpatched_answers)
    assert run.unpatched_answers.ne(source.unpatched_answers).any()
    last = [node for node in run.nodes if node.layer == 1]
    rate = everywhere.rates([tuple(run.nodes), tuple(last), ()])
    assert (
        rate[2].value
        == run.unpatched_answers.eq(source.unpatched_answers).all(1).double().mean()
    )
    assert rate[0].value >= rate[2].value


def test_patching_from_the_base_itself_changes_nothing(run):
    same = intervention(run, source=run)
    assert [rate.value for rate in same.rates([(node,) for node in NODES])] == [1.0] * 7


def test_the_rate_is_the_lowest_of_all_cases(run):
    wanted = run.unpatched_answers.clone()
    wanted[[1, 3, 4], 0] += 1
    case = torch.tensor([0, 0, 1, 1, 1, 2])
    found = intervention(run, source=run, predicted=wanted, case=case, cases=3)
    (rate,) = found.rates([(NODES[0],)])
    assert rate == Rate(1 / 3, *clopper_pearson(1, 3))


def test_the_rate_is_unknown_if_a_case_has_no_pairs(run):
    empty = intervention(run, cases=2).rates([(NODES[0],)])[0]
    nothing = intervention(
        run.select(torch.zeros(6, dtype=torch.bool)), case=torch.zeros(0).long()
    ).rates([(NODES[0],)])[0]
    for rate in (empty, nothing):
        assert math.isnan(rate.value)
        assert (rate.low, rate.high) == (0.0, 1.0)
        assert not rate.is_found


def test_the_rates_of_all_sets_of_nodes_are_computed_together():
    case = torch.tensor([0, 1, 0, 1, 1])
    success = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()
    pairs = [(2, 2), (1, 2), (1, 3)]  # successes and pairs of the case with fewest
    expected = [Rate(a / b, *clopper_pearson(a, b)) for a, b in pairs]
    assert lowest_rates(success, case, 2) == expected
    assert lowest_rates(success[:0], case, 2) == []
    assert [rate.value for rate in lowest_rates(success, case, 3)] == [
        pytest.approx(math.nan, nan_ok=True)
    ] * 3


def test_head_pairs_have_the_same_layer_and_position():
    names = [(one.component, other.component) for one, other in head_pairs(NODES)]
    assert names == [
        *(("L0H0", "L0H1"), ("L0H0", "L0H3"), ("L0H1", "L0H3")),
        ("L0H1", "L0H2"),
    ]


class FakeIntervention:
    """An intervention with given results."""

    def __init__(self, found, known=()):
        self.found, self.known, self.tried = found, dict(known), []

    def rates(self, node_sets):
        self.tried += node_sets
        return [
            self.known.get(nodes, Rate(1.0, 0.9, 1.0))
            if nodes in self.found or nodes in self.known
            else Rate(0.1, 0.0, 0.2)
            for nodes in node_sets
        ]


def test_pairs_are_tested_only_if_no_single_head_is_found():
    head, mlp = NODES[0], NODES[3]
    both = head_pairs(NODES)
    found = search(FakeIntervention([(head,)]), never, NODES, both)
    assert [nodes for nodes in found if len(nodes) == 2] == both[3:]
    assert found[(head,)].is_found
    found = search(FakeIntervention([(mlp,)]), never, NODES, both)
    assert [nodes for nodes in found if len(nodes) == 2] == both


def never():
    raise AssertionError("nothing is undecided")


def test_pairs_of_any_layers_have_the_same_position():
    names = [(a.component, b.component) for a, b in head_pairs(NODES, any_layers=True)]
    assert [pair for pair in names if pair[1] == "L1H1"] == [
        *(("L0H0", "L1H1"), ("L0H1", "L1H1"), ("L0H3", "L1H1"))
    ]
    assert len(names) == 7


def test_sets_of_mlps_end_at_the_last_layer_and_the_smallest_is_tested_first():
    first, second, third, other, head = map(
        Node.parse, ("P3L0MLP", "P3L1MLP", "P3L2MLP", "P4L2MLP", "P3L2H0")
    )
    nodes = [first, second, third, other, head]
    sets = mlp_sets(nodes)
    assert sets == [(second, third), (first, second, third)]
    assert sets[0] in search(FakeIntervention([sets[0]]), never, nodes, sets)
    assert sets[1] not in search(FakeIntervention([sets[0]]), never, nodes, sets)
    assert sets[1] in search(FakeIntervention([]), never, nodes, sets)


def test_an_undecided_rate_is_replaced_by_that_of_more_pairs():
    (one, two), pair = NODES[:2], tuple(NODES[:2])
    few = FakeIntervention([], {(one,): Rate(0.8, 0.7, 0.9)})
    more = FakeIntervention([(one,)])
    found = search(few, lambda: more, [one, two], [pair])
    assert found[(one,)].is_found
    assert more.tried == [(one,)]
    assert pair in found  # the first test had not decided


def test_sampled_nodes_are_distinct():
    chosen = sample_nodes(NODES, 4, rng_for("test"))
    assert len(set(chosen)) == 4
    assert set(chosen) <= set(NODES)
    assert len(sample_nodes(NODES, 10, rng_for("test"))) == len(NODES)
    others = {tuple(sample_nodes(NODES, 4, rng_for("test", k))) for k in range(5)}
    assert len(others) > 1
