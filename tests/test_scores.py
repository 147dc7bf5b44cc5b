from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from mathprobe.linalg import scores
from mathprobe.linalg.examples import distributions_for, draw
from mathprobe.linalg.tasks import TASKS
from mathprobe.seeds import rng_for

TARGET = torch.tensor([[[4.0], [-1.0]]], dtype=torch.float64)


def error(prediction):
    return scores.relative_error("eigenvalues", None, TARGET, prediction).item()


def test_the_error_is_the_relative_l1_distance():
    assert error(TARGET + torch.tensor([[[0.5], [-0.25]]])) == pytest.approx(0.15)
    assert error(TARGET) == 0.0


def test_a_malformed_prediction_is_nan_and_never_correct():
    nan = torch.full_like(TARGET, torch.nan)
    assert torch.tensor(error(nan)).isnan()
    (row,) = scores.table(
        {"seed": 1, "test": "a"}, torch.tensor([torch.nan]), torch.zeros(1), [0.5]
    )
    assert (row["correct"], row["malformed"], row["oracle"]) == (0, 1.0, 1.0)


def test_a_zero_target_must_be_predicted_exactly():
    zero = torch.zeros_like(TARGET)
    hit = scores.relative_error("eigenvalues", None, zero, zero)
    missed = scores.relative_error("eigenvalues", None, zero, TARGET)
    assert hit.tolist() == [0.0]
    assert missed.tolist() == [float("inf")]


@pytest.mark.parametrize("task", TASKS)
def test_predictions_of_zeros_are_incorrect_for_all_tasks(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("zeros"), 20, 3, 3
    )
    error = scores.relative_error(task, matrix, answer, torch.zeros_like(answer))
    assert (error >= 1.0).all()


@pytest.mark.parametrize("task", TASKS)
def test_nan_stays_nan(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("nan"), 20, 3, 3
    )
    prediction = answer.clone()
    prediction[::2] = torch.nan
    error = scores.relative_error(task, matrix, answer, prediction)
    assert torch.equal(error.isnan(), prediction.isnan().all((1, 2)))


@pytest.mark.parametrize("task", ["eigenvectors", "singular_vectors"])
def test_vectors_of_a_zero_matrix_must_equal_the_target(task):
    zero = torch.zeros(1, 3, 3, dtype=torch.float64)
    target = TASKS[task].solve(zero)
    assert scores.relative_error(task, zero, target, target).tolist() == [0.0]
    nothing = torch.zeros_like(target)
    assert scores.relative_error(task, zero, target, nothing).tolist() == [torch.inf]


@pytest.mark.parametrize("task", TASKS)
def test_the_published_code_accepts_zeros_for_tasks_with_vectors(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("zeros"), 20, 3, 3
    )
    guess = torch.zeros_like(answer)
    error = scores.relative_error(task, matrix, answer, guess, "right")
    if task in ("eigenvectors", "singular_vectors"):
        assert (error == 0.0).all()
    else:
        assert (error >= 1.0).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_verdict_on_zeros_changes_no_other_error(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("others"), 20, 3, 3
    )
    errors = [
        scores.relative_error(task, matrix, answer, 1.1 * answer, verdict)
        for verdict in ("wrong", "right")
    ]
    assert torch.equal(*errors)


@pytest.mark.parametrize(("verdict", "exact"), [("by_error", 0.052), ("right", 0.0)])
def test_the_published_code_accepts_an_answer_that_equals_the_label(verdict, exact):
    label, other = torch.tensor([0.526, 0.530]).double().reshape(2, 1, 1, 1)
    rounded = torch.tensor([[[2.0]]]).double()  # the label is the inverse of 1.9
    errors = [
        scores.relative_error("inverse", rounded, label, guess, exact_answers=verdict)
        for guess in (label, other, torch.nan * label)
    ]
    expected = pytest.approx([exact, 0.060, torch.nan], nan_ok=True)
    assert [error.item() for error in errors] == expected


def tensor(*rows):
    return torch.tensor([rows], dtype=torch.float64)


# Matrix, target and prediction with a relative error of exactly 1/20.
TIES = {
    "two eigenvalues": (
        *("eigenvalues", tensor([0.0])),
        *(tensor([-1.7], [-2.3]), tensor([-1.6], [-2.2])),
    ),
    "one eigenvalue": ("eigenvalues", tensor([2.0]), tensor([2.0]), tensor([2.1])),
    "an eigenvalue below": (
        *("eigenvalues", tensor([6.0])),
        *(tensor([6.0]), tensor([5.7])),
    ),
    "eigenvector": (
        *("eigenvectors", tensor([4.2])),
        *(tensor([4.2], [1.0]), tensor([1.0], [0.5])),
    ),
    "inverse": ("inverse", tensor([0.7]), tensor([1.43]), tensor([1.5])),
    "inverse below": ("inverse", tensor([1.9]), tensor([0.526]), tensor([0.5])),
    "transpose": ("transpose", tensor([0.6]), tensor([0.6]), tensor([0.63])),
    "sum": ("matrix_sum", tensor([0.1, 0.3]), tensor([0.4]), tensor([0.42])),
}


@pytest.mark.parametrize("name", TIES)
def test_an_error_equal_to_the_tolerance_is_wrong(name):
    task, *arrays = TIES[name]
    error = scores.relative_error(task, *arrays)
    assert error.item() == pytest.approx(0.05, rel=1e-12)
    assert not scores.is_below(error, 0.05).any()


def test_rounding_decides_some_ties_without_a_margin():
    errors = torch.cat([scores.relative_error(*case) for case in TIES.values()])
    assert (errors < 0.05).any()
    assert not (errors < 0.05).all()


@pytest.mark.parametrize("digits", [2, 3])
def test_verdicts_agree_with_exact_fractions(digits):
    rng, unit = np.random.default_rng(digits), 10 ** (digits - 1)
    target = rng.integers(unit, 10 * unit, (3000, 2))
    shift = rng.integers(0, unit, (3000, 2))
    exact = [
        Fraction(int(off.sum()), int(row.sum()))
        for row, off in zip(target, shift, strict=True)
    ]
    truth, guess = (
        torch.from_numpy(rows / unit)[..., None] for rows in (target, target + shift)
    )
    error = scores.relative_error("eigenvalues", truth, truth, guess)
    expected = [one < Fraction(1, 20) for one in exact]
    assert scores.is_below(error, 0.05).tolist() == expected
    assert Fraction(1, 20) in exact


def test_arrays_and_tables_have_the_same_verdicts():
    errors = np.array([0.0, 0.049, 0.05, 0.05 * (1 - 1e-12), np.nan])
    expected = [True, True, False, False, False]
    assert scores.is_below(errors, 0.05).tolist() == expected
    assert scores.is_below(pd.Series(errors), 0.05).tolist() == expected
    assert scores.is_below(torch.from_numpy(errors), 0.05).tolist() == expected


def test_tolerances_are_strict_and_nested():
    errors = torch.tensor([0.0, 0.005, 0.02, 0.049, 0.05, 1.0])
    tolerances = (0.05, 0.02, 0.01, 0.005)
    rows = list(scores.table({"seed": 1, "test": "a"}, errors, errors, tolerances))
    assert [row["correct"] for row in rows] == [4, 2, 2, 1]
    assert [row["tolerance"] for row in rows] == list(tolerances)
    assert all(tuple(row) == scores.COLUMNS for row in rows)
