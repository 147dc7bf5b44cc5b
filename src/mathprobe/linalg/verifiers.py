"""Failures can be predicted: rules that say which predictions to believe.

B: examples, n: size, [r, c]: answer, K: thresholds.

Source: Charton 2022 (arXiv 2211.00170), section 3: a prediction is believed when a
condition number is below a threshold.  A malformed prediction has no quantity (NaN)
and is never believed; an infinite quantity is below no threshold either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import CONFIDENCE
from mathprobe.lazy import torch
from mathprobe.linalg.properties import condition_number, measured, share
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
    """Believe a prediction whose quantity is below a threshold."""

    measure: Measure
    threshold: float  # the paper's

    def quantity(self, matrix: Tensor, prediction: Tensor) -> Tensor:
        """Measure [B] matrices [B, n, n] and predictions [B, r, c]; malformed: NaN."""
        malformed = prediction.isnan().flatten(1).any(1)
        return self.measure(matrix, prediction).masked_fill(malformed, torch.nan)

    def predict(self, matrix: Tensor, prediction: Tensor) -> Tensor:
        """Say which predictions [B] are believed right."""
        return self.quantity(matrix, prediction) < self.threshold


# Of predicted eigenvectors, below the row of eigenvalues; of the matrices to invert.
VERIFIERS.add("vectors_condition")(
    Verifier(lambda matrix, prediction: condition_number(prediction[:, 1:]), 1.045)
)
VERIFIERS.add("matrix_condition")(
    Verifier(lambda matrix, prediction: condition_number(matrix), 62.0)
)


def _comparable(quantity: Tensor) -> Tensor:
    """Put malformed predictions where infinite quantities are: below no threshold."""
    return quantity.masked_fill(quantity.isnan(), torch.inf)


def _believed(quantity: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count the successes and failures [K] below every threshold [K] that matters."""
    values = _comparable(quantity)
    thresholds = torch.cat([values, values.new_tensor([torch.inf])]).unique()
    successes, failures = (
        torch.searchsorted(values[group].sort().values, thresholds)
        for group in (correct, ~correct)
    )
    return thresholds, successes, failures


def calibrate(quantity: Tensor, correct: Tensor) -> float:
    """Find the threshold with most right verdicts on [B]; the lowest of the best.

    It is the first quantity that is not believed, infinity where all are.
    """
    thresholds, successes, failures = _believed(quantity, correct)
    return float(thresholds[(successes - failures).argmax()])


def auc(
    quantity: Tensor, correct: Tensor
) -> tuple[float | None, float | None, float | None]:
    """Give the area under the ROC curve of [B] and its 95 % interval.

    It is the chance that a success has a lower quantity than a failure, ties counting
    half; infinite and malformed ones tie at the top.  The variance is DeLong's (1988),
    on the logit scale so that the bounds are areas; Hanley and McNeil's supposes distributions
    that condition numbers do not have.  What cannot be estimated is None: an area
    without both outcomes, an interval without variance.
    """
    values = _comparable(quantity)
    right, wrong = values[correct], values[~correct]
    if not len(right) or not len(wrong):
        return None, None, None
    shares = _share_above(right, wrong), _share_above(wrong, right)
    area, variance = float(shares[0].mean()), float(sum(map(_mean_variance, shares)))
    return area, *(_logit_interval(area, variance) if variance > 0.0 else (None, None))


def _share_above(values: Tensor, others: Tensor) -> Tensor:
    """Give the share of the others above each value, ties counting half."""
    ordered = others.sort().values
    below, up_to = (
        torch.searchsorted(ordered, values, right=right) for right in (False, True)
    )
    return 1.0 - (below + up_to).double() / (2 * len(others))


def _mean_variance(values: Tensor) -> Tensor:
    """Estimate the variance of a mean; NaN for a single value."""
    squares = (values - values.mean()).square().sum()
    return squares / (len(values) * (len(values) - 1))


def _logit_interval(area: float, variance: float) -> tuple[float, float]:
    from scipy.special import expit, logit
    from scipy.stats import norm

    half = norm.isf((1.0 - CONFIDENCE) / 2.0) * variance**0.5 / (area * (1.0 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def rates(believed: Tensor, correct: Tensor) -> dict[str, Row]:
    """Give the shares that the paper prints (section 3), from verdicts [B].

    They are P(c < t | success), P(not c < t | failure) and P(rule right).
    """
    hits = {
        "successes_below": believed[correct],
        "failures_above": ~believed[~correct],
        "right": believed == correct,
    }
    return {name: share(int(hit.sum()), len(hit)) for name, hit in hits.items()}


def table(quantities: Mapping[str, Tensor], correct: Tensor) -> Iterator[Row]:
    """Judge verifiers by their quantities [B] on predictions that are right or not [B].

    A threshold is calibrated on every other example, the first one included, and
    judged on the rest: both halves then meet whatever changes along a test set.  The
    paper's threshold and the AUC need no such half and are judged on all examples.
    """
    for name, quantity in quantities.items():
        printed = VERIFIERS[name].threshold
        found = calibrate(quantity[::2], correct[::2])
        yield from _judged(name, "paper", printed, quantity, correct)
        yield from _judged(name, "calibration", found, quantity[1::2], correct[1::2])
        area = {"chosen_by": None, "threshold": None, "statistic": "auc"}
        area |= measured(len(quantity), *auc(quantity, correct))
        yield {"verifier": name, **area}


def _judged(
    name: str, chosen_by: str, threshold: float, quantity: Tensor, correct: Tensor
) -> Iterator[Row]:
    facts = {"verifier": name, "chosen_by": chosen_by, "threshold": threshold}
    for statistic, row in rates(quantity < threshold, correct).items():
        yield {**facts, "statistic": statistic, **row}


def roc(quantities: Mapping[str, Tensor], correct: Tensor) -> Iterator[Row]:
    """Draw ROC curves of verifiers by their quantities [B]: their points, with ties.

    A failure that is believed is a false positive.  Points between two equal steps are
    left out, and a curve ends where all that is finite is believed; the area continues
    it straight to (1, 1).  There is no curve without both outcomes.
    """
    outcomes = torch.stack([(~correct).sum(), correct.sum()]).double()
    for name, quantity in quantities.items() if outcomes.all() else ():
        thresholds, successes, failures = _believed(quantity, correct)
        counts = torch.stack([failures, successes], 1)  # [K, 2]
        shown = _turns(counts)
        points = torch.cat([thresholds[:, None], counts / outcomes], 1)[shown]
        for point in points.tolist():
            yield dict(zip(COLUMNS["roc"], (name, *point), strict=True))


def _turns(counts: Tensor) -> Tensor:
    """Say at which points [K] a curve [K, 2] begins, changes its step or ends."""
    turns = torch.ones(len(counts), dtype=torch.bool, device=counts.device)
    turns[1:-1] = (counts.diff(n=2, dim=0) != 0).any(1)
    return turns
