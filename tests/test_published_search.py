"""The published rules on networks with hand-set weights, and on tags made for them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_circuits import circuit

from mathprobe.arith.tokens import MINUS, Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.studies import published_search
from mathprobe.studies.published_search import subtasks

H0, H1 = Node.parse("P07L0H0"), Node.parse("P07L0H1")


def found(circuit):
    return {(fact.node.name, fact.name, fact.label) for fact in subtasks(circuit)}


def with_facts(facts, operations=("addition",), **others):
    """A circuit of two digits, of which only the facts before the search are known."""
    known = {"behavior_facts": Facts(facts), "layout": Layout(2), "digits": 2}
    return SimpleNamespace(operations=operations, **known, **others)


@pytest.fixture(scope="module")
def addition():
    return circuit("addition", 2)


def test_heads_that_read_both_digits_are_found(addition):
    """MLPs are not tested."""
    assert found(addition) == {
        *(("P06L0H1", "ST", "1"), ("P06L0H2", "ST", "0")),
        *(("P07L0H0", "SA", "1"), ("P07L0H1", "SC", "0")),
        ("P08L0H0", "SA", "0"),
    }


def test_heads_that_read_one_digit_each_are_not_tested():
    """Each head of a pair must attend to both digits."""
    assert found(circuit("subtraction", 2)) == set()


@pytest.mark.parametrize(
    ("added", "is_tested"),
    [
        (Fact(H0, "impact", "A0"), True),
        (Fact(H0, "impact", "A2"), False),  # the highest digit is another one
        (Fact(H0, "attends", "A2", 0.9), True),
    ],
)
def test_an_impact_must_be_the_highest(addition, added, is_tested):
    known = [*addition.behavior_facts, added]
    fields = {"model": addition.model}
    changed = with_facts(known, addition.operations, **fields)
    assert (("P07L0H0", "SA", "1") in found(changed)) == is_tested


def test_heads_that_only_attend_to_operator_or_sign_have_no_sub_task():
    both = ("addition", "subtraction")
    operator, sign = Fact(H0, "attends", "OPR", 0.5), Fact(H0, "attends", "A3", 0.5)
    other = replace(operator, node=H1)
    assert found(with_facts([operator, other], both)) == set()
    assert found(with_facts([operator, sign, other], both)) == {
        *(("P07L0H0", "OPR", ""), ("P07L0H0", "SGN", "")),
    }
    assert found(with_facts([operator, sign])) == set()


def candidates(*heads):
    """Facts of heads that may do SA in column 1."""
    return [
        Fact(head, *fact)
        for head in heads
        for fact in (
            *(("attends", "D1", 0.5), ("attends", "D'1", 0.4), ("impact", "A1")),
        )
    ]


PREDICTED = {44: "+039", 11: "+086"}  # by the second number of the base


def answers(*sets):
    """Return a function that gives the predicted answer to patches of these sets."""

    def answer(circuit, rule, trial, tested):
        right = PREDICTED.get(trial.base[1], "")
        wrong = f"+0{sum(trial.base):02}"
        return [right if nodes in sets else wrong for nodes in tested]

    return answer


def test_a_pair_counts_only_if_no_single_head_does(monkeypatch):
    known = with_facts(candidates(H0, H1))
    monkeypatch.setattr(published_search, "_answers", answers((H0, H1)))
    pair = list(subtasks(known))
    assert [(fact.node, fact.name, fact.label, fact.partner) for fact in pair] == [
        *((H0, "SA", "1", "L0H1"), (H1, "SA", "1", "L0H0")),
    ]
    monkeypatch.setattr(published_search, "_answers", answers((H0, H1), (H1,)))
    (single,) = subtasks(known)
    assert (single.node, single.partner) == (H1, "")


def test_a_weak_finding_needs_that_nothing_else_is_found(monkeypatch):
    """Both heads change the tens to other digits than the predicted ones."""
    known = with_facts(candidates(H0, H1))

    def weak(circuit, rule, trial, tested):
        return [{44: "+019", 11: "+026"}.get(trial.base[1], "") for _ in tested]

    monkeypatch.setattr(published_search, "_answers", weak)
    assert found(known) == {
        *(("P07L0H0", "weak SA", "1.A1"), ("P07L0H1", "weak SA", "1.A1")),
    }
    strong = answers((H0,))
    monkeypatch.setattr(published_search, "_answers", strong)
    assert found(known) == {("P07L0H0", "SA", "1")}


def test_tokens_before_the_patch_are_those_of_the_model(addition):
    """After a wrong sign, no answer is as predicted, but ST is any change."""
    known = with_facts(addition.behavior_facts, model=addition.model)
    weight = addition.model.unembed.weight.data[MINUS]
    before = weight.clone()
    weight[known.layout.position("=")] = 1e3
    names = {name for _, name, _ in found(known)}
    weight.copy_(before)
    assert names == {"ST"}
