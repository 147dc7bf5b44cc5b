"""What a map sums up to, and what a child reuses of its parent.  Loads no torch.

Source: Quirke, Neo, Barez 2024, for how many nodes a model uses, how many of them a
sub-task explains, and what becomes of the nodes that were inserted from a parent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mathprobe.arith import claims
from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import HEAD, TAPS, Node
from mathprobe.studies.findings import failing, is_found

LETTERS = ("S", "M", "N")  # classes: additions, positive and negative differences
SUMMARY_COLUMNS = ("model", "quantity", "count", "total")
REUSE_COLUMNS = ("quantity", "count", "total")

Row = dict[str, Any]


def letters(facts: Facts, node: Node) -> set[str]:
    """Give the classes of questions, S, M or N, that need a node."""
    return {name[0] for name in failing(facts.of(node))}


def tasks(facts: Facts, node: Node) -> set[tuple[str, int | None]]:
    """Give the sub-tasks of columns that a node does."""
    return {(fact.name, fact.digit) for fact in facts.of(node) if is_found(fact)}


def summary(
    name: str, facts: Facts, claimed: Iterable[Mapping[str, Any]]
) -> Iterator[Row]:
    """Sum a map up: nodes that are useful and what they do, claims that hold."""

    def row(quantity: str, count: int, total: int | None = None) -> Row:
        return dict(zip(SUMMARY_COLUMNS, (name, quantity, count, total), strict=True))

    for kind in TAPS:
        nodes = [node for node in facts.nodes if node.kind == kind]
        yield row(f"useful {kind}s", len(nodes))
        done = sum(bool(tasks(facts, node)) for node in nodes)
        yield row(f"{kind}s with a purpose", done, len(nodes))
    yield from _by_number_of_classes(facts, row)
    by_algorithm: dict[str, list[Mapping[str, Any]]] = {}
    for clause in claimed:
        by_algorithm.setdefault(clause["algorithm"], []).append(clause)
    for algorithm, rows in by_algorithm.items():
        yield row(f"clauses of {algorithm}", *claims.score(rows))


def _by_number_of_classes(facts: Facts, row: Callable[..., Row]) -> Iterator[Row]:
    served = [letters(facts, node) for node in facts.nodes]
    for letter in LETTERS:
        count = sum(letter in one for one in served)
        yield row(f"nodes for {letter}", count, len(served))
    for number in range(1, len(LETTERS) + 1):
        count = sum(len(one) == number for one in served)
        yield row(f"nodes for {number} of 3 classes", count, len(served))


def reuse(child: Facts, parent: Facts) -> Iterator[Row]:
    """Tell what became, in a child, of the nodes that were useful in its parent.

    Layers and heads of a parent are inserted as the first ones of its child, so a node
    has the same address in both.
    """
    inserted, used = set(parent.nodes), set(child.nodes)
    kept = inserted & used
    yield _count("inserted nodes", len(inserted), len(inserted))
    yield _count("inserted nodes in use", len(kept), len(inserted))
    yield _count("inserted heads in use", _heads(kept), _heads(inserted))
    for letter in LETTERS:
        serve = {node for node in used if letter in letters(child, node)}
        yield _count(f"nodes in use for {letter}", len(serve), len(used))
        yield _count(f"inserted nodes for {letter}", len(serve & kept), len(inserted))
    several = sum(len(letters(child, node)) > 1 for node in kept)
    yield _count("inserted nodes for several classes", several, len(inserted))
    same = sum(bool(tasks(parent, n) & tasks(child, n)) for n in kept)
    purposeful = sum(bool(tasks(parent, node)) for node in inserted)
    yield _count("inserted nodes that still do a sub-task", same, purposeful)


def _count(quantity: str, count: int, total: int) -> Row:
    return dict(zip(REUSE_COLUMNS, (quantity, count, total), strict=True))


def _heads(nodes: Iterable[Node]) -> int:
    return sum(node.kind == HEAD for node in nodes)
