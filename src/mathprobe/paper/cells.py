"""What stands in the tables of the report: cells, and numbers as text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

NONE = "–"


class Cell(NamedTuple):
    """What stands in a table: a number, lines below it, a tooltip, a shade."""

    text: str
    below: tuple[str, ...] = ()
    tip: str = ""
    share: float | None = None  # 0 to 1: how deep the shade


class Row(NamedTuple):
    """A line of a table; `apart` sets it off from the line above."""

    name: str
    cells: list[Cell]
    apart: bool = False


class Section(NamedTuple):
    """A table with what a reader needs to know about it."""

    key: str  # of the file that it shows
    title: str
    note: str
    corner: str
    head: list[str]
    rows: list[Row]
    prose: bool = False  # cells hold sentences


Namer = Callable[[str], str]


def known(value: Any) -> bool:
    """Tell a value from a missing one."""
    return not pd.isna(value)


def percent(share: Any, digits: int = 1) -> str:
    """Show a share."""
    return f"{100 * share:.{digits}f}" if known(share) else NONE


def between(low: Any, high: Any, show: Callable[[Any], str]) -> str:
    """Show an interval; of an unknown one nothing."""
    return f"{show(low)} to {show(high)}" if known(low) and known(high) else ""


def significant(value: Any) -> str:
    """Show a number with at least three digits."""
    if not known(value):
        return NONE
    if not 0 < value < math.inf:
        return f"{value:g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def whole(number: Any) -> str:
    """Show a whole number in groups of three digits."""
    return f"{number:,.0f}" if known(number) else NONE


def count(number: Any) -> str:
    """Show a number of examples in words that can be compared at a glance."""
    if not known(number):
        return NONE
    for unit, word in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {word}"
    return f"{number:.0f}"


def duration(seconds: Any) -> str:
    """Show a time in the unit that suits it."""
    if not known(seconds):
        return NONE
    for unit, word in ((3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {word}"
    return f"{seconds:.1f} s"


def listed(texts: list[str]) -> str:
    """Join what there is."""
    return "; ".join(text for text in texts if text)


def shaded(share: Any, below: tuple[str, ...] = (), tip: str = "") -> Cell:
    """Show a share in a shade as deep as it is large."""
    if not known(share):
        return Cell(NONE, below, tip)
    return Cell(percent(share), below, tip, share)
