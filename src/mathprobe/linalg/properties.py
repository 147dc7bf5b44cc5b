"""Mathematical properties of correct and incorrect predictions.

B: examples, n: size of a matrix, k: number of vectors.

Source: Charton 2022 (arXiv 2211.00170), sections 2 and 3.  Matrices, targets and
predictions are decoded from their tokens.  Properties of a malformed prediction and
the angle of a zero vector are NaN; NaN is not below any threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import quantile_ranks, wilson
from mathprobe.lazy import torch
from mathprobe.linalg.scores import is_below
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, Any]
Measure = Callable[["Tensor", "Tensor", "Tensor"], dict[str, "Tensor"]]

PROPERTIES: Registry[Measure] = Registry("task with properties")
ANGLES = (0.1, 0.05, 0.03)  # radians
NOTEBOOK_THRESHOLDS = (0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25)
THRESHOLDS = {  # printed in section 2, its published notebook and section 3 (inverses)
    "error": NOTEBOOK_THRESHOLDS,
    "eigenvalue_error": NOTEBOOK_THRESHOLDS,
    "norm_deviation": NOTEBOOK_THRESHOLDS,
    "row_cosine": NOTEBOOK_THRESHOLDS,
    "row_angle": ANGLES,
    "column_angle": ANGLES,
    "angle": ANGLES,
    "inverse_error": (0.05, 0.25),
}
QUANTILES = (0.02, 0.5, 0.98)  # 0.02 and 0.98 as in the published notebook
MOMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda values: values.mean(),
    "deviation": lambda values: values.std(correction=0),
    "least": lambda values: values.min(),
    "largest": lambda values: values.max(),
}
COLUMNS = (
    *("quantity", "group", "tolerance", "statistic", "at", "examples", "count"),
    *("value", "low", "high"),
)


def relative_distance(target: Tensor, prediction: Tensor) -> Tensor:
    """Return sum |T - P| / sum |T| [B] of answers [B, r, c] (section 2)."""
    distance = (target - prediction).abs().flatten(1).sum(1)
    return distance / target.abs().flatten(1).sum(1)


def norm_deviation(vectors: Tensor) -> Tensor:
    """Return the largest |norm - 1| [B] of the rows and columns of [B, n, n].

    Source: section 2.
    """
    norms = [torch.linalg.vector_norm(vectors, dim=axis) for axis in (1, 2)]
    return (torch.cat(norms, 1) - 1.0).abs().amax(1)


def max_cosine(rows: Tensor) -> Tensor:
    """Return the largest |cosine| [B] between successive rows of [B, k, n], k >= 2.

    The last and the first row are successive, too (section 2).
    """
    unit = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    cosine = (unit * unit.roll(1, dims=1)).sum(2)
    return cosine.abs().amax(1).clamp(max=1.0)  # rounding errors may exceed 1


def max_angle_deviation(rows: Tensor) -> Tensor:
    """Return the largest |angle - pi/2| [B] between successive rows, in radians."""
    return max_cosine(rows).asin()


def singular_values(matrix: Tensor) -> Tensor:
    """Return the singular values [B, n] of matrices [B, n, n] in descending order.

    They are NaN for a matrix with a coefficient that is not finite.
    """
    malformed = ~matrix.isfinite().flatten(1).all(1)
    # svdvals raises an error for the whole batch if one matrix is not finite.
    values = torch.linalg.svdvals(matrix.masked_fill(malformed[:, None, None], 0.0))
    return values.masked_fill(malformed[:, None], torch.nan)


def condition_number(matrix: Tensor) -> Tensor:
    """Return the 2-norm condition numbers [B] of matrices [B, n, n] (section 3).

    The condition number of a singular matrix is infinite.
    """
    values = singular_values(matrix)
    condition = values[:, 0] / values[:, -1]
    return condition.masked_fill(values[:, -1] == 0.0, torch.inf)


@PROPERTIES.add("eigenvectors")
def eigenvector_properties(
    matrix: Tensor, target: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    """Return properties [B] of eigenvalues and eigenvectors [B, 1 + n, n].

    The first row contains the eigenvalues; the columns below it are the eigenvectors.
    The paper states angles of rows and columns.  Its notebook measures only rows, and
    compares cosines with thresholds that the paper states in radians.
    """
    values, vectors = prediction[:, :1], prediction[:, 1:]
    rows, columns = max_angle_deviation(vectors), max_angle_deviation(vectors.mT)
    return {
        "eigenvalue_error": relative_distance(target[:, :1], values),
        "norm_deviation": norm_deviation(vectors),
        "row_cosine": max_cosine(vectors),
        "row_angle": rows,
        "column_angle": columns,
        "angle": torch.maximum(rows, columns),
        "vectors_condition": condition_number(vectors),
    }


@PROPERTIES.add("symmetric_inverse")
@PROPERTIES.add("inverse")
def inverse_properties(
    matrix: Tensor, target: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    """Return properties [B] of matrices, their inverses and predictions [B, n, n]."""
    return {
        "inverse_error": relative_distance(target, prediction),
        "matrix_condition": condition_number(matrix),
        "matrix_norm": singular_values(matrix)[:, 0],
        "prediction_norm": singular_values(prediction)[:, 0],
    }


def statistic(
    examples: int,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    count: int | None = None,
) -> Row:
    """Return the columns of a row for a statistic of `examples` examples."""
    return {
        "examples": examples,
        "count": count,
        "value": value,
        "low": low,
        "high": high,
    }


def proportion(count: int, total: int) -> Row:
    """Return the columns of a row for count / total, with its Wilson interval.

    Value and interval are None if `total` is 0.
    """
    if not total:
        return statistic(total, None, count=count)
    return statistic(total, count / total, *wilson(count, total), count)


def summary(
    quantities: Mapping[str, Tensor], correct: Mapping[float, Tensor]
) -> Iterator[Row]:
    """Yield statistics of quantities [B] over all examples, successes and failures.

    `correct` states which examples [B] are correct at each tolerance.

    For a quantity with thresholds, the statistics are the proportions below them.  (The
    paper states some proportions above a threshold: one minus these.)  For any other
    quantity, they are the mean, standard deviation, minimum, maximum and quantiles of
    its finite values, and the proportion of infinite values.  Such a quantity is
    heavy-tailed among failures: compare quantiles, not means.
    """
    groups = _groups(correct)
    for (name, values), (group, tolerance) in product(quantities.items(), groups):
        chosen = values[groups[group, tolerance]]
        if name in THRESHOLDS:
            rows = _proportions_below(chosen, THRESHOLDS[name])
        else:
            rows = _moments_and_quantiles(chosen)
        key = {"quantity": name, "group": group, "tolerance": tolerance}
        for row in rows:
            yield {**key, **row}


def _groups(
    correct: Mapping[float, Tensor],
) -> dict[tuple[str, float | None], Tensor]:
    """Return masks [B] of the groups of examples, by name and tolerance."""
    groups: dict[tuple[str, float | None], Tensor] = {}
    for tolerance, success in correct.items():
        groups["all", None] = torch.ones_like(success)
        groups["success", tolerance] = success
        groups["failure", tolerance] = ~success
    return groups


def _proportions_below(values: Tensor, thresholds: tuple[float, ...]) -> Iterator[Row]:
    for threshold in thresholds:
        count = int(is_below(values, threshold).sum())
        yield {"statistic": "below", "at": threshold, **proportion(count, len(values))}


def _moments_and_quantiles(values: Tensor) -> Iterator[Row]:
    infinite = proportion(int(values.isinf().sum()), len(values))
    yield {"statistic": "infinite", "at": None, **infinite}
    finite = values[values.isfinite()].sort().values
    total = len(finite)
    for name, moment in MOMENTS.items():
        value = float(moment(finite)) if total else None
        yield {"statistic": name, "at": None, **statistic(total, value)}
    for quantile in QUANTILES:
        key = {"statistic": "quantile", "at": quantile}
        if not total:
            yield {**key, **statistic(total, None)}
            continue
        bounds = finite[list(quantile_ranks(quantile, total))].tolist()
        yield {**key, **statistic(total, float(finite.quantile(quantile)), *bounds)}
