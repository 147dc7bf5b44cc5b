"""Rows of models that are not there: what is printed of them stands, the rest is empty.

A table of recorded trainings has them, so that a reader sees what is still to be run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import product

from mathprobe.errors import InputError
from mathprobe.linalg.draws import laws_for
from mathprobe.linalg.laws import parts
from mathprobe.paper.tables import (
    SHOWN_TOLERANCE,
    Named,
    Row,
    printed_cell,
    printed_rows,
)

PATH = re.compile(
    r"(?P<task>\w+)/(?P<law>[\w+]+)/n(?P<size>\d+(x\d+)?)/(?P<recipe>\w+)"
)


class Absent(Named):
    """A model of which nothing is there."""

    @classmethod
    def of(cls, path: str) -> Absent:
        """Read its name from its path below a study."""
        found = PATH.fullmatch(path)
        if not found:
            raise InputError(f"{path!r}: no model's path, task/law/nSIZE/recipe")
        size = found["size"]
        number = int(size) if size.isdecimal() else size
        return cls(found["task"], found["law"], number, found["recipe"])


def rows(kind: str, models: Iterable[Absent], published: Row) -> Iterator[Row]:
    """Give what a kind of tidy table says of absent models."""
    for model in models:
        yield from KINDS[kind](model, published)


def _ood(model: Absent, published: Row) -> Iterator[Row]:
    printed = model.printed(published, "out_of_distribution")
    for test in dict.fromkeys([*laws_for(model.task), *parts(model.law)]):
        percent = printed_cell(printed, published["columns"], model.law, test)
        share = None if percent is None else percent / 100
        yield {**model.name, "test": test, "published": share}


def _tolerances(model: Absent, published: Row) -> Iterator[Row]:
    name = {"law": model.law, "recipe": model.recipe}
    yield {**name, "tolerance": SHOWN_TOLERANCE}


def _learning_speed(model: Absent, published: Row) -> Iterator[Row]:
    printed = model.printed(published, "learning_speed")
    columns = printed.get("columns", [])
    for test in columns:
        millions = printed_cell(printed["rows"], columns, model.law, test)
        count = None if millions is None else round(millions * 1e6)
        yield {**model.name, "test": test, "published": count}


def _curves(model: Absent, published: Row) -> Iterator[Row]:
    for row in _learning_speed(model, published):
        yield {**model.name, "test": row["test"]}


def _failures(model: Absent, published: Row) -> Iterator[Row]:
    columns = ("quantity", "group", "tolerance", "statistic", "at")
    yield from _statistics(model, published["failures"], columns, "notebook")


def _verifiers(model: Absent, published: Row) -> Iterator[Row]:
    columns = ("verifier", "threshold", "statistic")
    for row in _statistics(model, published["verifiers"], columns):
        yield {**row, "chosen_by": "paper"}


def _statistics(
    model: Absent, published: Row, columns: tuple[str, ...], *others: str
) -> Iterator[Row]:
    """Give every printed statistic of a model, by the names of its key."""
    sources = {
        name: printed_rows(published, source, *model.place)
        for name, source in (("published", "text"), *zip(others, others, strict=True))
    }
    keys = dict.fromkeys(key for printed in sources.values() for key in printed)
    for key, test in product(keys, parts(model.law)):
        yield {
            **{**model.name, "test": test, **dict(zip(columns, key, strict=True))},
            **{name: printed.get(key) for name, printed in sources.items()},
        }


def _nothing(model: Absent, published: Row) -> Iterator[Row]:
    return iter(())


KINDS: dict[str, Callable[[Absent, Row], Iterator[Row]]] = {
    "ood": _ood,
    "tolerances": _tolerances,
    "learning_speed": _learning_speed,
    "curves": _curves,
    "failures": _failures,
    "verifiers": _verifiers,
    "roc": _nothing,
    "runs": _nothing,
}
