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

FAMILIES = {  # by what a model is asked, and whether it begins with a parent's weights
    ("add", False): "addition",
    ("sub", False): "subtraction",
    ("mix", False): "mixed",
    ("mix", True): "inserted",
}
_NAMED = ("model", "family", "digits")
_MEASURED = (
    *("operation", "class", "questions", "fails", "malformed"),
    *("per_million", "low", "high", "nines"),
)
_POINT = ("seed", "examples", "test", "accuracy", "malformed", "loss")
COLUMNS = {
    "accuracy": (
        *(*_NAMED, *_MEASURED, "loss"),
        *("published", "published_low", "published_high", "published_loss"),
    ),
    "curves": (*_NAMED, *_POINT),
}


def family(model: Row) -> str:
    """Name the family of a model, as a row of the catalog describes it."""
    return FAMILIES[model["operation"], bool(model["parent"])]


@dataclass(frozen=True)
class Decoder:
    """A model as its row and its files show it; one that is not there has no files."""

    described: Row  # by the catalog
    curve: list[Row]
    accuracy: list[Row]

    @property
    def named(self) -> Row:
        """Give the columns that name the model."""
        name, digits = self.described["name"], self.described["digits"]
        return {"model": name, "family": family(self.described), "digits": digits}


def accuracy(models: Iterable[Decoder], published: Row) -> Iterator[Row]:
    """Show how often every model is wrong: a row per operation and class.

    The loss is the training's mean since the last point but one of its curve.
    """
    for model in models:
        printed = published["accuracy"].get(model.described["name"], {})
        loss = model.curve[-1]["loss"] if model.curve else None
        for row in model.accuracy or _blank(printed):
            total = row["class"] == ALL
            yield {
                **model.named,
                **{key: row[key] for key in _MEASURED},
                "loss": loss if total else None,
                **_printed(printed if total else {}, row["operation"], published),
            }


def curves(models: Iterable[Decoder], published: Row) -> Iterator[Row]:
    """Put the learning curves of all models into one table."""
    for model in models:
        for point in model.curve:
            yield {**model.named, **{key: point[key] for key in _POINT}}


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


KINDS = {"accuracy": accuracy, "curves": curves}
