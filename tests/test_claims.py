import pandas as pd
import pytest

from mathprobe.arith import claims
from mathprobe.arith.claims import ALGORITHMS, at_least, before, evaluate, exists
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.arith.tokens import Layout
from mathprobe.studies.comparisons import count_clauses

N = 6
LAYOUT = Layout(N)
FOUND = {("SA", 2): [18], ("ST", 3): [12, 14], ("ST", 2): [11, 20], ("MT", 0): [13]}


@pytest.mark.parametrize(
    ("clause", "positions"),
    [
        (exists("SA", 2, LAYOUT), [18]),
        (exists("SA", 1, LAYOUT), []),
        (exists("ST", 2, LAYOUT, last="A7"), [11]),
        (exists("ST", 2, LAYOUT, last="A1"), [11, 20]),
        (exists("SA", 2, LAYOUT, last="A4"), []),
        (before("ST", 2, 3), [11]),
        (before("ST", 3, 2), []),
        (before("ST", 2, 1), []),
        (at_least(2, "ST", range(6)), [11, 12]),
        (at_least(3, "ST", range(6)), []),
    ],
)
def test_clauses_return_the_positions_at_which_they_hold(clause, positions):
    assert clause.find(FOUND) == positions


@pytest.mark.parametrize(
    ("operations", "layers", "names"),
    [
        (["addition"], 1, ["addition of one layer"]),
        (["addition"], 2, ["addition"]),
        (["subtraction"], 3, ["subtraction", "negative answers"]),
        (["subtraction"], 1, ["subtraction of one layer"]),
        (
            ["addition", "subtraction"],
            4,
            ["addition", "subtraction", "negative answers"],
        ),
    ],
)
def test_only_applicable_claims_are_evaluated(operations, layers, names):
    rows = list(evaluate(operations, layers, N, {}))
    assert list(dict.fromkeys(row["algorithm"] for row in rows)) == names
    assert not any(row["holds"] for row in rows)


def all_subtask_positions():
    """Return positions for every sub-task of all columns, higher columns first."""
    return {
        (name, k): [N if k is None else N + (N - k if task.last == "A{sign}" else 7)]
        for name, task in SUBTASKS.items()
        for k in task.columns(N)
    }


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_clause_holds_with_all_sub_tasks_and_fails_without_any(name):
    clauses = list(ALGORITHMS[name].clauses(LAYOUT))
    assert len({clause.text for clause in clauses}) == len(clauses)
    for clause in clauses:
        assert clause.find(all_subtask_positions()), clause.text
        assert not clause.find({}), clause.text


def test_addition_clauses_match_the_published_code():
    texts = [clause.text for clause in ALGORITHMS["addition"].clauses(LAYOUT)]
    assert texts[:6] == [f"SA{k} at A{k + 1} or before" for k in range(6)]
    assert texts[6:10] == [f"ST{k} at A7 or before" for k in range(2, 6)]


def test_optional_clauses_count_only_if_they_hold():
    found = {("SA", k): [LAYOUT.position(f"A{k}") - 1] for k in range(N)} | {
        ("SC", 1): [19]
    }
    rows = list(evaluate(["addition"], 2, N, found))
    assert sum(row["optional"] for row in rows) == N - 1
    mandatory = len([row for row in rows if not row["optional"]])
    (counts,) = count_clauses(pd.DataFrame(rows), "algorithm").itertuples(index=False)
    assert counts == (N + 1, mandatory + 1)
    assert [row["positions"] for row in rows if row["clause"] == "SC1"] == ["P19"]


def test_rows_have_the_columns_of_the_table():
    for row in evaluate(["addition"], 2, N, FOUND):
        assert tuple(row) == claims.COLUMNS
