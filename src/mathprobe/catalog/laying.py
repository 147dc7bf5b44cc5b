"""Reading settings, laying them over each other, and holding them against a schema."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mathprobe.errors import InputError


def merged(under: Any, over: Any) -> Any:
    """Lay one nested mapping over another; lists and values are replaced whole."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {
        key: merged(under[key], value) if key in under else value
        for key, value in over.items()
    }


def read(path: Path | str) -> dict[str, Any]:
    """Read a YAML file."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def hold(values: Any, schema: dict[str, Any], place: str) -> None:
    """Hold values against a schema; the first fault is named with its place."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    fault = best_match(Draft202012Validator(schema).iter_errors(values))
    if fault is not None:
        where = ".".join([place, *map(str, fault.absolute_path)])
        kinds = str(fault.schema.get("type"))
        numeric = isinstance(fault.instance, str) and "number" in kinds
        hint = " (YAML reads 1e-4 as text: write 1.0e-4)" if numeric else ""
        raise InputError(f"{where}: {fault.message}{hint}")


def definition(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a named part of a schema."""
    return {"$defs": schema["$defs"], "$ref": f"#/$defs/{name}"}


def partial(schema: dict[str, Any]) -> dict[str, Any]:
    """Make nothing required: what lies over a whole may be a part of it."""
    if isinstance(schema, dict):
        return {k: partial(v) for k, v in schema.items() if k != "required"}
    return schema


def of_scale(
    config: dict[str, Any], schema: dict[str, Any], scale: str, study: str
) -> dict[str, Any]:
    """Give a study's settings at a scale, laid over those of the paper."""
    place = f"config.scales.{scale}.{study}"
    over = config["scales"][scale].get(study, {})
    # Only what exists can be changed, so that a mistyped key is found.
    hold(over, partial(definition(schema, study)), place)
    settings = merged(config[study], over)
    hold(settings, definition(schema, study), place)
    return settings


def admit(name: str, names: Iterable[str], place: str, kind: str) -> None:
    """Refuse a name that is none of those known, which are listed."""
    if name not in names:
        listed = ", ".join(names)
        raise InputError(f"{place}: unknown {kind} {name!r}; known names are {listed}")


def either(names: Iterable[str]) -> str:
    """Give a wildcard constraint that admits exactly these names."""
    return "|".join(map(re.escape, names))
