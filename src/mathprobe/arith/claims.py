"""Published claims about the algorithms of models, as lists of clauses.

n: digits, k: column (0: units).

Source: Quirke, Neo, Barez 2024, and their published code.  A clause states at which
positions a sub-task must be found.  An optional clause describes a sub-task that only
some models have; it is counted only if it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mathprobe.arith.tokens import Layout
from mathprobe.registry import Registry

ALGORITHMS: Registry[Algorithm] = Registry("algorithm", are_names=False)
COLUMNS = ("algorithm", "clause", "optional", "holds", "positions")
WRONG_PER_MILLION_LIMIT = 10.0  # models below it are "99.999 %" accurate in the paper

# Positions at which sub-tasks were found, by sub-task and column.
SubtaskPositions = Mapping[tuple[str, int | None], Sequence[int]]


@dataclass(frozen=True)
class Clause:
    """A claim, and a function that finds the positions at which it holds."""

    text: str
    find: Callable[[SubtaskPositions], list[int]]  # empty: the clause does not hold
    optional: bool = False


@dataclass(frozen=True)
class Algorithm:
    """Clauses about models with given operations and numbers of layers."""

    operations: frozenset[str]
    min_layers: int
    max_layers: int | None  # None: no limit
    clauses: Callable[[Layout], Iterator[Clause]]

    def applies_to(self, operations: Iterable[str], layers: int) -> bool:
        """Return whether the clauses apply to a model."""
        highest = layers if self.max_layers is None else self.max_layers
        in_range = self.min_layers <= layers <= highest
        return in_range and self.operations <= set(operations)


def exists(
    task: str, k: int, layout: Layout, last: str | None = None, optional: bool = False
) -> Clause:
    """Return the clause that a sub-task of column k is found.

    With `last`, it must be found at this token or before.
    """
    limit = layout.length if last is None else layout.position(last)
    where = "" if last is None else f" at {last} or before"
    return Clause(
        f"{task}{k}{where}",
        lambda found: [p for p in found.get((task, k), ()) if p <= limit],
        optional,
    )


def before(task: str, k: int, other: int) -> Clause:
    """Return the clause that a sub-task is found for column k before column `other`."""

    def find(found: SubtaskPositions) -> list[int]:
        own, others = (found.get((task, column), ()) for column in (k, other))
        return [min(own)] if own and others and min(own) < min(others) else []

    return Clause(f"{task}{k} before {task}{other}", find)


def at_least(count: int, task: str, ks: Iterable[int]) -> Clause:
    """Return the clause that a sub-task is found for `count` or more of the columns."""
    ks = list(ks)

    def find(found: SubtaskPositions) -> list[int]:
        positions = [min(found[task, k]) for k in ks if found.get((task, k))]
        return positions if len(positions) >= count else []

    return Clause(f"{task} of {count} or more of {len(ks)} columns", find)


def _algorithm(
    name: str, operation: str, layers: tuple[int, int | None]
) -> Callable[[Callable[[Layout], Iterator[Clause]]], None]:
    def register(clauses: Callable[[Layout], Iterator[Clause]]) -> None:
        ALGORITHMS.add(name)(Algorithm(frozenset([operation]), *layers, clauses))

    return register


def _digits(task: str, layout: Layout) -> Iterator[Clause]:
    """Yield the clauses that each digit is computed before its answer token."""
    for k in range(layout.digits):
        yield exists(task, k, layout, last=f"A{k + 1}")


@_algorithm("addition of one layer", "addition", (1, 1))
def _addition_of_one_layer(layout: Layout) -> Iterator[Clause]:
    yield from _digits("SA", layout)
    for k in range(layout.digits - 1):
        yield exists("SC", k, layout)
    for k in range(1, layout.digits - 1):
        yield exists("SS", k, layout)


@_algorithm("addition", "addition", (2, None))
def _addition(layout: Layout) -> Iterator[Clause]:
    sign = f"A{layout.digits + 1}"
    yield from _digits("SA", layout)
    for k in range(2, layout.digits):
        yield exists("ST", k, layout, last=sign)
    yield at_least(1, "SV", range(1, layout.digits))
    for k in range(layout.digits - 1):
        yield exists("SC", k, layout, optional=True)


@_algorithm("subtraction of one layer", "subtraction", (1, 1))
def _subtraction_of_one_layer(layout: Layout) -> Iterator[Clause]:
    yield from _digits("MD", layout)
    for k in range(layout.digits - 1):
        yield exists("MB", k, layout)


@_algorithm("subtraction", "subtraction", (2, None))
def _subtraction(layout: Layout) -> Iterator[Clause]:
    yield from _digits("MD", layout)
    for k in range(layout.digits - 1):
        yield exists("MT", k, layout, last=f"A{layout.digits + 1}")
    for k in range(layout.digits - 2, 0, -1):
        yield before("MT", k, k - 1)
    for k in range(layout.digits - 1):
        yield exists("MB", k, layout, optional=True)


@_algorithm("negative answers", "subtraction", (2, None))
def _negative_answers(layout: Layout) -> Iterator[Clause]:
    yield from _digits("ND", layout)
    for k in range(layout.digits):
        yield exists("GT", k, layout, last=f"A{layout.digits + 1}")
    for k in range(layout.digits - 1):
        yield exists("NB", k, layout, optional=True)


def evaluate(
    operations: Iterable[str], layers: int, digits: int, found: SubtaskPositions
) -> Iterator[dict[str, Any]]:
    """Evaluate all claims about a model, given the sub-tasks found in it.

    Yields a row of COLUMNS for each clause.
    """
    layout, operations = Layout(digits), list(operations)
    for name, algorithm in ALGORITHMS.items():
        if algorithm.applies_to(operations, layers):
            for clause in algorithm.clauses(layout):
                positions = sorted(clause.find(found))
                yield {
                    "algorithm": name,
                    "clause": clause.text,
                    "optional": clause.optional,
                    "holds": bool(positions),
                    "positions": " ".join(f"P{p}" for p in positions),
                }
