"""Registries of named objects: distributions, encodings, tasks.

Each object is registered where it is defined.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from mathprobe.errors import InputError, unknown_name

Entry = TypeVar("Entry")
# A name may become a part of a file name, a wildcard of Snakemake or a LaTeX macro.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def check_name(kind: str, name: str) -> None:
    """Raise InputError, with a suggestion, if the name of an object is not valid."""
    if not NAME.fullmatch(name):
        valid = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        raise InputError(
            f"{kind} {name!r}: not a valid name; begin with a letter and use at most "
            f"64 letters (A-Z, a-z), digits and _, for example {valid!r}"
        )


class UnknownName(InputError, KeyError):
    """A name is not in a registry; the message lists the known names."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, Entry]):
    """Mapping from names to registered objects, in the order of registration."""

    def __init__(self, kind: str, are_names: bool = True) -> None:
        """Create an empty registry; unless `are_names`, its keys may be any text."""
        self.kind, self.are_names = kind, are_names
        self._entries: dict[str, Entry] = {}

    def add(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers an object.

        Raises InputError if the name is not a valid name, or is already registered.
        Upper and lower case are the same on some file systems.
        """
        if self.are_names:
            check_name(self.kind, name)
        if name.lower() in map(str.lower, self._entries):
            raise InputError(f"{self.kind} {name!r} is already registered")

        def register(entry: Entry) -> Entry:
            self._entries[name] = entry
            return entry

        return register

    def check(self, name: str) -> str:
        """Return `name` if it is registered; otherwise raise UnknownName."""
        self[name]
        return name

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise UnknownName(unknown_name(self.kind, name, self._entries))
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
