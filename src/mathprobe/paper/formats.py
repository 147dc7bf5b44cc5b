"""Numbers and texts formatted as LaTeX; a missing value becomes a dash."""

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pandas as pd

from mathprobe.paper.naming import size_text
from mathprobe.paper.tables import Row

FILTERS: dict[str, Callable[..., str]] = {}  # for templates, by name
Macros = dict[str, str]  # LaTeX by name
DASH = "---"
THIN_SPACE = "\u202f"  # between groups of digits, in plain text
MAX_SHADE = 45  # percent of the hue in a cell with accuracy 1
SPECIAL = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "|": r"\textbar{}"},
    **{"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"},
    **{"·": r"$\cdot$", "×": r"$\times$", "−": "$-$", "√": r"$\surd$"},
    **{"Λ": r"$\Lambda$", "λ": r"$\lambda$", "ᵀ": r"$^{\top}$"},
    **{"“": "``", "”": "''", "’": "'"},
    **{"⁻": "$^{-}$", "ⁿ": "$^{n}$", "±": r"$\pm$", THIN_SPACE: r"\,"},
}


def _missing(value: Any) -> bool:
    return pd.isna(value) or value == ""


def _filter(function: Callable[..., str]) -> Callable[..., str]:
    """Register a filter for templates; a missing value becomes a dash."""

    @wraps(function)
    def filtered(value: Any, *options: Any) -> str:
        return DASH if _missing(value) else function(value, *options)

    FILTERS[function.__name__] = filtered
    return filtered


@_filter
def escape_latex(value: Any) -> str:
    """Escape the special characters of LaTeX."""
    return "".join(SPECIAL.get(char, char) for char in str(value))


@_filter
def thousands(value: float) -> str:
    """Round to an integer and group its digits by three."""
    text = f"{round(value):,}".replace(",", r"\,")
    return text.replace("-", "$-$")


@_filter
def fixed(value: float, digits: int) -> str:
    """Format with a fixed number of decimals, never as -0."""
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "$-$")


@_filter
def percent(share: float, digits: int = 1) -> str:
    """Format a share as a percentage, without the percent sign."""
    return fixed(100 * share, digits)


@_filter
def plain(value: float) -> str:
    """Format as Python's general format does: up to six significant digits."""
    return f"{value:g}".replace("-", "$-$")


@_filter
def rounded(value: float) -> str:
    """Format with one decimal below 100, as an integer above."""
    return fixed(value, 1) if abs(value) < 99.95 else thousands(value)


@_filter
def round_to(value: float, resolution: float) -> str:
    """Round to the largest power of ten up to a tenth of the resolution."""
    step = 10 ** max(0, math.floor(math.log10(resolution) - 1))
    return thousands(step * round(value / step))


def at_most(cell: Row) -> str:
    """Format a rate per million; if no event was seen, its upper bound."""
    if cell["per_million"] == 0:
        return rf"$\le$\,{thousands(cell['high'])}"
    return thousands(cell["per_million"])


FILTERS[at_most.__name__] = at_most


@_filter
def scientific(value: float) -> str:
    """Format in scientific notation; a factor of 1 is left out."""
    factor, power = f"{value:.2e}".split("e")
    factor = f"{float(factor):g}"
    front = "" if factor == "1" else rf"{factor}\cdot "
    return f"${front}10^{{{int(power)}}}$"


@_filter
def significant(value: float, digits: int = 4) -> str:
    """Format with significant digits, in scientific notation if very small or large."""
    if math.isinf(value):
        return fixed(value, 0)
    if value and not 1e-3 <= abs(value) < 1e5:
        return scientific(value)
    return plain(float(f"{value:.{digits}g}"))


@_filter
def duration(seconds: float) -> str:
    """Format a time in hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return rf"{hours}\,h {minutes:02d}\,min"
    return rf"{minutes}\,min {rest:02d}\,s" if minutes else rf"{rest}\,s"


@_filter
def shade(share: float) -> str:
    """Return the shade of a cell with this share, in percent of the hue."""
    return str(round(MAX_SHADE * min(max(share, 0.0), 1.0)))


def _half_width(cell: Row) -> float:
    """Return the spread over seeds or, for one seed, half its interval; else NaN."""
    low, high = cell["low"], cell["high"]
    if not _missing(cell["spread"]):
        return cell["spread"]
    return math.nan if _missing(low) or _missing(high) else (high - low) / 2


@_filter
def uncertainty(cell: Row, digits: int = 1) -> str:
    """Format the half-width of a share in percentage points, rounded up: never zero."""
    half, unit = 100 * _half_width(cell), 10.0**digits
    if _missing(half):
        return DASH
    return fixed(max(1, math.ceil(half * unit - 1e-9)) / unit, digits)


@_filter
def half_width(cell: Row) -> str:
    """Format the half-width of a value; empty if it is missing or only rounding."""
    half = _half_width(cell)
    exact = _missing(half) or half <= 1e-9 * abs(cell.get("value") or 0.0)
    return "" if exact else significant(half, 2)


def under(prefix: str, macros: Macros) -> Macros:
    """Return macros whose names begin with a prefix and a slash."""
    return {f"{prefix}/{key}": text for key, text in macros.items()}


def yes_or_no(value: Any) -> str:
    """Return `yes` if a value is true, else `no`."""
    return "yes" if value else "no"


def span(values: Iterable[float], digits: int = 1, to: str = " to~") -> str:
    """Format the range of values; one number if both ends look the same."""
    values = list(values)
    ends = (fixed(end(values, default=None), digits) for end in (min, max))
    return to.join(dict.fromkeys(ends))


def size(n: int | str) -> str:
    """Format a size as rows times columns."""
    times = r"\times "
    return f"${size_text(n, times)}$"
