"""Predicted answers, compared with the algorithm of the paper, column by column."""

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
    """Return the variables of the paper's algorithm, for every column."""
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
    """Return the carry out of each column, as its sign, from the units up."""
    resolved, last = [], 0
    for state in states:
        last = state or last
        resolved.append(last)
    return resolved


def answer(found, carries=None):
    """Apply the paper's answer rule, with computed or given carries."""
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


def change_one_digit(name, k, base, source):
    """Return the base answer with one digit computed from the state of the source."""
    if name[1] == "R":
        changed, place = answer(source), N - k + 1  # of A_k, after the sign
    else:
        changed, place = answer(with_state_of(name, k, base, source)), N - k
    plain = answer(base)
    return plain[:place] + changed[place] + plain[place + 1 :]


def with_state_of(name, k, base, source):
    """Return the base variables with a column's state, or its carry, of the source."""
    state = "ST" if name[0] == "S" else "MT"
    values = source[state] if name[1] in "CSB" else fold(source[state])
    return {**base, state: with_value_of(base[state], values, k)}


def with_value_of(values, source_values, k):
    return [*values[:k], source_values[k], *values[k + 1 :]]


def expected_answer(name, k, base, source):
    """Return the base answer, computed with the sub-task's value in the source."""
    if name in ("SC", "SS", "MB", "NB") or name[1] in "UR":
        return change_one_digit(name, k, base, source)
    if name[1] == "V":
        return answer(with_state_of(name, k, base, source))
    if name == "GT":
        value = with_value_of(base["MT"], source["MT"], k)
        return answer({**base, "SGN": "-" if fold(value)[-1] < 0 else "+"})
    if name == "OPR":
        return answer({**base, name: source[name]})
    if name == "SGN":  # the base sign has been written by then
        return base[name] + answer({**base, name: source[name]})[1:]
    return answer({**base, name: with_value_of(base[name], source[name], k)})


def rows(found, n=N):
    questions = zip(read(found.base, n), read(found.source, n), strict=True)
    for (base, source), predicted in zip(questions, text(found.predicted), strict=True):
        yield variables(*base), variables(*source), predicted


def test_the_reference_algorithm_is_right():
    for name, operation in OPERATIONS.items():
        first, second = torch.randint(10, (2, 200, N), generator=rng_for("test"))
        answers = text(operation.answer(first, second))
        for a, b, expected in zip(
            first.tolist(), second.tolist(), answers, strict=True
        ):
            found = variables(a[::-1], b[::-1], operation.symbol)
            assert answer(found) == expected, name


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_predicted_answers_match_the_reference_algorithm(name, k):
    found = pairs(name, k)
    mask = found.mask.tolist()
    for base, source, predicted in rows(found):
        expected = expected_answer(name, k, base, source)
        tokens = zip(predicted, expected, mask, strict=True)
        assert all(a == b for a, b, counts in tokens if counts)


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_every_intervention_changes_a_predicted_token(name, k):
    found = pairs(name, k)
    before = Layout(N).split(found.base).answer
    assert ((before != found.predicted) & found.mask).any(1).all()


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_questions_have_right_answers_and_the_right_class(name, k):
    found, layout = pairs(name, k), Layout(N)
    for ids in (found.base, found.source):
        for (first, second, operator), line in zip(read(ids), text(ids), strict=True):
            base = variables(first, second, operator)
            assert line.endswith(f"={answer(base)}")
            letter = "S" if operator == "+" else "M" if base["SGN"] == "+" else "N"
            assert letter in SUBTASKS[name].classes
        assert ids.shape == (COUNT, layout.length)


@pytest.mark.parametrize(("name", "k"), PLACES)
def test_the_source_answer_is_not_the_predicted_answer_in_every_case(name, k):
    """A node that encodes the whole answer must fail, unless both are the same."""
    found = pairs(name, k)
    source = Layout(N).split(found.source).answer
    hit = ((source == found.predicted) | ~found.mask).all(1)
    rates = [hit[found.case == case].double().mean() for case in found.case.unique()]
    same = name == "GT" and k == N - 1
    assert (min(rates) == 1.0) if same else (min(rates) < 0.3)


@pytest.mark.parametrize("n", [1, 2, 15])
@pytest.mark.parametrize("name", ["OPR", "SGN"])
def test_operator_and_sign_change_every_digit(name, n):
    found = pairs(name, None, n)
    before = Layout(n).split(found.base).answer
    assert (before != found.predicted)[:, -n:].all()


@pytest.mark.parametrize("column", range(N))
def test_all_changes_between_three_states_occur(column):
    found = pairs("ST", column)
    seen = {
        (base["ST"][column], source["ST"][column]) for base, source, _ in rows(found)
    }
    expected = {(a, b) for a, b, carry, _ in TRI_STATES if column or not carry}
    assert seen == expected
    assert len(seen) == (6 if column else 4)


@pytest.mark.parametrize(("name", "k"), [("SA", 2), ("MD", 2), ("ND", 2)])
def test_carries_into_a_changed_digit_are_opposite(name, k):
    state = "ST" if name == "SA" else "MT"
    for base, source, _ in rows(pairs(name, k)):
        assert fold(base[state])[k - 1] != fold(source[state])[k - 1]


def test_a_column_without_the_sub_task_is_an_error():
    with pytest.raises(
        InputError, match="SS: unknown column 0; with 4 digits the columns are 1, 2"
    ):
        pairs("SS", 0)


@pytest.mark.parametrize("n", [1, 2, 12])
def test_pairs_are_drawn_for_any_number_of_digits(n):
    for name, task in SUBTASKS.items():
        for k in task.columns(n):
            found = task.pairs(rng_for("test"), n, k, 16)
            assert found.predicted.shape == (16, n + 2), name


def test_late_sub_tasks_are_searched_at_positions_that_predict_digits():
    layout = Layout(12)
    task = SUBTASKS["SA"]
    for k in task.columns(12):
        assert layout.position(f"A{k}") - 1 in task.positions(layout)
    assert layout.position("A12") - 1 not in task.positions(layout)
    assert list(SUBTASKS["ST"].positions(layout)) == list(range(12, 27))


def test_token_names_contain_the_column():
    layout, task = Layout(12), SUBTASKS["SC"]
    assert task.attended_tokens(layout, 10) == ["D10", "D'10"]
    assert task.impact_token(layout, 10) == "A11"
    assert SUBTASKS["SGN"].attended_tokens(layout, None) == ["A13"]
