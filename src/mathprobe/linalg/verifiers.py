"""Verifiers: rules that predict whether a model's prediction is correct.

B: examples, n: size of a matrix, [r, c]: answer, K: thresholds.

Source: Charton 2022 (arXiv 2211.00170), section 3.  A verifier accepts a prediction if
a condition number is below a threshold.  The quantity of a malformed prediction is NaN.
NaN and infinity are not below any threshold, so such predictions are never accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import CONFIDENCE
from mathprobe.lazy import torch
from mathprobe.linalg.properties import condition_number, proportion, statistic
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, Any]
Measure = Callable[["Tensor", "Tensor"], "Tensor"]

VERIFIERS: Registry[Verifier] = Registry("verifier")
COLUMNS = {
    "table": (
        *("verifier", "chosen_by", "threshold", "statistic"),
        *("examples", "count", "value", "low", "high"),
    ),
    "roc": ("verifier", "threshold", "false_positive_rate", "true_positive_rate"),
}


@dataclass(frozen=True)
class Verifier:
    """A rule that accepts predictions whose quantity is below a threshold."""

    measure: Measure  # from matrices and predictions to quantities [B]
    threshold: float  # from the paper

    def quantity(self, matrix: Tensor, prediction: Tensor) -> Tensor:
        """Return the quantities [B] of matrices [B, n, n] and predictions [B, r, c].

        They are NaN for malformed predictions.
        """
        malformed = prediction.isnan().flatten(1).any(1)
        return self.measure(matrix, prediction).masked_fill(malformed, torch.nan)

    def predict(self, matrix: Tensor, prediction: Tensor) -> Tensor:
        """Return a mask [B] of the predictions that are accepted as correct."""
        return self.quantity(matrix, prediction) < self.threshold


# The predicted eigenvectors are below the row of eigenvalues.
VERIFIERS.add("vectors_condition")(
    Verifier(lambda matrix, prediction: condition_number(prediction[:, 1:]), 1.045)
)
VERIFIERS.add("matrix_condition")(
    Verifier(lambda matrix, prediction: condition_number(matrix), 62.0)
)


def _nan_to_infinity(quantity: Tensor) -> Tensor:
    """Replace NaN (malformed predictions) by infinity, so that values are ordered."""
    return quantity.masked_fill(quantity.isnan(), torch.inf)


def _count_accepted(quantity: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return distinct thresholds [K], and how many successes and failures are below."""
    values = _nan_to_infinity(quantity)
    thresholds = torch.cat([values, values.new_tensor([torch.inf])]).unique()
    successes, failures = (
        torch.searchsorted(values[group].sort().values, thresholds)
        for group in (correct, ~correct)
    )
    return thresholds, successes, failures


def calibrate(quantity: Tensor, correct: Tensor) -> float:
    """Return the threshold that classifies most examples [B] correctly.

    Of equally good thresholds, the lowest is returned.  It equals the smallest quantity
    that is not accepted, or infinity if all are accepted.
    """
    thresholds, successes, failures = _count_accepted(quantity, correct)
    return float(thresholds[(successes - failures).argmax()])


def auc(
    quantity: Tensor, correct: Tensor
) -> tuple[float | None, float | None, float | None]:
    """Return the area under the ROC curve of examples [B], with its 95 % interval.

    The area is the probability that a success has a lower quantity than a failure.
    Ties count half; infinite and malformed examples are ties above all others.

    The variance is computed by DeLong's method (1988).  The interval is computed on the
    logit scale, which keeps its bounds between 0 and 1.  The method of Hanley and
    McNeil assumes distributions that condition numbers do not have.

    The area is None unless there are successes and failures; the interval is None if
    the variance is zero or unknown.
    """
    values = _nan_to_infinity(quantity)
    successes, failures = values[correct], values[~correct]
    if not len(successes) or not len(failures):
        return None, None, None
    placements = (
        _fraction_above(successes, failures),
        _fraction_above(failures, successes),
    )
    area = float(placements[0].mean())
    variance = float(sum(map(_variance_of_mean, placements)))
    return area, *(_logit_interval(area, variance) if variance > 0.0 else (None, None))


def _fraction_above(values: Tensor, others: Tensor) -> Tensor:
    """Return the fraction of `others` above each value; ties count half."""
    ordered = others.sort().values
    below, up_to = (
        torch.searchsorted(ordered, values, right=right) for right in (False, True)
    )
    return 1.0 - (below + up_to).double() / (2 * len(others))


def _variance_of_mean(values: Tensor) -> Tensor:
    """Estimate the variance of the mean of values; NaN for a single value."""
    squares = (values - values.mean()).square().sum()
    return squares / (len(values) * (len(values) - 1))


def _logit_interval(area: float, variance: float) -> tuple[float, float]:
    from scipy.special import expit, logit
    from scipy.stats import norm

    half = norm.isf((1.0 - CONFIDENCE) / 2.0) * variance**0.5 / (area * (1.0 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def rates(accepted: Tensor, correct: Tensor) -> dict[str, Row]:
    """Return the rates that the paper prints (section 3), by name.

    With c the quantity and t the threshold, they are P(c < t | success),
    P(not c < t | failure) and the probability that the verifier is right.  `accepted`
    and `correct` are [B].
    """
    hits = {
        "successes_below": accepted[correct],
        "failures_above": ~accepted[~correct],
        "right": accepted == correct,
    }
    return {name: proportion(int(hit.sum()), len(hit)) for name, hit in hits.items()}


def table(quantities: Mapping[str, Tensor], correct: Tensor) -> Iterator[Row]:
    """Yield the rates and the AUC of verifiers.

    `quantities` maps verifiers to their quantities [B]; `correct` [B] is true for
    correct predictions.  A threshold is calibrated on examples 0, 2, 4, ... and
    evaluated on the others; these halves are similar even if the examples are ordered.
    The paper's threshold and the AUC are evaluated on all examples.
    """
    for name, quantity in quantities.items():
        published = VERIFIERS[name].threshold
        calibrated = calibrate(quantity[::2], correct[::2])
        yield from _evaluate(name, "paper", published, quantity, correct)
        held_out = quantity[1::2], correct[1::2]
        yield from _evaluate(name, "calibration", calibrated, *held_out)
        area = {"chosen_by": None, "threshold": None, "statistic": "auc"}
        area |= statistic(len(quantity), *auc(quantity, correct))
        yield {"verifier": name, **area}


def _evaluate(
    name: str, chosen_by: str, threshold: float, quantity: Tensor, correct: Tensor
) -> Iterator[Row]:
    key = {"verifier": name, "chosen_by": chosen_by, "threshold": threshold}
    for rate, row in rates(quantity < threshold, correct).items():
        yield {**key, "statistic": rate, **row}


def roc(quantities: Mapping[str, Tensor], correct: Tensor) -> Iterator[Row]:
    """Yield the points of the ROC curves of verifiers.

    `quantities` maps verifiers to their quantities [B].  An accepted failure is a false
    positive.  A point is omitted if the steps before and after it are equal.  A curve
    ends where all finite quantities are accepted; a straight line to (1, 1) continues
    it for the AUC.  Without successes or without failures, there are no points.
    """
    totals = torch.stack([(~correct).sum(), correct.sum()]).double()
    for name, quantity in quantities.items() if totals.all() else ():
        thresholds, successes, failures = _count_accepted(quantity, correct)
        counts = torch.stack([failures, successes], 1)  # [K, 2]
        points = torch.cat([thresholds[:, None], counts / totals], 1)
        for point in points[_turning_points(counts)].tolist():
            yield dict(zip(COLUMNS["roc"], (name, *point), strict=True))


def _turning_points(counts: Tensor) -> Tensor:
    """Return a mask [K] of the ends of a curve [K, 2] and where its step changes."""
    turns = torch.ones(len(counts), dtype=torch.bool, device=counts.device)
    turns[1:-1] = (counts.diff(n=2, dim=0) != 0).any(1)
    return turns
