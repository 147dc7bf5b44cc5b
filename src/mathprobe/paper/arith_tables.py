"""Tidy tables of the second study: every model beside what its paper prints.

Source of what is printed: Quirke, Neo, Barez 2024, of a million questions of each
operation.  Its intervals are computed anew, exactly and for each operation by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mathprobe.intervals import clopper_pearson

Row = dict[str, Any]
ALL = "all"  # classes of difficulty

COLUMNS = (
    *("model", "operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines", "loss"),
    *("published", "published_low", "published_high", "published_loss"),
)
_MEASURED = COLUMNS[1:10]


@dataclass(frozen=True)
class Decoder:
    """A model as its files show it; one that is not there has only its name."""

    name: str
    curve: list[Row]
    accuracy: list[Row]


def accuracy(models: Iterable[Decoder], published: Row) -> Iterator[Row]:
    """Show how often every model is wrong: a row per operation and class.

    The loss is the training's mean since the last point but one of its curve.
    """
    for model in models:
        printed = published["accuracy"].get(model.name, {})
        loss = model.curve[-1]["loss"] if model.curve else None
        for row in model.accuracy or _blank(printed):
            total = row["class"] == ALL
            yield {
                "model": model.name,
                **{key: row[key] for key in _MEASURED},
                "loss": loss if total else None,
                **_printed(printed if total else {}, row["operation"], published),
            }


def _blank(printed: Row) -> Iterator[Row]:
    """Give rows without measurements, of operations of which something is printed."""
    for operation in ("addition", "subtraction"):
        if printed.get(operation) is not None:
            name = {"operation": operation, "class": ALL}
            yield dict.fromkeys(_MEASURED) | name


def _printed(printed: Row, operation: str, published: Row) -> Row:
    fails, asked = printed.get(operation), published["questions"]
    low, high = (None, None) if fails is None else clopper_pearson(fails, asked)
    return {
        "published": None if fails is None else 1e6 * fails / asked,
        "published_low": None if low is None else 1e6 * low,
        "published_high": None if high is None else 1e6 * high,
        "published_loss": printed.get("loss"),
    }
