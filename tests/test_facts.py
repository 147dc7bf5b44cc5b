import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathprobe.errors import InputError
from mathprobe.interp.facts import COLUMNS, Fact, Facts
from mathprobe.interp.nodes import Node

A, B, C, D = (
    Node.parse(f"P{name}") for name in ("9L0H1", "10L0MLP", "10L1H0", "11L1H2")
)
FACTS = Facts(
    [
        Fact(C, "fails", "", 0.25, 0.1, 0.5),
        Fact(A, "fails", "", 0.5, 0.4, 0.6),
        Fact(A, "attends", "D3", 0.02),
        Fact(D, "attends", "D3", 0.5),
        Fact(D, "attends", "D13", 0.4),
        Fact(B, "SA", "3", 1.0, 0.9, 1.0),
        Fact(D, "SA", "3", 1.0, 0.9, 1.0, partner="L0H0"),
        Fact(D, "impact", "A10"),
    ]
)
share = st.none() | st.floats(0.0, 1.0)
fact = st.builds(
    Fact,
    st.sampled_from([A, B, C, D]),
    st.sampled_from(["fails", "attends", "SA"]),
    st.sampled_from(["", "S0", "D'13", "2"]),
    *(share, share, share),
    st.sampled_from(["", "L0H1", "L0MLP L1MLP"]),
)


@given(st.lists(fact))
def test_every_table_round_trips(tmp_path_factory, facts):
    path = tmp_path_factory.mktemp("facts") / "facts.csv"
    Facts(facts).save(path)
    assert list(Facts.load(path)) == list(Facts(facts))


def test_facts_are_sorted_by_node():
    assert FACTS.nodes == [A, B, C, D]
    assert [fact.node for fact in FACTS] == [A, A, B, C, D, D, D, D]
    assert [fact.label for fact in FACTS.for_node(D, "attends")] == ["D3", "D13"]
    assert FACTS.for_node(Node.parse("P1L0H0")) == []


def test_another_version_is_an_error(tmp_path):
    path = tmp_path / "facts.csv"
    FACTS.save(path)
    path.write_text(path.read_text().replace("\n3,10,", "\n2,10,", 1))
    with pytest.raises(
        InputError, match="line 4: unknown version '2'; the known version is 3"
    ):
        Facts.load(path)


def test_other_columns_are_an_error(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text(",".join(COLUMNS[:-1]) + "\n")
    with pytest.raises(InputError, match="columns are not version, position, layer"):
        Facts.load(path)


@pytest.mark.parametrize(
    ("here", "instead"), [("head", "neuron"), ("0.25", "much"), ("3,9,", "3,,")]
)
def test_errors_name_the_file_and_line(tmp_path, here, instead):
    path = tmp_path / "facts.csv"
    FACTS.save(path)
    path.write_text(path.read_text().replace(here, instead, 1))
    with pytest.raises(InputError, match=r"facts.csv, line \d: "):
        Facts.load(path)


@pytest.mark.parametrize(
    ("arguments", "nodes"),
    [
        (("fails",), [A, C]),
        (("fails", "", 0.3), [A]),
        (("attends", "D3"), [A, D]),
        (("attends", "D3", 0.1), [D]),
        (("attends", "D1"), []),
        (("impact", "A10", 0.5), [D]),
    ],
)
def test_has_matches_name_label_and_least_value(arguments, nodes):
    assert [node for node in FACTS.nodes if FACTS.has(node, *arguments)] == nodes
