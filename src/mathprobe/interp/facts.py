"""Facts about nodes, a row each: what is stored of a model and drawn from.

A fact has a name, mostly a digit that it is about, and mostly a share between 0 and 1
with its 95 % interval.  The table says which version of these columns it has.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from mathprobe import files
from mathprobe.errors import InputError
from mathprobe.interp.nodes import NODE_HOOKS, Node

Number = TypeVar("Number", int, float)

VERSION = "1"
# The lower end of a share's interval from which it is nearly always so; ours, and set
# before any trained model was mapped.
CONFIDENT_FROM = 0.75
COLUMNS = (
    *("version", "position", "layer", "kind", "index"),
    *("fact", "digit", "value", "low", "high", "partner"),
)


@dataclass(frozen=True)
class Fact:
    """One thing known of a node; None where there is no such number."""

    node: Node
    name: str
    digit: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    partner: int | None = None  # index of the head of the layer that shares in it

    @property
    def is_confident(self) -> bool:
        """Tell whether it is nearly always so; what was given without share, is."""
        return self.low is None or self.low >= CONFIDENT_FROM

    def to_row(self) -> dict[str, Any]:
        """Write as a row of COLUMNS."""
        node = self.node
        place = (node.position, node.layer, node.kind, node.index)
        numbers = (self.digit, self.value, self.low, self.high, self.partner)
        return dict(zip(COLUMNS, (VERSION, *place, self.name, *numbers), strict=True))

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Self:
        """Read a row of texts."""
        kind = row["kind"]
        if kind not in NODE_HOOKS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(NODE_HOOKS)}")
        return cls(
            Node(int(row["position"]), int(row["layer"]), kind, int(row["index"])),
            row["fact"],
            digit=_number(int, row["digit"]),
            value=_number(float, row["value"]),
            low=_number(float, row["low"]),
            high=_number(float, row["high"]),
            partner=_number(int, row["partner"]),
        )


def _number(kind: Callable[[str], Number], text: str) -> Number | None:
    return kind(text) if text else None


class Facts:
    """The facts about a model, by node, in order."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_node: dict[Node, list[Fact]] = {}
        for fact in facts:
            self._by_node.setdefault(fact.node, []).append(fact)

    def __iter__(self) -> Iterator[Fact]:
        for node in self.nodes:
            yield from self._by_node[node]

    @property
    def nodes(self) -> list[Node]:
        """List the nodes of which something is known."""
        return sorted(self._by_node)

    def for_node(self, node: Node, *names: str) -> list[Fact]:
        """List the facts of a node: all of them, or those of some names."""
        known = self._by_node.get(node, [])
        return [fact for fact in known if not names or fact.name in names]

    def has(
        self, node: Node, name: str, digit: int | None = None, least: float = 0.0
    ) -> bool:
        """Return whether a node has a fact about this digit, of this value at least.

        A fact without a value is enough.
        """
        return any(
            fact.digit == digit and (fact.value is None or fact.value >= least)
            for fact in self.for_node(node, name)
        )

    def save(self, path: Path | str) -> None:
        """Write the table."""
        files.write_csv(path, (fact.to_row() for fact in self), COLUMNS)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a table; columns or a version that are not these are refused."""
        with Path(path).open(newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path}: columns are not {', '.join(COLUMNS)}")
            return cls(
                _checked(path, number, row) for number, row in enumerate(rows, 2)
            )


def _checked(path: Path | str, line: int, row: dict[str, str]) -> Fact:
    """Read a row; what is wrong is told with its line."""
    if row["version"] != VERSION:
        raise InputError(
            f"{path}, line {line}: version {row['version']!r}; known is {VERSION}"
        )
    try:
        return Fact.from_row(row)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: {error}") from error
