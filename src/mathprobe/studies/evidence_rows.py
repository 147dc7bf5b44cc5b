"""Rows of evidence for errata: a computed number beside the printed one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from mathprobe.intervals import wilson

Row = dict[str, Any]
COLUMNS = (
    *("evidence", "quantity", "unit", "printed", "value", "total", "low", "high"),
)
PERCENT = "%"


def row(
    quantity: str,
    value: float | None,
    printed: float | None = None,
    unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    total: int | None = None,
) -> Row:
    """Return a row with a computed number and the printed number, if any.

    `low` and `high` are the ends of its interval; a count is out of `total`.
    """
    return {
        **{"quantity": quantity, "unit": unit, "printed": printed},
        **{"value": value, "total": total, "low": low, "high": high},
    }


def percentage(quantity: str, hits: Tensor, printed: float | None = None) -> Row:
    """Return a row with the percentage of true `hits` [B] and its 95 % interval."""
    count, total = int(hits.sum()), len(hits)
    low, high = (100 * end for end in wilson(count, total))
    return row(quantity, 100 * count / total, printed, PERCENT, low, high)


def table(
    registered: Mapping[str, Callable[..., Iterator[Row]]], *arguments: Any
) -> Iterator[Row]:
    """Yield the rows of all evidence, from functions with these arguments."""
    for name, function in registered.items():
        for found in function(*arguments):
            yield {"evidence": name, **found}
