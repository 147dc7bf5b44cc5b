"""Filters of nodes, to be combined with & (and) and | (or)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Node


@dataclass(frozen=True)
class Filter:
    """Keep some nodes, by what they are and what is known of them."""

    keeps: Callable[[Node, Sequence[Fact]], bool]

    def __and__(self, other: Filter) -> Filter:
        return Filter(lambda *given: self.keeps(*given) and other.keeps(*given))

    def __or__(self, other: Filter) -> Filter:
        return Filter(lambda *given: self.keeps(*given) or other.keeps(*given))

    def nodes(self, facts: Facts) -> list[Node]:
        """List the nodes that are kept, in order."""
        return [node for node in facts.nodes if self.keeps(node, facts.of(node))]


HEADS = Filter(lambda node, facts: node.kind == HEAD)
MLPS = Filter(lambda node, facts: node.kind == MLP)


def positions(first: int, last: int) -> Filter:
    """Keep positions from the first to the last."""
    return Filter(lambda node, facts: first <= node.position <= last)


def known(name: str, digit: int | None = None, least: float = 0.0) -> Filter:
    """Keep nodes with a fact about this digit, of this value at least.

    Where what was given has no value, it is enough that it is given.
    """

    def keeps(node: Node, facts: Sequence[Fact]) -> bool:
        return any(
            (fact.name, fact.digit) == (name, digit)
            and (fact.value is None or fact.value >= least)
            for fact in facts
        )

    return Filter(keeps)


def begins(*prefixes: str) -> Filter:
    """Keep nodes with a fact whose name begins in one of these ways."""
    return Filter(lambda node, facts: any(f.name.startswith(prefixes) for f in facts))
