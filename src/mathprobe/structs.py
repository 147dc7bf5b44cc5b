"""Frozen structs of plain values, read strictly: settings and specifications.

A value of a wrong type, out of its bounds, missing or unknown raises InputError with
its place, the value and what is allowed there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from reprlib import repr as shortened
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

import msgspec
from msgspec import structs

from mathprobe.errors import InputError, unknown_name

FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`")
EXPECTED = re.compile(r"Expected `(.+?)`(.*?)(, got `.*`)?")
TYPES = {  # as a person names them
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "str": "text",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
EXPONENT = re.compile(r"\d+e[+-]?\d+", re.IGNORECASE)
HINT = " (YAML reads 1e-4 as text: write 1.0e-4)"


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A struct that is read from and written to plain values and JSON."""

    @classmethod
    def from_dict(cls, values: Any, place: str | None = None) -> Self:
        """Build from nested plain values; a fault is named by its place in them."""
        return convert(values, cls, place or cls.__name__)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read from JSON text."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise InputError(f"{cls.__name__}: not JSON ({error})") from error

    def to_json(self) -> str:
        """Return JSON text; equal specifications give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values."""
        return msgspec.to_builtins(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Return the values in which another's plain values differ, with both."""
        ours, theirs = flatten(self.to_dict()), flatten(other)
        return [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves


def convert(values: Any, kind: Any, place: str, strict: bool = True) -> Any:
    """Convert plain values to a type; without `strict`, text to numbers too.

    Raises InputError that begins with `place`, the name of the values, and goes on to
    the innermost value that does not fit.
    """
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        message = str(error).partition(" - at ")[0]
    for key, inner in _inside(values, kind):
        convert(values[key], inner, f"{place}.{key}", strict)
    raise InputError(f"{place}: {_fault(message, values, _bare(kind))}")


def _bare(kind: Any) -> Any:
    """Return a type without its bounds and description, and without null."""
    alternatives = get_origin(kind) in (Annotated, Union, UnionType)
    return _bare(get_args(kind)[0]) if alternatives else kind


def _inside(values: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the keys of what values consist of, with the types."""
    kind = _bare(kind)
    if isinstance(values, dict) and hasattr(kind, "__struct_fields__"):
        types = {field.name: field.type for field in structs.fields(kind)}
        yield from ((key, types[key]) for key in values if key in types)
    elif isinstance(values, dict) and get_origin(kind) is dict:
        yield from dict.fromkeys(values, get_args(kind)[1]).items()
    elif isinstance(values, list) and get_origin(kind) is list:
        yield from ((place, get_args(kind)[0]) for place in range(len(values)))


def _fault(message: str, value: Any, kind: Any) -> str:
    """Return in a person's words what is wrong with a value, and what is allowed."""
    if found := FIELD.fullmatch(message):
        names = kind.__struct_fields__
        if found[1] == "contains unknown":
            return unknown_name("key", found[2], names)
        return f"{found[2]} is missing; keys are {', '.join(names)}"
    if message.startswith("Invalid enum value"):
        allowed = ", ".join(map(repr, get_args(kind)))
        return f"{value!r} is not one of {allowed}"
    if found := EXPECTED.fullmatch(message):
        if found[1] == "str" and isinstance(value, dict):
            return "all keys must be text"
        kinds = " or ".join(TYPES.get(name, name) for name in found[1].split(" | "))
        is_text = isinstance(value, str) and "float" in found[1]
        hint = HINT if is_text and EXPONENT.search(value) else ""
        return f"{shortened(value)} is not {kinds}{found[2]}{hint}"
    return message  # of a check of ours
