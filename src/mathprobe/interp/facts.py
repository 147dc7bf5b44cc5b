"""Facts about nodes: the table that stores a circuit analysis, one row per fact.

A label distinguishes facts of the same name, for example by the token that a head
attends to.  Most facts have a value between 0 and 1 with a 95 % interval.  Every row
contains the version of the table format.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mathprobe import files
from mathprobe.errors import InputError
from mathprobe.interp.nodes import KINDS, Node

VERSION = "3"
# A share is "nearly always" if its lower interval bound is at least this.  Our choice,
# made before any trained model was analysed.
CONFIDENT_FROM = 0.75
COLUMNS = (
    *("version", "position", "layer", "kind", "index"),
    *("fact", "label", "value", "low", "high", "partner"),
)


@dataclass(frozen=True)
class Fact:
    """A fact about a node; numbers that do not apply are None."""

    node: Node
    name: str
    label: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    partner: str = ""  # the other nodes of a set at this position, e.g. L0H2

    @property
    def is_confident(self) -> bool:
        """Return whether the fact has no interval, or low >= CONFIDENT_FROM."""
        return self.low is None or self.low >= CONFIDENT_FROM

    @property
    def known_value(self) -> float:
        """Return the value; raise InputError if it is missing."""
        if self.value is None:
            raise InputError(f"the fact {self.name!r} about {self.node} has no value")
        return self.value

    def to_row(self) -> dict[str, Any]:
        """Return the row of the table, with the keys COLUMNS."""
        node = self.node
        place = (node.position, node.layer, node.kind, node.index)
        rest = (self.label, self.value, self.low, self.high, self.partner)
        return dict(zip(COLUMNS, (VERSION, *place, self.name, *rest), strict=True))

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Self:
        """Parse a row of strings; raise ValueError for an invalid value."""
        kind = row["kind"]
        if kind not in KINDS:
            raise ValueError(
                f"unknown kind {kind!r}; known kinds are {', '.join(KINDS)}"
            )
        return cls(
            Node(int(row["position"]), int(row["layer"]), kind, int(row["index"])),
            row["fact"],
            label=row["label"],
            value=_number(row["value"]),
            low=_number(row["low"]),
            high=_number(row["high"]),
            partner=row["partner"],
        )


def _number(text: str) -> float | None:
    return float(text) if text else None


class Facts:
    """All facts about a model, sorted by node."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_node: dict[Node, list[Fact]] = {}
        for fact in facts:
            self._by_node.setdefault(fact.node, []).append(fact)

    def __iter__(self) -> Iterator[Fact]:
        for node in self.nodes:
            yield from self._by_node[node]

    @property
    def nodes(self) -> list[Node]:
        """Return the nodes that have facts, sorted."""
        return sorted(self._by_node)

    def for_node(self, node: Node, *names: str) -> list[Fact]:
        """Return all facts of a node, or only those of the given names."""
        known = self._by_node.get(node, [])
        return [fact for fact in known if not names or fact.name in names]

    def has(self, node: Node, name: str, label: str = "", least: float = 0.0) -> bool:
        """Return whether a node has a fact with this name, label and value >= `least`.

        A fact without a value is accepted.
        """
        return any(
            fact.label == label and (fact.value is None or fact.value >= least)
            for fact in self.for_node(node, name)
        )

    def save(self, path: Path | str) -> None:
        """Write the table as CSV."""
        files.write_csv(path, (fact.to_row() for fact in self), COLUMNS)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a table from CSV.

        Raises InputError for other columns, another version or an invalid row.
        """
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path}: columns are not {', '.join(COLUMNS)}")
            return cls(_parse(path, number, row) for number, row in enumerate(rows, 2))


def _parse(path: Path | str, line: int, row: dict[str, str]) -> Fact:
    """Parse a row; errors name the file and the line."""
    if row["version"] != VERSION:
        raise InputError(
            f"{path}, line {line}: unknown version {row['version']!r}; "
            f"the known version is {VERSION}"
        )
    try:
        return Fact.from_row(row)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: {error}") from error
