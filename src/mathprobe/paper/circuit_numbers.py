"""Numbers that the prose names: the circuits of the models that the paper shows."""

from __future__ import annotations

from typing import Any

from mathprobe.paper.circuit_views import maps, reused
from mathprobe.paper.formats import percent, plain, tex

Row = dict[str, Any]
Tables = dict[str, list[Row]]

REUSED = {  # of a child, and the names of its numbers
    "inserted nodes in use": "inserted",
    "inserted nodes for several classes": "several",
    "inserted nodes that still do a sub-task": "still",
}


def circuits(tables: Tables, facts: Row) -> dict[str, str]:
    """Describe the models whose maps are shown: one that adds, one that does both."""
    models = {model["name"]: model for model in maps(tables, facts)}
    children = {child["name"]: child["rows"] for child in reused(tables, facts)}
    numbers = {
        "circuits/models": str(len(models)),
        "circuits/mapped": str(sum(model["mapped"] for model in models.values())),
    }
    for role, name in facts["arith"]["shown"].items():
        prefix = f"circuits/{role}"
        numbers |= {f"{prefix}/model": tex(name), **_model(prefix, models[name])}
        numbers |= _reuse(prefix, children.get(name, []))
    return numbers


def _model(prefix: str, model: Row) -> dict[str, str]:
    kept = model["kept"].get("mean", {})
    clauses = model["clauses"] or None
    return {
        f"{prefix}/mapped": "yes" if model["mapped"] else "no",
        **{f"{prefix}/{kind}s": plain(model[kind]) for kind in ("head", "mlp")},
        **{
            f"{prefix}/{kind}s/published": plain(model["published"][kind])
            for kind in ("head", "mlp")
        },
        **{
            f"{prefix}/{kind}s/purpose": percent(share, 0)
            for kind, share in model["purposes"].items()
        },
        f"{prefix}/hold": plain(model["hold"] if clauses else None),
        f"{prefix}/clauses": plain(clauses),
        **{
            f"{prefix}/right/{name}": percent(kept.get(name), 0)
            for name in ("useful", "purpose", "random")
        },
        **{
            f"{prefix}/chance/{name}": percent(share, 0)
            for name, share in model["chance"].items()
        },
        **{
            f"{prefix}/classes/{count}": percent(share, 0)
            for count, share in enumerate(model["classes"], 1)
        },
    }


def _reuse(prefix: str, rows: list[Row]) -> dict[str, str]:
    known = {row["quantity"]: row for row in rows}
    numbers = {}
    for quantity, name in REUSED.items():
        row = known.get(quantity, {})
        numbers[f"{prefix}/{name}"] = plain(row.get("count"))
        numbers[f"{prefix}/{name}/of"] = plain(row.get("total"))
        numbers[f"{prefix}/{name}/published"] = plain(row.get("published"))
    return numbers
