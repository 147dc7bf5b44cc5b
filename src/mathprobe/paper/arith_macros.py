"""Numbers that the prose names: decoders of arithmetic, and circuits that are shown."""

from __future__ import annotations

import pandas as pd

from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.paper import arith_pivots
from mathprobe.paper.arith_pivots import MAPS, Tables
from mathprobe.paper.arith_tables import FAMILIES
from mathprobe.paper.formats import escape_latex, percent, plain, thousands
from mathprobe.paper.tables import Row

OPERATIONS = ("addition", "subtraction")
ALIKE = ["operation", "digits", "layers", "heads", "steps"]
COUNTS = ("count", "published", "claims")  # parts of a map that are no shares
REUSE_MACROS = {  # of a child, and the names of its numbers
    "inserted nodes in use": "inserted",
    "inserted nodes for several classes": "several_classes",
    "inserted nodes that still do a sub-task": "same_subtask",
}
ENDS = {"": "count", "/of": "total", "/published": "published"}


def decoders(tables: Tables, facts: Row) -> dict[str, str]:
    """Count models that are nearly always right, and follow one and its child."""
    models, settings = arith_pivots.decoders(tables, facts), facts["arith"]
    measured, printed = models["per_million"], models["published"]
    numbers = {
        "models": str(len(models)),
        "tested": str(measured.count()),
        "measured": "yes" if measured.count() else "no",
        "questions": thousands(settings["questions"]),
        "width": str(settings["width"]),
        "enriched": percent(settings["enriched"], 0),
        "passed": str((measured < WRONG_PER_MILLION_LIMIT).sum()),
        "printed": str(printed.count()),
        "published/passed": str((printed < WRONG_PER_MILLION_LIMIT).sum()),
    }
    for family in FAMILIES.values():
        own = models[models["family"] == family]
        numbers[f"{family}/models"] = str(len(own))
        numbers[f"{family}/worst"] = thousands(own["per_million"].max())
    rates = arith_pivots.rates(tables, facts)["per_million"]
    for role, name in _lineage(models).items():
        numbers[role] = escape_latex(name)
        for operation in OPERATIONS:
            numbers[f"{role}/{operation}"] = thousands(rates.get((name, operation)))
    points = facts["errata"]["arith_contradictions"].values()
    numbers["errata/contradictions"] = str(len(points))
    numbers["errata/measured"] = str(sum("evidence" in point for point in points))
    numbers["errata/omissions"] = str(len(facts["errata"]["arith_omissions"]))
    return {f"arith/{key}": text for key, text in numbers.items()}


def _lineage(models: pd.DataFrame) -> dict[str, str | None]:
    """Name the first child that was tested, its parent, and its like from scratch.

    That one has the same digits, layers, heads and steps, but random first weights.
    """
    tested = models[models["per_million"].notna()]
    children = tested[tested["parent"].notna()]
    if children.empty:
        return dict.fromkeys(("child", "parent", "scratch"))
    child = children.iloc[0]
    alike = (tested[ALIKE] == child[ALIKE]).all(axis=1) & tested["parent"].isna()
    scratch = next(iter(tested["model"][alike]), None)
    return {"child": child["model"], "parent": child["parent"], "scratch": scratch}


def circuits(tables: Tables, facts: Row) -> dict[str, str]:
    """Describe the models whose maps are shown: one that adds, one that does both."""
    models = arith_pivots.maps(tables, facts)
    reused = arith_pivots.table(tables, "reuse").set_index(["model", "quantity"])
    mapped = models["heads"].notna()
    numbers = {"models": str(len(models)), "mapped": str(mapped.sum())}
    for role, name in facts["arith"]["example_models"].items():
        numbers[f"{role}/model"] = escape_latex(name)
        numbers[f"{role}/mapped"] = "yes" if mapped[name] else "no"
        for key, (part, _) in MAPS.items():
            value = models.loc[name, key]
            text = plain(value) if part in COUNTS else percent(value, 0)
            numbers[f"{role}/{key}"] = text
        for quantity, key in REUSE_MACROS.items():
            for end, column in ENDS.items():
                value = reused[column].get((name, quantity))
                numbers[f"{role}/{key}{end}"] = plain(value)
    return {f"circuits/{key}": text for key, text in numbers.items()}
