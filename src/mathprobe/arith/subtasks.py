"""Sub-tasks of addition and subtraction: what may be told, where, and by whom.

B: pairs of questions, n: digits, k: column (0: units), T, A: tokens of `Layout`.

Source: Quirke, Neo, Barez 2024; their published code for where a sub-task is looked
for.  How it is told from others is in `exchanges`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mathprobe.arith import exchanges
from mathprobe.arith.exchanges import Pairs
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Generator

SUBTASKS = Registry("sub-task")
OPERATION = {"S": "addition", "M": "subtraction", "N": "subtraction"}  # by class
Draw = Callable[["Generator", int, int, int], Pairs]  # of n, k and B


@dataclass(frozen=True)
class SubTask:
    """What may be told about a column k, and by which nodes.

    Names of tokens may hold {k}, {above} (k + 1), {n} and {sign} (n + 1).
    """

    name: str
    classes: str  # of the questions that need it: S, M, N
    draw: Draw
    first: str  # position, by the name of its token
    last: str
    attends: tuple[str, ...]  # heads: to all of these
    impact: str | None = None  # the answer token that fails without it; None: any
    lowest: int | None = 0  # column; None: it is about no column
    highest: int = 0  # column, below n
    whole: bool = True  # all predicted tokens change; else some of them, and no others
    paired: bool = False  # two heads of a layer may do it together

    @property
    def operations(self) -> set[str]:
        """Name the operations that a model must know."""
        return {OPERATION[letter] for letter in self.classes}

    def columns(self, n: int) -> Sequence[int | None]:
        """List the columns that it is defined for."""
        return [None] if self.lowest is None else range(self.lowest, n + self.highest)

    def positions(self, layout: Layout) -> range:
        """List the positions where it is looked for."""
        first, last = (
            layout.position(_named(name, layout, None))
            for name in (self.first, self.last)
        )
        return range(first, last + 1)

    def sources(self, layout: Layout, k: int | None) -> list[str]:
        """Name the tokens that a head which tells it attends to."""
        return [_named(name, layout, k) for name in self.attends]

    def impacted(self, layout: Layout, k: int | None) -> str | None:
        """Name the answer token that fails where it is not told, if it is one."""
        return self.impact and _named(self.impact, layout, k)

    def pairs(self, rng: Generator, n: int, k: int | None, count: int) -> Pairs:
        """Draw pairs of questions."""
        if k not in self.columns(n):
            raise InputError(
                f"{self.name}: column {k}: with {n} digits columns are "
                f"{', '.join(map(str, self.columns(n)))}"
            )
        return self.draw(rng, n, k, count)


def _named(name: str, layout: Layout, k: int | None) -> str:
    n = layout.digits
    return name.format(k=k, above=None if k is None else k + 1, n=n, sign=n + 1)


def _add(name: str, classes: str, draw: Draw, **data: Any) -> None:
    SUBTASKS.add(name)(SubTask(name, classes, draw, **data))


_COLUMN = {"attends": ("D{k}", "D'{k}"), "paired": True}
_EARLY = {"first": "OPR", "last": "A{sign}", **_COLUMN}
_LATE = {"first": "A{n}", "last": "A1", **_COLUMN}
_SELF = {**_LATE, "impact": "A{k}", "highest": 0}
_ALL = {"lowest": None, "whole": False, "paired": False}
_ABOVE = {**_LATE, "impact": "A{above}", "highest": -1}

_add("SA", "S", exchanges.base("S"), **_SELF)
_add("SC", "S", exchanges.carry("S"), **_ABOVE)
_add("SS", "S", exchanges.handing_on, **_ABOVE | {"lowest": 1})
_add("ST", "S", exchanges.tri_state("S"), **_EARLY, whole=False)
_add(
    *("SV", "S", exchanges.resolved),
    **_EARLY | {"attends": (), "paired": False, "lowest": 1},
)
_add("MD", "M", exchanges.base("M"), **_SELF)
_add("MB", "M", exchanges.carry("M"), **_ABOVE)
# The top column of D >= D' hands nothing on: its state matters to the sign only (GT).
_add("MT", "M", exchanges.tri_state("M"), **_EARLY, highest=-1, whole=False)
_add("ND", "N", exchanges.base("N"), **_SELF)
_add("NB", "N", exchanges.carry("N"), **_ABOVE)
_add("GT", "MN", exchanges.greater, **_EARLY, impact="A{sign}")
_add(
    *("OPR", "SM", exchanges.operator),
    **_EARLY | {"last": "A1", "attends": ("OPR",), **_ALL},
)
_add(
    *("SGN", "MN", exchanges.sign),
    **_LATE | {"attends": ("A{sign}",), **_ALL},
)
