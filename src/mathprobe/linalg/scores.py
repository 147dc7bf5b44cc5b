"""Accuracy of predictions.  B: examples, [r, c]: answer.

Source: Charton 2022, section 2: a prediction is correct if its relative L1 error is
below a tolerance.  A malformed prediction is incorrect at every tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import wilson
from mathprobe.lazy import torch
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Tensor

ORACLE = "oracle"  # the exact solver that reads and writes the same tokens as a model
COLUMNS = (
    *("seed", "test", "tolerance", "examples", "correct"),
    *("malformed", "accuracy", "low", "high", "oracle"),
)


def relative_error(
    task: str, matrix: Tensor, target: Tensor, prediction: Tensor
) -> Tensor:
    """Return the relative L1 errors [B] of predictions [B, r, c]; NaN for malformed.

    If difference and scale of the residual are both zero, the error is 0 for a
    prediction that equals the target and infinite for any other.  Without this rule, a
    prediction of zeros would be correct for tasks whose scale is predicted.
    """
    difference, scale = TASKS[task].residual(matrix, target, prediction)
    error = difference.abs().flatten(1).sum(1)
    size = scale.abs().flatten(1).sum(1)
    equal = (prediction == target).flatten(1).all(1)
    of_zeros = torch.where(equal, 0.0, torch.inf)
    return torch.where((error == 0.0) & (size == 0.0), of_zeros, error / size)


def table(
    name: dict[str, Any],
    error: Tensor,
    oracle_error: Tensor,
    tolerances: Iterable[float],
) -> Iterator[dict[str, Any]]:
    """Yield the accuracy on a test set, one row per tolerance.

    `name` contains the columns that identify the rows.  `error` and `oracle_error` are
    relative errors [B] of a model and of the oracle.  Accuracies are between 0 and 1.
    """
    total = len(error)
    for tolerance in tolerances:
        correct = int((error < tolerance).sum())
        low, high = wilson(correct, total)
        yield {
            **name,
            "tolerance": tolerance,
            "examples": total,
            "correct": correct,
            "malformed": float(error.isnan().double().mean()),
            "accuracy": correct / total,
            "low": low,
            "high": high,
            "oracle": float((oracle_error < tolerance).double().mean()),
        }
