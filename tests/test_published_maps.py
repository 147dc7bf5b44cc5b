from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.studies.published_maps import behaviors, features

LAYOUT = Layout(6)
HEAD, MLP = Node.parse("P12L0H1"), Node.parse("P20L1MLP")


def test_behaviors_are_written_as_tags():
    digits = [Fact(HEAD, "impact", f"A{k}") for k in (3, 5, 4)]
    classes = [Fact(HEAD, "fails", name) for name in ("S2", "S0", "S1", "M1", "N1")]
    sources = [Fact(HEAD, "attends", "D'3", 0.49), Fact(HEAD, "attends", "D3", 0.48)]
    panels = [
        Fact(HEAD, "tri-state agreement addition", "2"),
        Fact(HEAD, "tri-state agreement subtraction", "3"),
    ]
    facts = [Fact(HEAD, "fails", "", 0.12), *digits, *classes, *sources, *panels]
    facts += [Fact(MLP, "fails", "", 0.001), Fact(MLP, "impact", "A7")]
    head, mlp = behaviors(Facts(facts), LAYOUT)
    assert head == {
        **{"position": 12, "layer": 0, "is_head": True, "num": 1},
        "tags": [
            *("Fail%:12", "Impact:A543"),
            *("Math.Add:S012", "Math.Sub:M1", "Math.Neg:N1"),
            *("Attn:P9=49", "Attn:P2=48", "Math.Add:A2.SP", "Math.Sub:A3.MP"),
        ],
    }
    assert mlp == {
        **{"position": 20, "layer": 1, "is_head": False, "num": 0},
        "tags": ["Fail%:<1", "Impact:A7"],
    }


def test_features_contain_only_found_sub_tasks():
    facts = Facts(
        [
            Fact(HEAD, "SA", "3", 1.0, 0.95, 1.0),
            Fact(HEAD, "SA", "3", 1.0, 0.95, 1.0, partner=2),
            Fact(HEAD, "OPR", "", 1.0, 0.95, 1.0),
            Fact(HEAD, "MD", "3", 0.6, 0.5, 0.7),
            Fact(Node.parse("P13L0MLP"), "fails", "", 0.5, 0.4, 0.6),
        ]
    )
    tags = [item["tags"] for item in features(facts)]
    assert tags == [["Algo:A3.SA", "Algo:OPR"], []]


def test_attention_tags_are_the_four_most_attended_tokens():
    facts = Facts(Fact(HEAD, "attends", f"D{k}", 0.05 * k + 0.01) for k in range(6))
    (item,) = behaviors(facts, LAYOUT)
    assert item["tags"] == ["Attn:P0=26", "Attn:P1=21", "Attn:P2=16", "Attn:P3=11"]
