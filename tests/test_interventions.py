"""Predicted answers, held against the paper's algorithm, one column after another."""

import pytest
import torch
from notation import text

from mathprobe.arith.interventions import TRI_STATES
from mathprobe.arith.questions import OPERATIONS
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.seeds import rng_for

N = 4
PLACES = [(name, k) for name, task in SUBTASKS.items() for k in task.columns(N)]
COUNT = 64


def pairs(name, k, n=N, count=COUNT):
    return SUBTASKS[name].pairs(rng_for("test", name, n, k or 0), n, k, count)


def read(ids, n=N):
    """Read a question as two numbers, units first, and its operator."""
    for line in text(ids):
        first, second = line[:n], line[n + 1 : 2 * n + 1]
        yield [int(d) for d in first[::-1]], [int(d) for d in second[::-1]], line[n]


def signs(values):
    return [(v > 0) - (v < 0) for v in values]


def variables(first, second, operator):
    """Compute what the paper's algorithm computes of every column."""
    sums = [a + b for a, b in zip(first, second, strict=True)]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    found = {
        "OPR": operator,
        "SA": [s % 10 for s in sums],
        "ST": signs(s - 9 for s in sums),
        "MD": [d % 10 for d in differences],
        "MT": signs(differences),
        "ND": [-d % 10 for d in differences],
    }
    found["SGN"] = "-" if operator == "-" and fold(found["MT"])[-1] < 0 else "+"
    return found


def fold(states):
    """Resolve states from the units up: what a column decides, or else those below."""
    resolved, last = [], 0
    for state in states:
        last = state or last
        resolved.append(last)
    return resolved


def answer(found, carries=None):
    """Apply the paper's answer rule; carries may be told instead of computed."""
    n = len(found["SA"])
    if found["OPR"] == "+":
        base, sign, size = found["SA"], 1, fold(found["ST"])
        carry = [int(s > 0) for s in size]
    else:
        negative = found["SGN"] == "-"
        base, sign = found["ND" if negative else "MD"], -1
        carry = [int((s if negative else -s) > 0) for s in fold(found["MT"])]
    carry = carries or carry
    digits = [(b + sign * c) % 10 for b, c in zip(base, [0, *carry], strict=False)]
    top = carry[n - 1] if found["OPR"] == "+" else 0
    return found["SGN"] + "".join(map(str, [top, *digits[::-1]]))


def late(name, k, clean, other):
    """Tell one answer digit alone that the column below carries, or not."""
    state = "ST" if name[0] == "S" else "MT"
    mixed = {**clean, state: exchanged(clean[state], other[state], k)}
    told, place = answer(mixed), N - k  # of A_(k+1), after the sign
    plain = answer(clean)
    return plain[:place] + told[place] + plain[place + 1 :]


def exchanged(values, others, k):
    return [*values[:k], others[k], *values[k + 1 :]]


def expect(name, k, clean, other):
    """Give the clean question's answer, told this sub-task's value of the other."""
    if name in ("SC", "SS", "MB", "NB"):
        return late(name, k, clean, other)
    if name == "SV":
        resolved = fold(clean["ST"])
        decided = exchanged(clean["ST"], fold(other["ST"]), k)
        assert resolved[k] != fold(decided)[k]
        return answer({**clean, "ST": decided})
    if name == "GT":
        value = exchanged(clean["MT"], other["MT"], k)
        return answer({**clean, "SGN": "-" if fold(value)[-1] < 0 else "+"})
    if name == "OPR":
        return answer({**clean, name: other[name]})
    if name == "SGN":  # the clean sign has been written by then
        return clean[name] + answer({**clean, name: other[name]})[1:]
    return answer({**clean, name: exchanged(clean[name], other[name], k)})


def rows(found, n=N):
    questions = zip(read(found.clean, n), read(found.other, n), strict=True)
    for (clean, other), predicted in zip(questions, text(found.predicted), strict=True):
        yield variables(*clean), variables(*other), predicted


def test_this_algorithm_is_right():
    for operation, told in OPERATIONS.items():
        first, second = torch.randint(10, (2, 200, N), generator=rng_for("test"))
        answers = text(told.answer(first, second))
        for a, b, expected in zip(
            first.tolist(), second.tolist(), answers, strict=True
        ):
            found = variables(a[::-1], b[::-1], told.symbol)
            assert answer(found) == expected, operation


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_the_predicted_answer_is_what_the_algorithm_gives(name, k):
    found = pairs(name, k)
    claimed = found.claimed.tolist()
    for clean, other, predicted in rows(found):
        expected = expect(name, k, clean, other)
        shown = zip(predicted, expected, claimed, strict=True)
        assert all(a == b for a, b, counts in shown if counts)


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_every_exchange_changes_something_that_is_claimed(name, k):
    found = pairs(name, k)
    before = Layout(N).split(found.clean).answer
    assert ((before != found.predicted) & found.claimed).any(1).all()


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_questions_come_with_their_answers_and_are_of_the_class(name, k):
    found, layout = pairs(name, k), Layout(N)
    for ids in (found.clean, found.other):
        for (first, second, operator), line in zip(read(ids), text(ids), strict=True):
            clean = variables(first, second, operator)
            assert line.endswith(f"={answer(clean)}")
            letter = "S" if operator == "+" else "M" if clean["SGN"] == "+" else "N"
            assert letter in SUBTASKS[name].classes
        assert ids.shape == (COUNT, layout.length)


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_the_other_answer_is_not_the_predicted_one_in_every_case(name, k):
    """Telling the whole answer is no sub-task, but where it is one and the same."""
    found = pairs(name, k)
    other = Layout(N).split(found.other).answer
    hit = ((other == found.predicted) | ~found.claimed).all(1)
    rates = [hit[found.case == case].double().mean() for case in found.case.unique()]
    same = name == "GT" and k == N - 1
    assert (min(rates) == 1.0) if same else (min(rates) < 0.3)


@pytest.mark.parametrize("n", [1, 2, 15])
@pytest.mark.parametrize("name", ["OPR", "SGN"])
def test_every_single_digit_tells_what_was_exchanged(name, n):
    found = pairs(name, None, n)
    before = Layout(n).split(found.clean).answer
    assert (before != found.predicted)[:, -n:].all()


@pytest.mark.parametrize("column", range(N))
def test_all_three_states_are_exchanged_in_both_directions(column):
    found = pairs("ST", column)
    seen = {
        (clean["ST"][column], other["ST"][column]) for clean, other, _ in rows(found)
    }
    expected = {(a, b) for a, b, carry, _ in TRI_STATES if column or not carry}
    assert seen == expected
    assert len(seen) == (6 if column else 4)


@pytest.mark.parametrize(("name", "k"), [("SA", 2), ("MD", 2), ("ND", 2)])
def test_opposite_carries_come_to_a_digit_that_is_exchanged(name, k):
    state = "ST" if name == "SA" else "MT"
    for clean, other, _ in rows(pairs(name, k)):
        assert fold(clean[state])[k - 1] != fold(other[state])[k - 1]


def test_a_column_that_a_sub_task_does_not_have_is_refused():
    with pytest.raises(
        InputError, match="SS: column 0: with 4 digits columns are 1, 2"
    ):
        pairs("SS", 0)


@pytest.mark.parametrize("n", [1, 2, 12])
def test_pairs_are_drawn_for_any_number_of_digits(n):
    for name, task in SUBTASKS.items():
        for k in task.columns(n):
            found = task.pairs(rng_for("test"), n, k, 16)
            assert found.predicted.shape == (16, n + 2), name


def test_late_sub_tasks_are_looked_for_where_single_digits_are_predicted():
    layout = Layout(12)
    task = SUBTASKS["SA"]
    for k in task.columns(12):
        assert layout.position(f"A{k}") - 1 in task.positions(layout)
    assert layout.position("A12") - 1 not in task.positions(layout)
    assert list(SUBTASKS["ST"].positions(layout)) == list(range(12, 27))


def test_names_of_tokens_are_filled_in():
    layout, task = Layout(12), SUBTASKS["SC"]
    assert task.sources(layout, 10) == ["D10", "D'10"]
    assert task.impacted(layout, 10) == "A11"
    assert SUBTASKS["SGN"].sources(layout, None) == ["A13"]
