import pytest

from mathprobe.errors import InputError
from mathprobe.registry import Registry


@pytest.fixture
def shapes():
    registry = Registry("shape")
    registry.add("round")(1)
    registry.add("square")(2)
    return registry


def test_names_keep_the_order_of_registration(shapes):
    assert list(shapes) == ["round", "square"]
    assert len(shapes) == 2


def test_an_unknown_name_lists_the_known_names(shapes):
    with pytest.raises(KeyError) as caught:
        shapes["oval"]
    assert str(caught.value) == "unknown shape 'oval'; known names are round, square"
    assert isinstance(caught.value, InputError)
    assert "oval" not in shapes


def test_a_registered_name_cannot_be_registered_again(shapes):
    with pytest.raises(InputError, match="'round' is already registered"):
        shapes.add("round")


def test_the_decorator_returns_the_object(shapes):
    assert shapes.add("flat")(3) == 3
    assert shapes["flat"] == 3
    assert shapes.check("flat") == "flat"
