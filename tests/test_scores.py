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


def test_tolerances_are_strict_and_nested():
    errors = torch.tensor([0.0, 0.005, 0.02, 0.049, 0.05, 1.0])
    tolerances = (0.05, 0.02, 0.01, 0.005)
    rows = list(scores.table({"seed": 1, "test": "a"}, errors, errors, tolerances))
    assert [row["correct"] for row in rows] == [4, 2, 2, 1]
    assert [row["tolerance"] for row in rows] == list(tolerances)
    assert all(tuple(row) == scores.COLUMNS for row in rows)
