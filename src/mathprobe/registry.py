"""Things with a name: distributions, encodings, tasks.  Registered where they are written."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from mathprobe.errors import InputError, unknown_name

Entry = TypeVar("Entry")


class UnknownName(InputError, KeyError):
    """A name that no registry holds; the message lists the names that it does hold."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, Entry]):
    """Map names to what was registered under them, in the order of registration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str) -> Callable[[Entry], Entry]:
        """Register the decorated object under `name`; a name is given only once."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already")

        def register(entry: Entry) -> Entry:
            self._entries[name] = entry
            return entry

        return register

    def check(self, name: str) -> str:
        """Give back a name that is registered; raise UnknownName for any other."""
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
