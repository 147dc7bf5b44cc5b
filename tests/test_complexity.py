from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notation import digits
from scipy import stats

from mathprobe.arith.complexity import (
    CLASSES,
    CLASSIFIERS,
    cascade_lengths,
    class_indices,
)
from mathprobe.arith.questions import OPERATIONS, Addition, sample
from mathprobe.arith.tokens import Layout
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for
from mathprobe.spec import Enrichment, Questions

# Frequencies of the classes without enrichment, by number of digits, from 200 000
# questions of the published code.
PLAIN = {
    5: {
        "S": [0.05, 0.7755, 0.1605, 0.0131, 0.0009, 6.0e-05],
        "M": [0.0497, 0.3855, 0.0596, 0.0042, 0.00022],
        "N": [0, 0.3936, 0.0982, 0.0084, 0.00064],
    },
    6: {
        "S": [0.0279, 0.7592, 0.195, 0.0166, 0.0012, 0.0001],
        "M": [0.0274, 0.3884, 0.0776, 0.0063, 0.0004],
        "N": [0, 0.3754, 0.1136, 0.0102, 0.0008],
    },
    10: {
        "S": [0.0026, 0.6451, 0.3167, 0.0325, 0.0029, 0.00025],
        "M": [0.0026, 0.3399, 0.1431, 0.0138, 0.0013],
        "N": [0, 0.3088, 0.1709, 0.0181, 0.0017],
    },
}
ENRICHED = {  # of additions in enriched batches
    5: [0.206, 0.344, 0.278, 0.119, 0.041, 0.012],
    6: [0.152, 0.318, 0.305, 0.147, 0.054, 0.024],
    10: [0.043, 0.208, 0.34, 0.23, 0.108, 0.072],
    15: [0.009, 0.105, 0.309, 0.287, 0.161, 0.13],
}
PAPER = [0.05, 0.21, 0.34, 0.28, 0.11, 0.02]  # S0 .. S5 of 5 digits, as printed


def by_hand(operation, first, second):
    """Return the class of two strings of digits, computed by its definition."""
    pairs = [(int(x), int(y)) for x, y in zip(first, second, strict=True)][::-1]
    if operation == "addition":
        letter, hardest = "S", 5
        starts = [x + y >= 10 for x, y in pairs]
        propagates = [x + y == 9 for x, y in pairs]
    else:
        letter, hardest = ("N" if int(first) < int(second) else "M"), 4
        top = max([k for k, pair in enumerate(pairs) if pair != (0, 0)], default=0)
        starts = [x < y for x, y in pairs]
        propagates = [x == y and k <= top for k, (x, y) in enumerate(pairs)]
    if not any(starts):
        return f"{letter}0"
    longest = 0
    for k in (k for k, start in enumerate(starts) if start):
        run = 0
        while k + run + 1 < len(pairs) and propagates[k + run + 1]:
            run += 1
        longest = max(longest, run)
    return f"{letter}{min(longest + 1, hardest)}"


def named(operation, first, second, n):
    places = class_indices(operation, digits(first, n), digits(second, n))
    return [CLASSES[place] for place in places]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [1, 2])
def test_all_classes_of_short_operands_match_the_definition(operation, n):
    pairs = list(product(range(10**n), repeat=2))
    first, second = zip(*pairs, strict=True)
    expected = [by_hand(operation, f"{x:0{n}}", f"{y:0{n}}") for x, y in pairs]
    assert named(operation, first, second, n) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(deadline=None)
@given(data=st.data())
def test_classes_of_long_cascades_match_the_definition(operation, data):
    columns = [(0, 0), (3, 3), (4, 5), (5, 4), (2, 9)]  # all carry states
    chosen = data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=12))
    first, second = ("".join(map(str, side)) for side in zip(*chosen, strict=True))
    expected = by_hand(operation, first, second)
    found = named(operation, [int(first)], [int(second)], len(chosen))
    assert found == [expected]


@pytest.mark.parametrize(
    ("operation", "first", "second", "name"),
    [
        ("addition", 111111, 222222, "S0"),
        ("addition", 444444, 555555, "S0"),  # no carry enters the nines
        ("addition", 15, 15, "S1"),
        ("addition", 45, 55, "S2"),
        ("addition", 4445, 5555, "S4"),
        ("addition", 444445, 555555, "S5"),
        ("addition", 4444445, 5555555, "S5"),
        ("subtraction", 333333, 333333, "M0"),
        ("subtraction", 21, 12, "M1"),
        ("subtraction", 311, 212, "M2"),
        ("subtraction", 2000, 1, "M3"),
        ("subtraction", 200000, 1, "M4"),
        ("subtraction", 12, 34, "N1"),  # leading zeros are no cascade
        ("subtraction", 5512, 5534, "N3"),
        ("subtraction", 555512, 555534, "N4"),
    ],
)
def test_classes_by_example(operation, first, second, name):
    assert named(operation, [first], [second], 7) == [name]


def sampled(operation, n, batches, chance):
    enrichment = Enrichment(batches=chance, nines=0.4, equal=0.01)
    settings = Questions(n, {operation: 1.0}, "batches", enrichment)
    rng = rng_for("classes", operation, n)
    parts = Layout(n).split(sample(settings, rng, batches, 64))
    return parts.first, parts.second


def shares(operation, first, second):
    places = class_indices(operation, first, second)
    found = places.bincount(minlength=len(CLASSES)).double() / len(places)
    return dict(zip(CLASSES, found.tolist(), strict=True))


@pytest.mark.parametrize("n", PLAIN)
def test_class_frequencies_match_the_published_code(n):
    numbers = sampled("addition", n, 3125, 0.0)
    additions = shares("addition", *numbers)
    subtractions = shares("subtraction", *numbers)
    for name in CLASSES:
        expected = PLAIN[n][name[0]][int(name[1])]
        error = 5.0 * (2.0 * expected / 200_000) ** 0.5  # both are samples
        found = additions[name] + subtractions[name]
        assert found == pytest.approx(expected, abs=error + 1e-4), name


@pytest.mark.parametrize("n", ENRICHED)
def test_class_frequencies_of_enriched_additions_match_the_published_code(n):
    found = shares("addition", *sampled("addition", n, 3125, 1.0))
    for level, expected in enumerate(ENRICHED[n]):
        assert found[f"S{level}"] == pytest.approx(expected, abs=0.01), level


def test_printed_shares_match_the_number_of_carrying_columns():
    binomial = stats.binom.pmf(range(6), 5, 0.45)
    assert binomial == pytest.approx(PAPER, abs=0.006)
    first, second = sampled("addition", 5, 500, 0.0)
    carrying = (Addition.state(first, second) > 0).sum(1)
    found = carrying.bincount(minlength=6) / len(carrying)
    assert found.tolist() == pytest.approx(PAPER, abs=0.02)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=20))
def test_cascade_lengths_match_the_definition(states):
    expected = [0] * len(states)
    for k, state in enumerate(states):
        run = 1
        while k - run >= 0 and states[k - run] == 0:
            run += 1
        expected[k] = run if state > 0 else 0
    state = torch.tensor(states)
    assert cascade_lengths(state).tolist() == expected


def test_every_operation_has_classes():
    assert list(CLASSIFIERS) == list(OPERATIONS)


def test_an_unknown_operation_is_an_error():
    with pytest.raises(UnknownName, match="known names are addition, subtraction"):
        class_indices("division", digits([1], 1), digits([1], 1))
