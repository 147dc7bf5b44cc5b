"""Registries of named objects: distributions, encodings, tasks.

Each object is registered where it is defined.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from mathprobe.errors import InputError, unknown_name

Entry = TypeVar("Entry")


class UnknownName(InputError, KeyError):
    """A name is not in a registry; the message lists the known names."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, Entry]):
    """Mapping from names to registered objects, in the order of registration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers an object.

        Raises ValueError if the name is already registered.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered")

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
