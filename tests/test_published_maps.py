"""Maps in the published format are written as the library does, and read again."""

import re
from pathlib import Path

import pytest

from mathprobe import files
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper import quanta
from mathprobe.studies.arith_facts import is_found
from mathprobe.studies.published_maps import behaviors, features, read

LAYOUT = Layout(6)
HEAD, MLP = Node.parse("P12L0H1"), Node.parse("P20L1MLP")


def item(*tags, node=HEAD):
    return {
        **{"position": node.position, "layer": node.layer},
        **{"is_head": node.kind == "head", "num": node.index, "tags": list(tags)},
    }


# A file with every tag that the library writes, and with those of an older version.
SAMPLE = [
    item(
        *("Fail%:12", "Impact:A543", "Math.Add:S012", "Math.Sub:M14", "Math.Neg:N1"),
        *("Attn:P9=49", "Attn:P2=48", "Attn:P13=2", "Attn:P12=1"),
        *("Math.Add:A2.SP", "Math.Add:A0.SP.Weak", "Math.Sub:A3.MP.Weak"),
    ),
    item("Fail%:0", "Impact:A7", "Math.Sub:M0", node=MLP),
]
FOUND = [item("Algo:A3.SA", "Algo:A2.ND.A2", "Algo:A1.MB.A2", "Algo:OPR", "Algo:A5.GT")]


def names(tags, layout=LAYOUT):
    """Return the facts in tags as names, labels and values."""
    facts = read([item(*tags)], layout)
    return [(fact.name, fact.label, fact.value) for fact in facts]


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
    assert head == item(
        *("Fail%:12", "Impact:A543"),
        *("Math.Add:S012", "Math.Sub:M1", "Math.Neg:N1"),
        *("Attn:P9=49", "Attn:P2=48", "Math.Add:A2.SP", "Math.Sub:A3.MP"),
    )
    assert mlp == item("Fail%:0", "Impact:A7", node=MLP)


def test_features_contain_only_found_sub_tasks():
    facts = Facts(
        [
            Fact(HEAD, "SA", "3", 1.0, 0.95, 1.0),
            Fact(HEAD, "SA", "3", 1.0, 0.95, 1.0, partner="L0H2"),
            Fact(HEAD, "OPR", "", 1.0, 0.95, 1.0),
            Fact(HEAD, "MD", "3", 0.6, 0.5, 0.7),
            Fact(Node.parse("P13L0MLP"), "fails", "", 0.5, 0.4, 0.6),
        ]
    )
    tags = [item["tags"] for item in features(facts)]
    assert tags == [["Algo:A3.SA", "Algo:OPR"], []]


def test_attention_tags_are_the_four_most_attended_tokens():
    facts = Facts(Fact(HEAD, "attends", f"D{k}", 0.05 * k + 0.01) for k in range(6))
    (found,) = behaviors(facts, LAYOUT)
    assert found["tags"] == ["Attn:P0=26", "Attn:P1=21", "Attn:P2=16", "Attn:P3=11"]


def test_a_file_is_written_again_as_it_was_read():
    facts = read(SAMPLE + FOUND, LAYOUT)
    assert behaviors(facts, LAYOUT) == SAMPLE
    assert features(facts)[:1] == FOUND


def test_tags_are_read_as_facts():
    assert names(["Fail%:12", "Impact:A7543", "Math.Neg:N14", "Attn:P9=49"]) == [
        ("fails", "", 0.12),
        *(("impact", f"A{k}", None) for k in (7, 5, 4, 3)),
        *(("fails", "N1", None), ("fails", "N4", None)),
        ("attends", "D'3", 0.49),
    ]
    assert names(["Algo:A3.SA", "Algo:OPR", "Algo:D2.GT", "Math.Sub:A3.MP"]) == [
        *(("SA", "3", None), ("OPR", "", None), ("GT", "2", None)),
        ("tri-state agreement subtraction", "3", None),
    ]


def test_a_weak_finding_is_not_a_found_sub_task():
    (weak,) = read([item("Algo:A2.ND.A2")], LAYOUT)
    assert not is_found(weak)
    (strong,) = read([item("Algo:A2.ND")], LAYOUT)
    assert is_found(strong)


@pytest.mark.parametrize(
    ("digits", "written", "wrong", "unclear"),
    [
        (8, "A9", "9", ""),  # the sign
        (8, "A9876543210", "9876543210", ""),
        (9, "A10", "", "10"),  # A10, or A1 and A0, or all
        (9, "A985", "985", ""),
        (9, "A91", "91", ""),  # A10 has the character 0
        (10, "A1", "", "1"),  # A1, A11 or both
        (10, "A981", "98", "1"),
        (10, "A20", "20", ""),
        (15, "A21", "", "21"),
        (15, "A987", "987", ""),
    ],
)
def test_impacts_with_several_meanings_are_ambiguous(digits, written, wrong, unclear):
    layout = Layout(digits)
    expected = [("impact", f"A{k}", None) for k in wrong]
    if unclear:
        expected.append(("ambiguous impact", unclear, None))
    assert names([f"Impact:{written}"], layout) == expected
    (again,) = behaviors(read([item(f"Impact:{written}")], layout), layout)
    assert again["tags"] == [f"Impact:{written}"]


@pytest.mark.parametrize(
    ("digits", "wrong", "written"),
    [
        (6, [7, 0], "A70"),
        (9, [10, 9], "A910"),
        (11, [12], "A21"),
        (11, [11, 1], "A1"),
    ],
)
def test_impacts_are_written_as_sorted_unique_characters(digits, wrong, written):
    facts = Facts(Fact(HEAD, "impact", f"A{k}") for k in wrong)
    (found,) = behaviors(facts, Layout(digits))
    assert found["tags"] == [f"Impact:{written}"]


def test_an_impact_without_digits_is_the_sign_of_a_model_that_adds():
    assert names(["Impact:A"]) == [("impact", "A7", None)]


def test_a_map_that_was_read_is_drawn_like_ours():
    facts = read(SAMPLE + FOUND, LAYOUT)
    for kind in quanta.MAPS:
        assert quanta.draw(kind, facts, 6).axes
    texts = {kind: quanta.cells(kind, facts, LAYOUT)[HEAD].text for kind in quanta.MAPS}
    assert texts["purpose"] == "A3.SA OPR A5.GT"
    assert (texts["fails"], texts["impact"]) == ("12", "A5..3")
    assert (texts["attention"], texts["coverage"]) == ("D'3 D3", "SMN")


def test_the_example_of_the_python_page_runs(tmp_path):
    (page,) = re.findall(
        r"```python\n(from pathlib import Path\n\nfrom mathprobe import files.*?)```",
        Path("docs/python.md").read_text(encoding="utf-8"),
        re.S,
    )
    files.write_json(tmp_path / "behaviors.json", [item("Fail%:50", "Impact:A2")])
    files.write_json(tmp_path / "features.json", [item("Algo:A2.SA")])
    folder = re.search('Path\\("(.*?)"\\)', page)[1]
    page = page.replace(folder, str(tmp_path))
    page = page.replace("purpose.pdf", str(tmp_path / "purpose.pdf"))
    exec(page, names := {})
    assert [fact.name for fact in names["found"]] == ["fails", "impact", "SA"]
    assert (tmp_path / "purpose.pdf").stat().st_size


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("Fail%:<1", "unknown form"),
        ("Fail:3", "unknown form"),
        ("Fail%:101", "more than 100 percent"),
        ("Impact:A345", "not sorted and unique"),
        ("Impact:A8", "the answer digits are A7 to A0"),
        ("Math.Add:M1", "class M belongs to Math.Sub"),
        ("Math.Neg:N0", "unknown class N0"),
        ("Math.Add:A2.MP", "MP does not belong to Math.Add"),
        ("Attn:P22=5", "the last position is 21"),
        ("Algo:A6.SA", "column 6 is not in 0, ..., 5"),
        ("Algo:A3.NG", "unknown sub-task"),
        ("Algo:SA", "no column"),
        ("Algo:A3.OPR", "no column"),
        ("Algo:OPR.A3", "no column"),
    ],
)
def test_an_unknown_tag_is_refused_with_its_node(tag, problem):
    with pytest.raises(InputError, match="P12L0H1: tag") as error:
        read([item(tag)], LAYOUT)
    assert problem in str(error.value)
    assert tag in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        *({"position": 22}, {"position": -1}, {"layer": "0"}, {"num": None}),
        *({"is_head": 1}, {"tags": "Algo:OPR"}),
    ],
)
def test_a_node_that_cannot_exist_is_refused(change):
    with pytest.raises(InputError):
        read([item() | change], LAYOUT)
