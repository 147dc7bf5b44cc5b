"""Accuracy of predictions.  B: examples, [r, c]: answer.

Source: Charton 2022, section 2: a prediction is correct if its relative L1 error is
below a tolerance.  A malformed prediction is incorrect at every tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from mathprobe.intervals import wilson
from mathprobe.lazy import torch
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from mathprobe.spec import ExactAnswers, ZeroAnswers

Values = TypeVar("Values", "Tensor", "np.ndarray", "pd.Series")

ORACLE = "oracle"  # the exact solver that reads and writes the same tokens as a model
COLUMNS = (
    *("seed", "test", "tolerance", "examples", "correct"),
    *("malformed", "accuracy", "low", "high", "oracle"),
)
# Decoded numbers have few decimal digits, so an error can equal a tolerance exactly.
# This margin, relative to the tolerance, exceeds the rounding errors of an error.
TIE_MARGIN = 1e-9


def is_below(values: Values, bound: float) -> Values:
    """Return whether errors or other values [B] are below a bound; NaN is not.

    A value within TIE_MARGIN of the bound counts as equal to it: without a margin,
    rounding errors would decide, and could differ between machines.
    """
    return values < bound * (1.0 - TIE_MARGIN)


def relative_error(
    task: str,
    matrix: Tensor,
    target: Tensor,
    prediction: Tensor,
    zero_answers: ZeroAnswers = "wrong",
    exact_answers: ExactAnswers = "by_error",
) -> Tensor:
    """Return the relative L1 errors [B] of predictions [B, r, c]; NaN for malformed.

    Difference and scale of the residual are both zero for a prediction of zeros, if the
    prediction determines the scale.  Its error is then 0 if the prediction equals the
    target, or if `zero_answers` is "right", as in the published code.  Otherwise it is
    infinite.

    If `exact_answers` is "right", the error of a prediction that equals the target is
    0.  The published code compares tokens, of which zero has several.
    """
    difference, scale = TASKS[task].residual(matrix, target, prediction)
    error = difference.abs().flatten(1).sum(1)
    size = scale.abs().flatten(1).sum(1)
    exact = (prediction == target).flatten(1).all(1)
    of_zeros = torch.where(exact | (zero_answers == "right"), 0.0, torch.inf)
    error = torch.where((error == 0.0) & (size == 0.0), of_zeros, error / size)
    return error.masked_fill(exact & (exact_answers == "right"), 0.0)


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
        correct = int(is_below(error, tolerance).sum())
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
            "oracle": float(is_below(oracle_error, tolerance).double().mean()),
        }
