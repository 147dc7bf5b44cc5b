"""Numbers that the prose names: what exact answers reach, and the errata."""

from __future__ import annotations

from mathprobe.paper.latex import (
    fixed,
    plain,
    significant,
    span,
    thousands,
)
from mathprobe.paper.tables import SHOWN_TOLERANCE, Row
from mathprobe.paper.views import (
    MARCHENKO,
    Facts,
    Tables,
    ceilings,
    ceilings_by_tolerance,
)


def ceiling(tables: Tables, facts: Facts) -> dict[str, str]:
    """Hold the published accuracies against what exact answers reach."""
    squares = ceilings(tables, facts)
    verdicts = [one for square in squares for one in square["verdicts"].values()]
    numbers = {
        "ceilings/cells": str(len(verdicts)),
        "ceilings/at": str(verdicts.count("at")),
        "ceilings/above": str(verdicts.count("above")),
    }
    for group in ceilings_by_tolerance(tables, facts):
        shares = group["cells"][SHOWN_TOLERANCE]
        for who, values in shares.items():
            key = f"ceilings/{group['task']}_n{group['n']}/{who}"
            # The first encodings and laws of a question are those of its table.
            numbers.setdefault(key, span(100 * share for share in values))
    for square in squares:
        prefix = f"ceilings/{square['task']}_n{square['n']}"
        for which in (MARCHENKO, "others"):
            laws = [
                law
                for law in square["tests"]
                if (law == MARCHENKO) != (which == "others")
            ]
            described = _of_columns(square, laws)
            numbers |= {
                f"{prefix}/{which}/{key}": text for key, text in described.items()
            }
    return numbers


def _of_columns(square: Row, laws: list[str]) -> dict[str, str]:
    """Say what exact answers, labels and the best published model score on laws."""
    best_of: dict[str, float] = {}
    for (_, test), value in square["published"].items():
        best_of[test] = max(value, best_of.get(test, value))
    printed = [law for law in laws if law in best_of]  # of a new law nothing is
    rows = [square["ceilings"][law] for law in printed]
    best = [best_of[law] for law in printed]
    of_oracle = [high / row["oracle"] for high, row in zip(best, rows, strict=True)]
    return {
        "oracle": span(100 * row["oracle"] for row in rows),
        "label": span(100 * row["label"] for row in rows),
        "best": span(best, 0),
        "best_of_oracle": span(of_oracle, 0),
    }


ON_ERRATA = {  # evidence that the prose names, and where it stands
    "missed_labels": ("exact_tokens", "labels that miss the tolerance themselves"),
    "mean_condition": ("mantissa", "mean of the failures, notebook"),
    "cases": ("mantissa", "failures at 5 %, if one value makes mean and deviation"),
}


def errata(tables: Tables, facts: Facts) -> dict[str, str]:
    """Count the errata, and give the evidence that weighs most."""
    rows = {(r["evidence"], r["quantity"]): r for r in tables.get("evidence") or []}
    found = {key: rows.get(place, {}) for key, place in ON_ERRATA.items()}
    points = facts["errata"]["contradictions"].values()
    return {
        "errata/contradictions": str(len(points)),
        "errata/measured": str(sum("evidence" in point for point in points)),
        "errata/silences": str(len(facts["errata"]["silences"])),
        "errata/missed_labels": fixed(found["missed_labels"].get("value"), 1),
        "errata/mean_condition": plain(found["mean_condition"].get("printed")),
        "errata/mean_condition/notebook": significant(
            found["mean_condition"].get("value")
        ),
        "errata/cases": thousands(found["cases"].get("value")),
    }
