"""Sub-tasks of addition and subtraction: what may be told, where, and by whom.

B: pairs of questions, n: digits, k: column (0: units), T, A: tokens of `Layout`.

Source: Quirke, Neo, Barez 2024; their published code for where a sub-task is looked
for.  How it is told from others is in `exchanges`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mathprobe.arith import interventions
from mathprobe.arith.interventions import OPERATION, Pairs
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Generator

SUBTASKS: Registry[SubTask] = Registry("sub-task")
Draw = Callable[["Generator", int, Any, int], Pairs]  # of n, k (or None) and B


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


_early = partial(
    SubTask, first="OPR", last="A{sign}", attends=("D{k}", "D'{k}"), paired=True
)
_late = partial(
    SubTask, first="A{n}", last="A1", attends=("D{k}", "D'{k}"), paired=True
)
_above = partial(_late, impact="A{above}", highest=-1)
_of_all = partial(SubTask, last="A1", lowest=None, whole=False)

for _task in (
    _late("SA", "S", interventions.base("S"), impact="A{k}"),
    _above("SC", "S", interventions.carry("S")),
    _above("SS", "S", interventions.handing_on, lowest=1),
    _early("ST", "S", interventions.tri_state("S"), whole=False),
    _early("SV", "S", interventions.resolved, attends=(), paired=False, lowest=1),
    _late("MD", "M", interventions.base("M"), impact="A{k}"),
    _above("MB", "M", interventions.carry("M")),
    # The top column of D >= D' hands nothing on: its state matters to the sign (GT).
    _early("MT", "M", interventions.tri_state("M"), highest=-1, whole=False),
    _late("ND", "N", interventions.base("N"), impact="A{k}"),
    _above("NB", "N", interventions.carry("N")),
    _early("GT", "MN", interventions.greater, impact="A{sign}"),
    _of_all("OPR", "SM", interventions.operator, first="OPR", attends=("OPR",)),
    _of_all("SGN", "MN", interventions.sign, first="A{n}", attends=("A{sign}",)),
):
    SUBTASKS.add(_task.name)(_task)
