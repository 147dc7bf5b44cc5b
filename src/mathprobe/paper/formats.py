"""Numbers and texts as LaTeX prints them; a missing value prints as a dash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pandas as pd

from mathprobe.paper.naming import size_text
from mathprobe.paper.tables import Row

FILTERS: dict[str, Callable[..., str]] = {}  # of the templates, by their names
DASH = "---"
DEEPEST = 45  # percent of the hue of a cell that is always right
SPECIAL = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{"·": r"$\cdot$", "×": r"$\times$", "−": "$-$", "√": r"$\surd$"},
    **{"Λ": r"$\Lambda$", "λ": r"$\lambda$", "ᵀ": r"$^{\top}$"},
    **{"“": "``", "”": "''", "’": "'"},
    **{"⁻": "$^{-}$", "ⁿ": "$^{n}$"},
}


def _missing(value: Any) -> bool:
    return pd.isna(value) or value == ""


def _printed(write: Callable[..., str]) -> Callable[..., str]:
    """Print a dash where there is no value; register a filter of the templates."""

    @wraps(write)
    def written(value: Any, *how: Any) -> str:
        return DASH if _missing(value) else write(value, *how)

    FILTERS[write.__name__] = written
    return written


@_printed
def escape_latex(value: Any) -> str:
    """Escape what LaTeX would take for a command."""
    return "".join(SPECIAL.get(char, char) for char in str(value))


@_printed
def thousands(value: float) -> str:
    """Print a whole number in groups of three digits."""
    text = f"{round(value):,}".replace(",", r"\,")
    return text.replace("-", "$-$")


@_printed
def fixed(value: float, digits: int) -> str:
    """Print with so many decimals; never minus zero."""
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "$-$")


@_printed
def percent(share: float, digits: int = 1) -> str:
    """Print a share as a percentage, without the sign."""
    return fixed(100 * share, digits)


@_printed
def plain(value: float) -> str:
    """Print the shortest text that reads as this number."""
    return f"{value:g}".replace("-", "$-$")


@_printed
def rounded(value: float) -> str:
    """Print with one decimal below 100, as a whole number above."""
    return fixed(value, 1) if abs(value) < 99.95 else thousands(value)


@_printed
def round_to(value: float, resolution: float) -> str:
    """Print to the power of ten that is at most a tenth of the resolution."""
    step = 10 ** max(0, math.floor(math.log10(resolution) - 1))
    return thousands(step * round(value / step))


@_printed
def scientific(value: float) -> str:
    """Print a decimal power, with a factor where there is one."""
    factor, power = f"{value:.2e}".split("e")
    factor = f"{float(factor):g}"
    front = "" if factor == "1" else rf"{factor}\cdot "
    return f"${front}10^{{{int(power)}}}$"


@_printed
def significant(value: float, digits: int = 4) -> str:
    """Print with so many significant digits; as a decimal power where it is far off."""
    if math.isinf(value):
        return fixed(value, 0)
    if value and not 1e-3 <= abs(value) < 1e5:
        return scientific(value)
    return plain(float(f"{value:.{digits}g}"))


@_printed
def duration(seconds: float) -> str:
    """Print a time in the two units that suit it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return rf"{hours}\,h {minutes:02d}\,min"
    return rf"{minutes}\,min {rest:02d}\,s" if minutes else rf"{rest}\,s"


@_printed
def shade(share: float) -> str:
    """Print how dark a cell is, in percent of the hue."""
    return str(round(DEEPEST * min(max(share, 0.0), 1.0)))


@_printed
def uncertainty(cell: Row, digits: int = 1) -> str:
    """Print the spread over seeds in percentage points; of one, half its interval.

    Rounded up: never zero.
    """
    if not _missing(cell["spread"]):
        points = 100 * cell["spread"]
    elif _missing(cell["low"]) or _missing(cell["high"]):
        return DASH
    else:
        points = 50 * (cell["high"] - cell["low"])
    unit = 10.0**digits
    return fixed(max(1, math.ceil(points * unit - 1e-9)) / unit, digits)


@_printed
def half_width(cell: Row) -> str:
    """Print the spread over seeds; of one, half its interval; of neither, nothing."""
    half = cell["spread"]
    if _missing(half) and not (_missing(cell["low"]) or _missing(cell["high"])):
        half = (cell["high"] - cell["low"]) / 2
    return "" if _missing(half) or half == 0 else significant(half, 2)


def span(values: Iterable[float], digits: int = 1, to: str = " to~") -> str:
    """Print what values lie between: once, where the ends print alike."""
    values = list(values)
    ends = (fixed(end(values, default=None), digits) for end in (min, max))
    return to.join(dict.fromkeys(ends))


def size(n: int | str) -> str:
    """Print a size as rows times columns."""
    times = r"\times "
    return f"${size_text(n, times)}$"
