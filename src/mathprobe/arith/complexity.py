"""How hard a question is: how far its carries cascade.  n: digits.

    S0 .. S5  additions       0: nothing is carried; 1: no carry goes on further
    M0 .. M4  D - D' >= 0     than the next column; k: one goes on through at least
    N1 .. N4  D - D' < 0      k - 1 columns that sum to 9 (whose digits are equal)

Source: the code published with Quirke, Neo, Barez 2024.  Their table (S0 5 %, S1 21 %,
S2 34 %, S3 28 %, S4 11 %, S5 2 %, for n = 5) counts something else, the columns that
carry: it is the binomial distribution of 5 columns that carry with chance 0.45.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mathprobe.arith.questions import Addition, Subtraction
from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = (
    *("S0", "S1", "S2", "S3", "S4", "S5"),
    *("M0", "M1", "M2", "M3", "M4"),
    *("N1", "N2", "N3", "N4"),
)
# Functions of numbers [.., n] that give places in CLASSES [..].
CLASSIFIERS: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry("operation")


def cascade_lengths(state: Tensor) -> Tensor:
    """Measure the cascades that begin in columns [.., n]; 0 where none begins.

    A cascade is a column that carries and those right above it that hand carries on.
    """
    n = state.shape[-1]
    place = torch.arange(1, n + 1, device=state.device)
    decides = torch.where(state == 0, 0, place).cummax(-1).values
    last_above = torch.cat([torch.zeros_like(decides[..., :1]), decides], -1)[..., :n]
    return torch.where(state > 0, place - last_above, 0)


def class_indices(operation: str, first: Tensor, second: Tensor) -> Tensor:
    """Give the class of questions about numbers [.., n], a place in CLASSES [..]."""
    return CLASSIFIERS[operation](first, second)


@CLASSIFIERS.add("addition")
def _addition(first: Tensor, second: Tensor) -> Tensor:
    longest = cascade_lengths(Addition.state(first, second)).amax(-1)
    return CLASSES.index("S0") + longest.clamp(max=5)


@CLASSIFIERS.add("subtraction")
def _subtraction(first: Tensor, second: Tensor) -> Tensor:
    """Leading zeros end a cascade: none reaches them unless the answer is negative."""
    leads = (first + second).cummax(-1).values == 0
    state = Subtraction.state(first, second).masked_fill(leads, -1)
    longest = cascade_lengths(state).amax(-1).clamp(max=4)
    negative = Subtraction.is_negative(first, second)
    from_m, from_n = CLASSES.index("M0"), CLASSES.index("N1") - 1
    return longest + torch.where(negative, from_n, from_m)
