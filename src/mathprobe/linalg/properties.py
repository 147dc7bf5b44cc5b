"""What failures keep: properties of predictions.  B: examples, n: size, k: vectors.

Source: Charton 2022 (arXiv 2211.00170), sections 2 and 3.  Matrices, targets and
predictions are what their tokens say.  What belongs to a malformed prediction is NaN,
and so is the angle of a zero vector; NaN is never below a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from mathprobe.intervals import quantile_ranks, wilson
from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, Any]

Measure = Callable[["Tensor", "Tensor", "Tensor"], dict[str, "Tensor"]]

PROPERTIES: Registry[Measure] = Registry("task with properties")
ANGLES = (0.1, 0.05, 0.03)  # radians
NOTEBOOK = (0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25)
THRESHOLDS = {  # as printed: section 2, its published notebook and, for inverses, 3
    "error": NOTEBOOK,
    "eigenvalue_error": NOTEBOOK,
    "norm_deviation": NOTEBOOK,
    "row_cosine": NOTEBOOK,
    "row_angle": ANGLES,
    "column_angle": ANGLES,
    "angle": ANGLES,
    "inverse_error": (0.05, 0.25),
}
QUANTILES = (0.02, 0.5, 0.98)  # the published notebook's two, and the median
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
    """Give sum |T - P| / sum |T| [B] of answers [B, r, c] (section 2)."""
    distance = (target - prediction).abs().flatten(1).sum(1)
    return distance / target.abs().flatten(1).sum(1)


def norm_deviation(vectors: Tensor) -> Tensor:
    """Give the largest | norm - 1 | [B] of rows and columns [B, n, n] (section 2)."""
    norms = [torch.linalg.vector_norm(vectors, dim=axis) for axis in (1, 2)]
    return (torch.cat(norms, 1) - 1.0).abs().amax(1)


def largest_cosine(rows: Tensor) -> Tensor:
    """Give the largest |cosine| [B] of successive rows [B, k, n], last and first too.

    There are two rows or more (section 2).
    """
    unit = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    cosine = (unit * unit.roll(1, dims=1)).sum(2)
    return cosine.abs().amax(1).clamp(max=1.0)  # rounding may leave more than 1


def largest_angle(rows: Tensor) -> Tensor:
    """Give the largest deviation [B] of those angles from pi/2, in radians."""
    return largest_cosine(rows).asin()


def singular_values(matrix: Tensor) -> Tensor:
    """Give singular values [B, n], largest first, of matrices [B, n, n]."""
    malformed = ~matrix.isfinite().flatten(1).all(1)
    # One matrix that is not finite makes the routine fail for the whole batch.
    values = torch.linalg.svdvals(matrix.masked_fill(malformed[:, None, None], 0.0))
    return values.masked_fill(malformed[:, None], torch.nan)


def condition_number(matrix: Tensor) -> Tensor:
    """Give condition numbers [B] in the 2-norm; singular: infinite (section 3)."""
    values = singular_values(matrix)
    condition = values[:, 0] / values[:, -1]
    return condition.masked_fill(values[:, -1] == 0.0, torch.inf)


@PROPERTIES.add("eigenvectors")
def of_eigenvectors(
    matrix: Tensor, target: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    """Measure eigenvalues [B, 1, n] over vectors in columns [B, n, n]: [B] each.

    The paper speaks of rows and columns; its notebook only looks at rows, and compares
    the cosine with what the paper has in radians.
    """
    values, vectors = prediction[:, :1], prediction[:, 1:]
    rows, columns = largest_angle(vectors), largest_angle(vectors.mT)
    return {
        "eigenvalue_error": relative_distance(target[:, :1], values),
        "norm_deviation": norm_deviation(vectors),
        "row_cosine": largest_cosine(vectors),
        "row_angle": rows,
        "column_angle": columns,
        "angle": torch.maximum(rows, columns),
        "vectors_condition": condition_number(vectors),
    }


@PROPERTIES.add("symmetric_inverse")
@PROPERTIES.add("inverse")
def of_inverse(matrix: Tensor, target: Tensor, prediction: Tensor) -> dict[str, Tensor]:
    """Measure matrices, true and predicted inverses [B, n, n]: [B] each."""
    return {
        "inverse_error": relative_distance(target, prediction),
        "matrix_condition": condition_number(matrix),
        "matrix_norm": singular_values(matrix)[:, 0],
        "prediction_norm": singular_values(prediction)[:, 0],
    }


def measured(
    examples: int,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    count: int | None = None,
) -> Row:
    """Give the columns of a number that was measured on so many examples."""
    return {
        "examples": examples,
        "count": count,
        "value": value,
        "low": low,
        "high": high,
    }


def share(count: int, total: int) -> Row:
    """Give the columns of a share with its Wilson interval; of nothing it is None."""
    if not total:
        return measured(total, None, count=count)
    return measured(total, count / total, *wilson(count, total), count)


def summary(
    quantities: Mapping[str, Tensor], correct: Mapping[float, Tensor]
) -> Iterator[Row]:
    """Summarise quantities [B] over all examples, and successes and failures [B].

    Which examples are right depends on a tolerance.  A quantity that has thresholds
    gets the shares below them: what the paper says of failures above one is one minus
    theirs.  Any other gets mean, deviation, ends and quantiles of its finite values,
    and the share of infinite ones; failures' means are heavy tailed, so quantiles are
    what to compare.
    """
    groups = _groups(correct)
    for (name, values), (group, tolerance) in product(quantities.items(), groups):
        chosen = values[groups[group, tolerance]]
        if name in THRESHOLDS:
            rows = _below(chosen, THRESHOLDS[name])
        else:
            rows = _spread(chosen)
        place = {"quantity": name, "group": group, "tolerance": tolerance}
        for row in rows:
            yield {**place, **row}


def _groups(
    correct: Mapping[float, Tensor],
) -> dict[tuple[str, float | None], Tensor]:
    """Name the sets of examples [B] that are summed up."""
    groups: dict[tuple[str, float | None], Tensor] = {}
    for tolerance, right in correct.items():
        groups["all", None] = torch.ones_like(right)
        groups["success", tolerance] = right
        groups["failure", tolerance] = ~right
    return groups


def _below(values: Tensor, thresholds: tuple[float, ...]) -> Iterator[Row]:
    for threshold in thresholds:
        count = int((values < threshold).sum())
        yield {"statistic": "below", "at": threshold, **share(count, len(values))}


def _spread(values: Tensor) -> Iterator[Row]:
    infinite = share(int(values.isinf().sum()), len(values))
    yield {"statistic": "infinite", "at": None, **infinite}
    finite = values[values.isfinite()].sort().values
    total = len(finite)
    for statistic, of in MOMENTS.items():
        value = float(of(finite)) if total else None
        yield {"statistic": statistic, "at": None, **measured(total, value)}
    for quantile in QUANTILES:
        place = {"statistic": "quantile", "at": quantile}
        if not total:
            yield {**place, **measured(total, None)}
            continue
        bounds = finite[list(quantile_ranks(quantile, total))].tolist()
        yield {**place, **measured(total, float(finite.quantile(quantile)), *bounds)}
