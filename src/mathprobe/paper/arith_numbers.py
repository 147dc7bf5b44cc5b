"""Numbers that the prose names: decoders of arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from mathprobe.paper.arith_tables import PASSED_BELOW, Row
from mathprobe.paper.arith_views import families, measured
from mathprobe.paper.formats import percent, tex, thousands

OPERATIONS = ("addition", "subtraction")


def decoders(tables: dict[str, list[Row]], facts: Row) -> dict[str, str]:
    """Count models that are nearly always right, and follow one and its child."""
    found = {one["name"]: one["models"] for one in families(tables, facts)}
    models = [model for family in found.values() for model in family]
    there, printed = measured(models), _with(models, "published")
    numbers = {
        "models": str(len(models)),
        "there": str(len(there)),
        "shown": "yes" if there else "no",
        "questions": thousands(facts["arith"]["questions"]),
        "width": str(facts["arith"]["width"]),
        "enriched": percent(facts["arith"]["enriched"], 0),
        "passed": str(sum(_passes(model, "per_million") for model in there)),
        "printed": str(len(printed)),
        "published/passed": str(sum(_passes(model, "published") for model in printed)),
    }
    for name in ("addition", "subtraction", "mixed", "inserted"):
        own = measured(found.get(name, []))
        numbers[f"{name}/models"] = str(len(found.get(name, [])))
        numbers[f"{name}/worst"] = thousands(max(map(_worst, own), default=None))
    numbers |= _lineage(models)
    points = facts["errata"]["arith_contradictions"].values()
    numbers["errata/contradictions"] = str(len(points))
    numbers["errata/measured"] = str(sum("evidence" in point for point in points))
    numbers["errata/silences"] = str(len(facts["errata"]["arith_silences"]))
    return {f"arith/{key}": text for key, text in numbers.items()}


def _with(models: list[Row], column: str) -> list[Row]:
    """Give the models of which this is known, of some operation."""
    return [model for model in models if any(_rates(model, column))]


def _rates(model: Row, column: str) -> Iterator[tuple[str, float]]:
    for operation, cell in model["cells"].items():
        if cell[column] is not None:
            yield operation, cell[column]


def _passes(model: Row, column: str) -> bool:
    return all(rate < PASSED_BELOW for _, rate in _rates(model, column))


def _worst(model: Row) -> float:
    return max(rate for _, rate in _rates(model, "per_million"))


def _lineage(models: list[Row]) -> dict[str, str]:
    """Set the first child that was tested beside its parent and its like from scratch.

    That one has the same digits, layers, heads and steps, but random first weights.
    """
    by_name = {model["name"]: model for model in models}
    child = next((model for model in measured(models) if model["parent"]), None)
    parent = child and by_name[child["parent"]]
    shape = ("operation", "digits", "layers", "heads", "steps")
    like = child and next(
        (
            model
            for model in measured(models)
            if not model["parent"] and all(model[k] == child[k] for k in shape)
        ),
        None,
    )
    numbers = {}
    for who, model in {"child": child, "parent": parent, "scratch": like}.items():
        numbers[who] = tex(model and model["name"])
        for operation in OPERATIONS:
            cell = (model["cells"] if model else {}).get(operation) or {}
            rate = cell.get("per_million")
            numbers[f"{who}/{operation}"] = thousands(rate)
    return numbers
