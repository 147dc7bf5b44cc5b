"""What is known of the circuits of all models, as a reader sees it.

Shares stand between 0 and 1; of a model that was not taken apart there is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]

KINDS = ("head", "mlp")
KEPT = {"useful": "useful", "purpose": "with a purpose", "random": "random"}
LETTERS = ("S", "M", "N")


def maps(tables: Tables, facts: Row) -> list[Row]:
    """Give every model with what its map says, beside what is printed of it."""
    counted = _by_model(tables, "arith_circuits")
    controls = _by_model(tables, "arith_controls")
    claims = _by_model(tables, "arith_claims")
    return [
        {
            "name": model["name"],
            "mapped": model["name"] in counted,
            **_counts(counted.get(model["name"], [])),
            **_clauses(claims.get(model["name"], [])),
            "kept": _kept(controls.get(model["name"], [])),
            "chance": _chance(controls.get(model["name"], [])),
        }
        for model in facts["arith"]["models"]
    ]


def _by_model(tables: Tables, name: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in tables.get(name) or []:
        found.setdefault(row["model"], []).append(row)
    return found


def _counts(rows: Iterable[Row]) -> Row:
    """Give how many nodes are useful, and the shares that do or serve something."""
    known = {row["quantity"]: row for row in rows}
    return {
        **{kind: known.get(f"useful {kind}s", {}).get("count") for kind in KINDS},
        "published": {
            kind: known.get(f"useful {kind}s", {}).get("published") for kind in KINDS
        },
        "purposes": {kind: _share(known, f"{kind}s with a purpose") for kind in KINDS},
        "serve": {letter: _share(known, f"nodes for {letter}") for letter in LETTERS},
        "classes": [_share(known, f"nodes for {n} of 3 classes") for n in (1, 2, 3)],
    }


def _share(known: dict[str, Row], quantity: str) -> float | None:
    row = known.get(quantity)
    return row["count"] / row["total"] if row and row["total"] else None


def _clauses(rows: Iterable[Row]) -> Row:
    """Count the clauses that hold, and all; of optional ones those that hold."""
    counted = [row for row in rows if row["holds"] or not row["optional"]]
    return {"hold": sum(row["holds"] for row in counted), "clauses": len(counted)}


def _kept(rows: Iterable[Row]) -> dict[str, dict[str, float | None]]:
    """Give the shares right with some nodes alone, by what replaces the others."""
    rows = [row for row in rows if row["control"].startswith("keep only, ")]
    ways = dict.fromkeys(row["control"].removeprefix("keep only, ") for row in rows)
    return {
        way: {
            name: _pooled(
                row
                for row in rows
                if row["control"].endswith(f", {way}") and row["of"] == of
            )
            for name, of in KEPT.items()
        }
        for way in ways
    }


def _chance(rows: Iterable[Row]) -> dict[str, float | None]:
    """Give how often a sub-task is found: at candidates, at random, untrained."""
    rows = list(rows)
    return {
        name: _pooled(row for row in rows if row["control"] == control)
        for name, control in (
            *(("found", "found"), ("random", "random nodes")),
            ("untrained", "untrained"),
        )
    }


def _pooled(rows: Iterable[Row]) -> float | None:
    """Give the share of all rows together; of none None."""
    rows = list(rows)
    total = sum(row["total"] for row in rows)
    return sum(row["count"] for row in rows) / total if total else None


def reused(tables: Tables, facts: Row) -> list[Row]:
    """Give what became of inserted nodes: a view per model, beside what is printed."""
    found = _by_model(tables, "arith_reuse")
    return [{"name": name, "rows": rows} for name, rows in found.items()]


VIEWS: dict[str, Any] = {"maps": maps, "reused": reused}
