"""Numbers that the prose names: what failures keep, and how they are predicted."""

from __future__ import annotations

from collections.abc import Iterable

from mathprobe.paper.latex import (
    DASH,
    fixed,
    percent,
    plain,
    significant,
    tex,
    thousands,
)
from mathprobe.paper.tables import SHOWN_TOLERANCE, Row
from mathprobe.paper.views import Facts, Tables, failures, verifiers

ANSWERS = {  # the first model of each kind of answer is the one that the prose names
    "vectors": ("eigenvectors",),
    "inverses": ("inverse", "symmetric_inverse"),
}
KEPT = {  # quantity, group, tolerance, statistic, at
    "accuracy": ("error", "all", None, "below", SHOWN_TOLERANCE),
    "eigenvalues": ("eigenvalue_error", "all", None, "below", 0.01),
    "norms": ("norm_deviation", "all", None, "below", 0.01),
    "row_angles": ("row_angle", "all", None, "below", 0.1),
    "angles": ("angle", "all", None, "below", 0.1),
    "near": ("inverse_error", "all", None, "below", 0.05),
    "nearby": ("inverse_error", "all", None, "below", 0.25),
    "right/angles": ("angle", "success", SHOWN_TOLERANCE, "below", 0.03),
    "wrong/angles": ("angle", "failure", SHOWN_TOLERANCE, "below", 0.03),
    "wrong/eigenvalues": (
        *("eigenvalue_error", "failure", SHOWN_TOLERANCE, "below", 0.01),
    ),
    "wrong/norms": ("norm_deviation", "failure", SHOWN_TOLERANCE, "below", 0.01),
    "wrong/near": ("inverse_error", "failure", SHOWN_TOLERANCE, "below", 0.05),
}
RATES = ("right", "successes_below", "failures_above")


def _first(views: Iterable[Row], answers: str) -> Row | None:
    return next((view for view in views if view["task"] in ANSWERS[answers]), None)


def _beside(key: str, cell: Row, printed: float | None) -> dict[str, str]:
    """Give a share of ours, that of exact answers, and what is printed."""
    return {
        key: percent(cell.get("value")),
        f"{key}/exact": percent(cell.get("oracle")),
        f"{key}/published": plain(None if printed is None else 100 * printed),
    }


def keeping(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe what the failures of the first model of each kind keep."""
    numbers = {}
    for answers in ANSWERS:
        prefix, main = f"failures/{answers}", _first(failures(tables, facts), answers)
        shown = main or {"cells": {}, "published": {}}
        size = shown.get("published_n")
        numbers |= {
            f"{prefix}/shown": "yes" if main else "no",
            f"{prefix}/task": tex((shown.get("task") or DASH).replace("_", " ")),
            f"{prefix}/n": plain(shown.get("n")),
            f"{prefix}/examples": thousands(shown.get("examples")),
            f"{prefix}/published_n": plain(size),
            f"{prefix}/same_n": "yes" if size and size == shown["n"] else "no",
        }
        for name, place in KEPT.items():
            cell = shown["cells"].get(place, {})
            printed = shown["published"].get(place)
            numbers |= _beside(f"{prefix}/{name}", cell, printed)
    return numbers


def predicting(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe how well the failures of these models are predicted."""
    numbers = {}
    for answers in ANSWERS:
        prefix, main = f"verifiers/{answers}", _first(verifiers(tables, facts), answers)
        shown = main or {"cells": {}, "published": {}, "verifier": None}
        for chosen_by in ("paper", "calibration"):
            for rate in RATES:
                place = shown["verifier"], chosen_by, rate
                cell = shown["cells"].get(place, {})
                key = shown["verifier"], cell.get("threshold"), rate
                printed = shown["published"].get(key)
                numbers |= _beside(f"{prefix}/{chosen_by}/{rate}", cell, printed)
            threshold = significant(cell.get("threshold"))
            numbers[f"{prefix}/{chosen_by}/threshold"] = threshold
        area = shown["cells"].get((shown["verifier"], None, "auc"), {})
        for name, column in (("area", "value"), ("area/exact", "oracle")):
            numbers[f"{prefix}/{name}"] = fixed(area.get(column), 3)
        spread = _first(failures(tables, facts), answers)
        numbers |= _spread_numbers(prefix, spread or {}, shown["verifier"])
    return numbers


def _spread_numbers(prefix: str, spread: Row, quantity: str | None) -> dict[str, str]:
    """Give means and medians of the condition numbers of right and wrong answers."""
    numbers = {}
    for group, name in (("success", "right"), ("failure", "wrong")):
        for statistic, at, label in (
            ("mean", None, "mean"),
            ("quantile", 0.5, "median"),
        ):
            place = quantity, group, SHOWN_TOLERANCE, statistic, at
            cell = spread.get("cells", {}).get(place, {})
            key = f"{prefix}/{name}/{label}"
            numbers[key] = significant(cell.get("value"))
            numbers[f"{key}/exact"] = significant(cell.get("oracle"))
            for source in ("published", "notebook"):
                printed = spread.get(source, {}).get(place)
                numbers[f"{key}/{source}"] = significant(printed)
    return numbers
