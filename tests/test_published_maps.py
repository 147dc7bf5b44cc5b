import pytest

from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.studies.published_maps import behaviors, features, read

LAYOUT = Layout(6)
SEEN = [
    "Fail%:12",
    "Impact:A543",
    "Math.Add:S012",
    "Math.Sub:M01",
    "Math.Neg:N1",
    "Attn:P9=49",
    "Attn:P2=48",
    "Math.Add:A2.SP",
    "Math.Sub:A3.MP",
]
DOES = ["Algo:A2.ST", "Algo:OPR"]
HEAD = {"position": 12, "layer": 0, "is_head": True, "num": 1}
MLP = {"position": 20, "layer": 1, "is_head": False, "num": 0}


def test_what_was_seen_is_written_as_it_was_read():
    items = [{**HEAD, "tags": SEEN}, {**MLP, "tags": ["Fail%:<1", "Impact:A7"]}]
    assert behaviors(read(items, LAYOUT), LAYOUT) == items


def test_what_nodes_do_is_written_as_it_was_read():
    items = [{**HEAD, "tags": DOES}]
    assert features(read(items, LAYOUT)) == items


def test_tags_become_facts():
    facts = read([{**HEAD, "tags": SEEN + DOES}], LAYOUT)
    node = Node.of("P12L0H1")
    assert facts.nodes == [node]
    named = {(fact.name, fact.digit): fact.value for fact in facts}
    assert named["fails", None] == 0.12
    assert [fact.digit for fact in facts.of(node, "impact")] == [5, 4, 3]
    assert named["attends D'", 3] == 0.49
    assert named["attends D", 3] == 0.48
    assert {"fails S2", "fails N1"} <= {fact.name for fact in facts}
    assert ("ST", 2) in named
    assert ("OPR", None) in named


def test_a_weak_finding_is_one_all_the_same():
    (fact,) = read([{**HEAD, "tags": ["Algo:A5.ND.A5"]}], LAYOUT)
    assert fact == Fact(Node.of("P12L0H1"), "ND", 5)


def test_only_what_was_found_is_written():
    node = Node.of("P12L0H1")
    facts = Facts(
        [
            Fact(node, "SA", 3, 1.0, 0.95, 1.0),
            Fact(node, "SA", 3, 1.0, 0.95, 1.0, partner=2),
            Fact(node, "MD", 3, 0.6, 0.5, 0.7),
            Fact(Node.of("P13L0MLP"), "fails", None, 0.5, 0.4, 0.6),
        ]
    )
    assert [item["tags"] for item in features(facts)] == [["Algo:A3.SA"], []]


def test_sources_are_the_four_that_are_attended_to_most():
    node = Node.of("P12L0H1")
    facts = Facts(Fact(node, "attends D", k, 0.05 * k + 0.01) for k in range(6))
    (item,) = behaviors(facts, LAYOUT)
    assert item["tags"] == ["Attn:P0=26", "Attn:P1=21", "Attn:P2=16", "Attn:P3=11"]


@pytest.mark.parametrize(
    ("digits", "text", "read_as"),
    [
        (6, "7", [7]),
        (6, "6543210", [6, 5, 4, 3, 2, 1, 0]),
        (10, "1098", [10, 9, 8]),
        (12, "13121", [13, 12, 1]),
    ],
)
def test_digits_that_were_run_together_are_parted(digits, text, read_as):
    facts = read([{**MLP, "tags": [f"Impact:A{text}"]}], Layout(digits))
    assert [fact.digit for fact in facts] == read_as


@pytest.mark.parametrize(
    ("digits", "tag", "message"),
    [
        (10, "Impact:A10", "Impact:A10: 2 ways to read it"),
        (6, "Impact:A9", "Impact:A9: 0 ways to read it"),
        (6, "Impact:A345", "Impact:A345: 0 ways to read it"),
        (6, "Attn:P22=5", "Attn:P22: there are 22 positions"),
        (6, "Colour:red", "P20L1MLP: unknown tag 'Colour:red'"),
        (6, "Algo:A1.XY", "unknown sub-task 'XY'"),
    ],
)
def test_what_cannot_be_read_is_refused(digits, tag, message):
    with pytest.raises(InputError, match=message):
        read([{**MLP, "tags": [tag]}], Layout(digits))


def test_a_node_without_its_place_is_refused():
    with pytest.raises(InputError, match="a node has no 'layer'"):
        read([{"position": 1, "is_head": True, "num": 0, "tags": ["OPR"]}], LAYOUT)
