"""Frozen structs of plain values, read strictly: settings and specifications.

A value of a wrong type, out of its bounds, missing or unknown raises InputError with
its place, the value and what is allowed there.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import reduce
from operator import getitem
from reprlib import repr as shortened
from typing import Any, Self

import msgspec
from msgspec import inspect

from mathprobe.errors import InputError, unknown

STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")  # of a path, as in `$.tables[0].n`
ANY_KEY = "..."  # what msgspec writes for the key of a mapping
PLACE = " - at "  # between its message and the path
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
    def of(cls, values: Any, place: str | None = None) -> Self:
        """Build from nested plain values; a fault is named by its place in them."""
        return convert(values, cls, place or cls.__name__)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read from JSON text."""
        try:
            return cls.of(json.loads(text))
        except json.JSONDecodeError as error:
            raise InputError(f"{cls.__name__}: not JSON ({error})") from error

    def json(self) -> str:
        """Return JSON text; equal specifications give equal text."""
        return json.dumps(self.plain(), sort_keys=True)

    def plain(self) -> dict[str, Any]:
        """Return nested plain values."""
        return msgspec.to_builtins(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Return the values in which another's plain values differ, with both."""
        ours, theirs = flat(self.plain()), flat(other)
        return [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves


def convert(values: Any, kind: Any, place: str, strict: bool = True) -> Any:
    """Convert plain values to a type; without `strict`, text to numbers too.

    Raises InputError that begins with `place`, the name of the values.
    """

    def check(tried: Any) -> Any:
        return msgspec.convert(tried, kind, strict=strict)

    try:
        return check(values)
    except msgspec.ValidationError as error:
        text = str(error)
    keys = _keys(text, values, check)
    where = ".".join([place, *map(str, keys)])
    wanted = _bare(reduce(_inside, keys, inspect.type_info(kind)))
    raise InputError(f"{where}: {_fault(text, reduce(getitem, keys, values), wanted)}")


def _keys(text: str, values: Any, check: Callable[[Any], Any]) -> list[str | int]:
    """Return the keys on the path in a message; that of a mapping fails by itself."""
    keys: list[str | int] = []
    inner = whole = copy.deepcopy(values)
    for name, item in STEP.findall(text.partition(PLACE)[2]):
        if item == ANY_KEY:
            keys.append(_failing(inner, lambda: _message(check, whole) == text))
        else:
            keys.append(name or int(item))
        inner = inner[keys[-1]]
    return keys


def _failing(mapping: dict[str, Any], fails: Callable[[], bool]) -> str:
    """Return the key that fails alone, and leave only that one."""
    entries = dict(mapping)
    for key, value in entries.items():
        mapping.clear()
        mapping[key] = value
        if fails():
            return key
    raise AssertionError(f"none of {list(entries)} fails alone")


def _message(check: Callable[[Any], Any], values: Any) -> str:
    try:
        check(values)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _bare(kind: inspect.Type) -> Any:
    """Return a type without its description, and without null."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _bare(kind.types[0])
    return kind


def _inside(kind: inspect.Type, key: str | int) -> inspect.Type:
    """Return the type of what stands under a key."""
    match _bare(kind):
        case inspect.StructType(fields=fields):
            return next(field.type for field in fields if field.name == key)
        case inspect.DictType(value_type=inner) | inspect.ListType(item_type=inner):
            return inner
    raise AssertionError(f"{kind} has no {key!r}")


def _fault(text: str, value: Any, wanted: Any) -> str:
    """Return what is wrong with a value, and what is allowed."""
    message, _, path = text.partition(PLACE)
    if found := FIELD.fullmatch(message):
        names = [field.name for field in wanted.fields]
        if found[1] == "contains unknown":
            return unknown("key", found[2], names)
        return f"{found[2]} is missing; keys are {', '.join(names)}"
    if path.startswith("`key`"):
        return "all keys must be text"
    if message.startswith("Invalid enum value"):
        allowed = ", ".join(map(repr, wanted.values))
        return f"{value!r} is not one of {allowed}"
    if found := EXPECTED.fullmatch(message):
        kinds = " or ".join(TYPES.get(name, name) for name in found[1].split(" | "))
        is_text = isinstance(value, str) and "float" in found[1]
        hint = HINT if is_text and EXPONENT.search(value) else ""
        return f"{shortened(value)} is not {kinds}{found[2]}{hint}"
    return message
