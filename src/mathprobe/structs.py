"""Base class of settings and specifications: frozen msgspec structs, strictly checked.

A value that is missing, unknown, of the wrong type or out of bounds raises InputError.
The message states the path of the value, the value and what is allowed.
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

from mathprobe.cluster import megabytes
from mathprobe.errors import InputError, unknown_name

FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`")
EXPECTED = re.compile(r"Expected `(.+?)`(.*?)(, got `.*`)?")
TYPES = {  # names of JSON types in messages
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
LIMIT = 2**63  # of integers in torch and numpy
EXPONENT = re.compile(r"\d+e[+-]?\d+", re.IGNORECASE)
HINT = " (YAML reads 1e-4 as text: write 1.0e-4)"


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A struct that can be converted from and to nested dictionaries and JSON."""

    @classmethod
    def from_dict(cls, values: Any, place: str | None = None) -> Self:
        """Build from nested dictionaries; raise InputError for an invalid value.

        The message names the invalid value by its path, which begins with `place`
        (default: the name of the class).
        """
        found = convert(values, cls, place or cls.__name__)
        _check_numbers(values, place or cls.__name__)
        return found

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build from JSON text; raise InputError if it is invalid."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise InputError(f"{cls.__name__}: not JSON ({error})") from error

    def to_json(self) -> str:
        """Return JSON text with sorted keys; it is equal for equal specifications."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries of plain values."""
        return msgspec.to_builtins(self)

    def with_defaults(self) -> dict[str, Any]:
        """Return `to_dict` with the fields that a specification omits."""
        values = structs.asdict(self)
        return {**msgspec.to_builtins(values), **self.to_dict()}

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Return a message for each value that differs in `other`, a nested dict."""
        expected, found = flatten(self.to_dict()), flatten(other)
        return [
            f"{key}: expected {expected.get(key)!r}, found {found.get(key)!r}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        ]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by their dotted keys."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves


def convert(values: Any, kind: Any, place: str, strict: bool = True) -> Any:
    """Convert plain values to a type; unless `strict`, also convert text to numbers.

    Raises InputError; the message begins with the path of the innermost invalid value,
    which begins with `place`.
    """
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        message = str(error).partition(" - at ")[0]
    for key, inner in _children(values, kind):
        convert(values[key], inner, f"{place}.{key}", strict)
    raise InputError(f"{place}: {_describe_error(message, values, _bare(kind))}")


def _check_numbers(values: Any, place: str) -> None:
    """Raise InputError for a number that is infinite, NaN, or too large for 64 bits."""
    if isinstance(values, dict | list):
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in pairs:
            _check_numbers(value, f"{place}.{key}")
    elif isinstance(values, int | float) and not abs(values) < LIMIT:
        raise InputError(f"{place}: {values} is too large; write a number below 2^63")


def _bare(kind: Any) -> Any:
    """Return a type without its bounds, its description and None."""
    alternatives = get_origin(kind) in (Annotated, Union, UnionType)
    return _bare(get_args(kind)[0]) if alternatives else kind


def _children(values: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the keys (or indices) of a container, with the types of their values."""
    kind = _bare(kind)
    if isinstance(values, dict) and hasattr(kind, "__struct_fields__"):
        types = {field.name: field.type for field in structs.fields(kind)}
        yield from ((key, types[key]) for key in values if key in types)
    elif isinstance(values, dict) and get_origin(kind) is dict:
        yield from dict.fromkeys(values, get_args(kind)[1]).items()
    elif isinstance(values, list) and get_origin(kind) is list:
        yield from ((index, get_args(kind)[0]) for index in range(len(values)))


def _describe_error(message: str, value: Any, kind: Any) -> str:
    """Rephrase a message of msgspec: state the invalid value and what is allowed."""
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
        is_size = isinstance(value, str) and megabytes(value)
        hint = HINT if is_text and EXPONENT.search(value) else ""
        if found[1] == "int" and is_size:
            hint = f" (write megabytes: {megabytes(value)})"
        if found[1].startswith("str") and isinstance(value, int | float):
            hint = f' (write it in quotes: "{value}")'
        return f"{shortened(value)} is not {kinds}{found[2]}{hint}"
    return message  # from a `__post_init__`
