import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathprobe.errors import InputError
from mathprobe.interp.nodes import Node, all_nodes

number = st.integers(0, 10**6)
heads = st.builds(Node, number, number, st.just("head"), number)
mlps = st.builds(Node, number, number, st.just("mlp"))


@given(heads | mlps)
def test_every_name_round_trips(node):
    assert Node.parse(node.name) == node


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (Node(18, 0, "head", 1), "P18L0H1"),
        (Node(9, 2, "mlp"), "P09L2MLP"),
        (Node(123, 10, "head", 12), "P123L10H12"),
    ],
)
def test_names_match_the_paper(node, name):
    assert node.name == name


def test_nodes_are_sorted_by_number_with_the_mlp_after_heads():
    names = [
        "P9L1MLP",
        "P10L0H2",
        "P10L0H10",
        "P10L0MLP",
        "P10L2H0",
        "P10L10H0",
        "P100L0H0",
    ]
    nodes = [Node.parse(name) for name in names]
    assert sorted(reversed(nodes)) == nodes


@pytest.mark.parametrize("name", ["P1", "P1L0", "P1L0H", "P1L0M", "p1L0H0", "xP1L0H0"])
def test_an_invalid_name_is_an_error(name):
    with pytest.raises(InputError, match=f"'{name}' is not the name of a node"):
        Node.parse(name)


def test_all_nodes_are_unique_and_sorted():
    nodes = all_nodes([7, 3], layers=2, heads=3)
    assert len(set(nodes)) == len(nodes) == 2 * 2 * 4
    assert nodes == sorted(nodes)
    assert [node.component for node in nodes[:4]] == ["L0H0", "L0H1", "L0H2", "L0MLP"]
