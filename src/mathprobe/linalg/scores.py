"""Accuracy of predictions.  B: examples, [r, c]: answer.

Source: Charton 2022, section 2: a prediction is right when its relative L1 error is
below a tolerance.  A malformed prediction is wrong at every tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import wilson
from mathprobe.lazy import torch
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Tensor

ORACLE = "oracle"  # who answers exactly, within what the tokens show
COLUMNS = (
    *("seed", "test", "tolerance", "examples", "correct"),
    *("malformed", "accuracy", "low", "high", "oracle"),
)


def relative_error(
    task: str, matrix: Tensor, target: Tensor, prediction: Tensor
) -> Tensor:
    """Give the relative L1 error [B] of predictions [B, r, c]; NaN stays NaN.

    Where nothing is compared with nothing, only the target itself is right: else a
    prediction of zeros would be right wherever the scale is the prediction's own.
    """
    difference, scale = TASKS[task].residual(matrix, target, prediction)
    error = difference.abs().flatten(1).sum(1)
    size = scale.abs().flatten(1).sum(1)
    hit = (prediction == target).flatten(1).all(1)
    of_nothing = torch.where(hit, 0.0, torch.inf)
    return torch.where((error == 0.0) & (size == 0.0), of_nothing, error / size)


def table(
    name: dict[str, Any],
    error: Tensor,
    oracle_error: Tensor,
    tolerances: Iterable[float],
) -> Iterator[dict[str, Any]]:
    """Score one test set: a named row per tolerance, shares between 0 and 1."""
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
