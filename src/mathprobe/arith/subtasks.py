"""Sub-tasks of addition and subtraction, and the nodes that may do them.

B: pairs of questions, n: digits, k: column (0: units), T, A: tokens of `Layout`.

Source: Quirke, Neo, Barez 2024; the candidate nodes follow their published code.  The
interventions that test a sub-task are in `interventions`.

These sub-tasks and their names are ours; each concerns one answer digit:

    SR, MR, NR  the digit A_k of the answer, with the carry or borrow into column k
    SU, MU, NU  the carry or borrow from column k that A_(k+1) uses, with all cascades
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from mathprobe.arith import interventions
from mathprobe.arith.interventions import (
    CLASS_OPERATION,
    PairSampler,
    QuestionPairs,
)
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Generator

SUBTASKS: Registry[SubTask] = Registry("sub-task")
CARRIES = "whether the column carries"
BORROWS = "whether the column borrows"
MEANINGS = {  # what a node that does the sub-task determines
    "SA": "sum of the two digits",
    "SC": CARRIES,
    "SS": "whether the digits sum to 9",
    "ST": "whether the column carries, may carry or does not carry",
    "SV": f"{CARRIES}, with carries from lower columns",
    **dict.fromkeys(("MD", "ND"), "difference of the two digits"),
    **dict.fromkeys(("MB", "NB"), BORROWS),
    "MT": "whether the column borrows, may borrow or does not borrow",
    **dict.fromkeys(("MV", "NV"), f"{BORROWS}, with borrows from lower columns"),
    "GT": "which of the two digits is greater",
    "OPR": "operation of the question",
    "SGN": "sign of the answer",
    "SU": "carry that the next answer digit uses, with all cascades",
    **dict.fromkeys(
        ("MU", "NU"), "borrow that the next answer digit uses, with all cascades"
    ),
    "SR": "digit of the answer, with the carry into the column",
    **dict.fromkeys(
        ("MR", "NR"), "digit of the answer, with the borrow into the column"
    ),
}


@dataclass(frozen=True)
class SubTask:
    """A sub-task of each column k, and the conditions that a node must meet.

    Token names may contain {k}, {above} (k + 1), {n} and {sign} (n + 1).
    """

    name: str
    classes: str  # letters of the question classes that need it: S, M, N
    sampler: PairSampler
    first: str  # token at the first position
    last: str  # token at the last position
    attends: tuple[str, ...]  # tokens to which a head must attend
    # Nodes at a position that may do it together: pairs of heads of one layer or of any
    # layers, or the MLPs from some layer up.
    together: Literal["heads of a layer", "heads", "mlps"]
    impact: str | None = None  # answer token that ablation must change; None: any
    lowest: int | None = 0  # first column; None: the sub-task belongs to no column
    highest: int = 0  # last column is n - 1 + highest
    # True: all predicted tokens must match.  False: at least one must change as
    # predicted, and the others must match or stay unchanged.
    match_all: bool = True
    is_published: bool = True  # by Quirke et al.; the others are ours

    @property
    def meaning(self) -> str:
        """Return what a node that does the sub-task determines, as a phrase."""
        return MEANINGS[self.name]

    @property
    def operations(self) -> set[str]:
        """Return the operations that a model must have learned."""
        return {CLASS_OPERATION[letter] for letter in self.classes}

    def columns(self, n: int) -> Sequence[int | None]:
        """Return the columns for which the sub-task is defined."""
        return [None] if self.lowest is None else range(self.lowest, n + self.highest)

    def positions(self, layout: Layout) -> range:
        """Return the positions that are searched."""
        first, last = (
            layout.position(_fill(name, layout, None))
            for name in (self.first, self.last)
        )
        return range(first, last + 1)

    def attended_tokens(self, layout: Layout, k: int | None) -> list[str]:
        """Return the names of the tokens to which a head must attend."""
        return [_fill(name, layout, k) for name in self.attends]

    def impact_token(self, layout: Layout, k: int | None) -> str | None:
        """Return the name of the answer token that ablation must change, if any."""
        return self.impact and _fill(self.impact, layout, k)

    def pairs(self, rng: Generator, n: int, k: int | None, count: int) -> QuestionPairs:
        """Draw `count` pairs of questions.

        Raises InputError if the sub-task is not defined for column k.
        """
        if k not in self.columns(n):
            raise InputError(
                f"{self.name}: unknown column {k}; with {n} digits the columns are "
                f"{', '.join(map(str, self.columns(n)))}"
            )
        return self.sampler(rng, n, k, count)


def _fill(name: str, layout: Layout, k: int | None) -> str:
    n = layout.digits
    return name.format(k=k, above=None if k is None else k + 1, n=n, sign=n + 1)


_column = partial(SubTask, attends=("D{k}", "D'{k}"), together="heads of a layer")
_early = partial(_column, first="OPR", last="A{sign}")
_cascade = partial(_early, attends=(), lowest=1, match_all=False)
_late = partial(_column, first="A{n}", last="A1")
_above = partial(_late, impact="A{above}", highest=-1)
_used = partial(_above, attends=(), together="heads", is_published=False)
_result = partial(
    _late, impact="A{k}", attends=(), together="mlps", lowest=1, is_published=False
)
_of_all = partial(SubTask, last="A1", lowest=None, match_all=False, together="heads")

for _task in (
    _late("SA", "S", interventions.digit("S"), impact="A{k}"),
    _above("SC", "S", interventions.carry("S")),
    _above("SS", "S", interventions.propagation, lowest=1),
    _early("ST", "S", interventions.tri_state("S"), match_all=False),
    _cascade("SV", "S", interventions.cascade("S")),
    _late("MD", "M", interventions.digit("M"), impact="A{k}"),
    _above("MB", "M", interventions.carry("M")),
    # With D >= D', the top column never borrows; its state determines the sign (GT).
    _early("MT", "M", interventions.tri_state("M"), highest=-1, match_all=False),
    _cascade("MV", "M", interventions.cascade("M"), highest=-1),
    _late("ND", "N", interventions.digit("N"), impact="A{k}"),
    _above("NB", "N", interventions.carry("N")),
    _cascade("NV", "N", interventions.cascade("N"), highest=-1),
    _early("GT", "MN", interventions.greater, impact="A{sign}"),
    _of_all("OPR", "SM", interventions.operator, first="OPR", attends=("OPR",)),
    _of_all("SGN", "MN", interventions.sign, first="A{n}", attends=("A{sign}",)),
    *(_used(f"{c}U", c, interventions.used_carry(c)) for c in "SMN"),
    *(_result(f"{c}R", c, interventions.result(c)) for c in "SMN"),
):
    SUBTASKS.add(_task.name)(_task)
