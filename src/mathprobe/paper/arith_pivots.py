"""Pivots of the second study's tables, shared by LaTeX, prose, figures and notebooks.

Shares stand between 0 and 1; what is not known is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from mathprobe.intervals import clopper_pearson
from mathprobe.paper.arith_tables import ALL_CLASSES, COLUMNS, models_frame
from mathprobe.paper.tables import Frame, Row, records
from mathprobe.studies.comparisons import count_clauses

Tables = dict[str, Frame]  # by kind

KEEP_ONLY = "keep only, "  # begins the controls that replace all nodes but some
CHANCE = {  # where a sub-task was looked for, and what that is called
    "found": "the model's candidates",
    "random nodes": "random nodes",
    "untrained": "an untrained model",
}
MAPS = {  # columns of `maps`, and where each is from
    "heads": ("count", "useful heads"),
    "mlps": ("count", "useful mlps"),
    "heads/published": ("published", "useful heads"),
    "mlps/published": ("published", "useful mlps"),
    "heads/purpose": ("share", "heads with a purpose"),
    "mlps/purpose": ("share", "mlps with a purpose"),
    "hold": ("claims", "hold"),
    "clauses": ("claims", "clauses"),
    "right/useful": ("mean", "useful"),
    "right/purpose": ("mean", "with a purpose"),
    "right/random": ("mean", "random"),
    "chance/found": ("chance", "found"),
    "chance/random": ("chance", "random nodes"),
    "chance/untrained": ("chance", "untrained"),
    **{f"classes/{n}": ("share", f"nodes for {n} of 3 classes") for n in (1, 2, 3)},
}


def table(tables: Tables, kind: str) -> Frame:
    """Return a tidy table of the second study; one that is not there has no rows."""
    return tables.get(f"arith_{kind}", Frame(columns=COLUMNS[kind]))


def rates(tables: Tables, facts: Row) -> Frame:
    """Return wrong answers by model and operation, of all classes together."""
    rows = table(tables, "accuracy")
    return rows[rows["class"] == ALL_CLASSES].set_index(["model", "operation"])


def decoders(tables: Tables, facts: Row) -> Frame:
    """Return the models of the catalog, with their losses and their worst rates."""
    columns = ["loss", "published_loss", "per_million", "published"]
    worst = rates(tables, facts).groupby("model")[columns].max()
    return models_frame(facts["arith"]["models"]).join(worst, on="model")


def by_class(tables: Tables, facts: Row) -> dict[str, dict[str, Row]]:
    """Return rates by complexity class, over all models of each family."""
    rows = table(tables, "accuracy")
    grouped = rows[rows["class"] != ALL_CLASSES].groupby(["class", "family"])
    sums = grouped[["fails", "questions"]].sum()
    found: dict[str, dict[str, Row]] = {}
    for (level, family), fails, asked in sums.itertuples():
        low, high = clopper_pearson(fails, asked)
        shares = {"per_million": fails / asked, "low": low, "high": high}
        cell = {name: 1e6 * share for name, share in shares.items()}
        found.setdefault(level, {})[family] = cell
    return {level: found[level] for level in sorted(found, key=_complexity)}


def _complexity(level: str) -> tuple[int, str]:
    return "SMN".index(level[0]), level


def shares(circuits: Frame) -> Frame:
    """Return the shares of nodes that a summary counts: by model and quantity."""
    return _share(circuits[circuits["total"].notna()], "model", "quantity")


def _share(rows: Frame, index: str, columns: str) -> Frame:
    """Return shares, of all rows together that are of the same index and column."""
    sums = rows.groupby([index, columns], sort=False)[["count", "total"]].sum()
    return (sums["count"] / sums["total"]).astype(float).unstack()


def maps(tables: Tables, facts: Row) -> Frame:
    """Return the numbers of MAPS of every model, also of those without a map."""
    circuits, controls = table(tables, "circuits"), table(tables, "controls")
    parts = {
        **{
            values: circuits.pivot(index="model", columns="quantity", values=values)
            for values in ("count", "published")
        },
        "share": shares(circuits),
        "claims": count_clauses(table(tables, "claims"), "model"),
        "mean": _share(
            controls[controls["control"] == f"{KEEP_ONLY}mean"], "model", "of"
        ),
        "chance": _share(
            controls[controls["control"].isin(CHANCE)], "model", "control"
        ),
    }
    names = [model["name"] for model in facts["arith"]["models"]]
    columns = pd.MultiIndex.from_tuples(MAPS.values())
    found = pd.concat(parts, axis=1).reindex(index=names, columns=columns)
    return found.set_axis(list(MAPS), axis=1)


def sufficiency(controls: Frame) -> Frame:
    """Return the shares of questions that stay right when only some nodes are kept.

    A row for each set of nodes, random sets of a size together; a column for each
    thing that replaces the others, and the number of nodes.
    """
    rows = controls[controls["control"].str.startswith(KEEP_ONLY)]
    rows = rows.assign(replaced=rows["control"].str.removeprefix(KEEP_ONLY))
    nodes = rows.groupby("of")["nodes"].first()
    return _share(rows, "of", "replaced").assign(nodes=nodes)


def chance(controls: Frame) -> Frame:
    """Return how often each sub-task was found, where, and where it should not be."""
    rows = controls[controls["control"].isin(CHANCE)]
    counts = rows[rows["control"] == "found"].set_index("of")["count"]
    shown = _share(rows, "of", "control").reindex(columns=list(CHANCE))
    return shown.rename(columns=CHANCE).assign(found=counts)


def reuse(tables: Tables, facts: Row) -> dict[str, list[Row]]:
    """Return what became of the inserted nodes of each child."""
    grouped = table(tables, "reuse").groupby("model", sort=False)
    return {str(model): records(own) for model, own in grouped}


PIVOTS: dict[
    str, Callable[[Tables, Row], Any]
] = {  # that templates call by these names
    pivot.__name__: pivot for pivot in (rates, decoders, by_class, maps, reuse)
}
