"""What is claimed of how models calculate: algorithms, as lists of clauses.

n: digits, k: column (0: units).

Source: Quirke, Neo, Barez 2024, and the clauses that their published code tests.  A
clause is about where sub-tasks were found.  Those that are optional say what some
models have and others do without: they count only where they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mathprobe.arith.tokens import Layout
from mathprobe.registry import Registry

ALGORITHMS: Registry[Algorithm] = Registry("algorithm")
COLUMNS = ("algorithm", "clause", "optional", "holds", "positions")
WRONG_PER_MILLION_LIMIT = (
    10.0  # wrong answers in a million: the paper calls that 99.999 %
)

Found = Mapping[
    tuple[str, int | None], Sequence[int]
]  # positions, by sub-task and column


@dataclass(frozen=True)
class Clause:
    """Something that is claimed, and where it is so."""

    says: str
    places: Callable[[Found], list[int]]  # positions; none: it does not hold
    optional: bool = False


@dataclass(frozen=True)
class Algorithm:
    """Claims about models with some number of layers that know some operations."""

    operations: frozenset[str]
    fewest_layers: int
    most_layers: int | None
    clauses: Callable[[Layout], Iterator[Clause]]

    def is_about(self, operations: Iterable[str], layers: int) -> bool:
        """Tell whether it is claimed of a model."""
        most = layers if self.most_layers is None else self.most_layers
        known = self.operations <= set(operations)
        return known and self.fewest_layers <= layers <= most


def exists(
    task: str, k: int, layout: Layout, last: str | None = None, optional: bool = False
) -> Clause:
    """Claim that a sub-task of a column is done, at the token named last or before."""
    limit = layout.length if last is None else layout.position(last)
    where = "" if last is None else f" at {last} or before"
    return Clause(
        f"{task}{k}{where}",
        lambda found: [p for p in found.get((task, k), ()) if p <= limit],
        optional,
    )


def before(task: str, k: int, other: int) -> Clause:
    """Claim that a sub-task is done for a column before it is done for another one."""

    def places(found: Found) -> list[int]:
        first, then = (found.get((task, column), ()) for column in (k, other))
        return [min(first)] if first and then and min(first) < min(then) else []

    return Clause(f"{task}{k} before {task}{other}", places)


def at_least(count: int, task: str, ks: Iterable[int]) -> Clause:
    """Claim that a sub-task is done for so many of these columns."""
    ks = list(ks)

    def places(found: Found) -> list[int]:
        done = [min(found[task, k]) for k in ks if found.get((task, k))]
        return done if len(done) >= count else []

    return Clause(f"{task} of {count} or more of {len(ks)} columns", places)


def _algorithm(
    name: str, operation: str, layers: tuple[int, int | None]
) -> Callable[[Callable[[Layout], Iterator[Clause]]], None]:
    def register(clauses: Callable[[Layout], Iterator[Clause]]) -> None:
        ALGORITHMS.add(name)(Algorithm(frozenset([operation]), *layers, clauses))

    return register


def _digits(task: str, layout: Layout) -> Iterator[Clause]:
    """Claim that the digit of every column is known before its answer token."""
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
    operations: Iterable[str], layers: int, digits: int, found: Found
) -> Iterator[dict[str, Any]]:
    """Hold all that is claimed of a model against what was found: a row per clause."""
    layout, operations = Layout(digits), list(operations)
    for name, algorithm in ALGORITHMS.items():
        if algorithm.is_about(operations, layers):
            for clause in algorithm.clauses(layout):
                places = sorted(clause.places(found))
                yield {
                    "algorithm": name,
                    "clause": clause.says,
                    "optional": clause.optional,
                    "holds": bool(places),
                    "positions": " ".join(f"P{place}" for place in places),
                }
