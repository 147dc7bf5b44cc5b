"""Accuracy of predictions.  B: examples, [r, c]: answer.

Source: Charton 2022, section 2: a prediction is right when its relative L1 error is
below a tolerance.  A malformed prediction is wrong at every tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mathprobe.lazy import torch
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Tensor

CONFIDENCE = 0.95
ORACLE = "oracle"  # who answers exactly, within what the tokens show
COLUMNS = (
    "seed",
    "test",
    "tolerance",
    "examples",
    "correct",
    "malformed",
    "accuracy",
    "low",
    "high",
    "oracle",
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


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Give the Wilson interval of a share at 95 % confidence."""
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def quantile_ranks(quantile: float, total: int) -> tuple[int, int]:
    """Give the ranks, from 0, of a sorted sample that enclose a quantile at 95 %.

    Free of the distribution: the number of values below a quantile is binomial.
    """
    from scipy.stats import binom

    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = binom.ppf([tail, 1.0 - tail], total, quantile)
    return max(0, int(low) - 1), min(total - 1, int(high))


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
