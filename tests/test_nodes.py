import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathprobe.errors import InputError
from mathprobe.interp.nodes import Node, all_nodes

number = st.integers(0, 10**6)
heads = st.builds(Node, number, number, st.just("head"), number)
mlps = st.builds(Node, number, number, st.just("mlp"))


@given(heads | mlps)
def test_every_name_is_read_as_it_was_written(node):
    assert Node.parse(node.name) == node


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (Node(18, 0, "head", 1), "P18L0H1"),
        (Node(9, 2, "mlp"), "P09L2MLP"),
        (Node(123, 10, "head", 12), "P123L10H12"),
    ],
)
def test_names_are_the_papers(node, name):
    assert node.name == name


def test_order_is_by_position_layer_heads_then_mlp_as_numbers():
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
def test_what_names_no_node_is_refused(name):
    with pytest.raises(InputError, match=f"'{name}': not a node; they look like P18L0"):
        Node.parse(name)


def test_every_lists_each_node_once_in_order():
    nodes = all_nodes([7, 3], layers=2, heads=3)
    assert len(set(nodes)) == len(nodes) == 2 * 2 * 4
    assert nodes == sorted(nodes)
    assert [node.component for node in nodes[:4]] == ["L0H0", "L0H1", "L0H2", "L0MLP"]
