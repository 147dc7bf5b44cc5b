"""Complexity classes: how far the carries of a question cascade.  n: digits.

    S0 .. S5  addition           0: no column carries
    M0 .. M4  D - D' >= 0        1: no carry goes beyond the next column
    N1 .. N4  D - D' < 0         k: the longest cascade crosses k - 1 columns that
                                    propagate it (sum of 9, or equal digits)

The highest class of each letter also contains all longer cascades.

Source: the code published with Quirke, Neo, Barez 2024.  The frequencies in their table
(S0 5 %, S1 21 %, S2 34 %, S3 28 %, S4 11 %, S5 2 %, for n = 5) describe another
quantity: the number of columns that carry.  It is binomial, with 5 trials and
probability 0.45.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mathprobe.arith.questions import KILL, Addition, Subtraction
from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = (
    *("S0", "S1", "S2", "S3", "S4", "S5"),
    *("M0", "M1", "M2", "M3", "M4"),
    *("N1", "N2", "N3", "N4"),
)
# Functions of two operands [.., n] that return indices into CLASSES [..].
CLASSIFIERS: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry("operation")


def cascade_lengths(state: Tensor) -> Tensor:
    """Return the length of the cascade that starts in each column [.., n].

    A cascade is a column that generates a carry, and the columns directly above it that
    propagate the carry.  The length is 0 if the column generates no carry.
    """
    n = state.shape[-1]
    place = torch.arange(1, n + 1, device=state.device)
    ends = torch.where(state == 0, 0, place).cummax(-1).values
    end_above = torch.cat([torch.zeros_like(ends[..., :1]), ends], -1)[..., :n]
    return torch.where(state > 0, place - end_above, 0)


def class_indices(operation: str, first: Tensor, second: Tensor) -> Tensor:
    """Return the complexity classes of questions as indices into CLASSES [..].

    The operands are digits [.., n].
    """
    return CLASSIFIERS[operation](first, second)


@CLASSIFIERS.add("addition")
def _addition(first: Tensor, second: Tensor) -> Tensor:
    longest = cascade_lengths(Addition.state(first, second)).amax(-1)
    return CLASSES.index("S0") + longest.clamp(max=5)


@CLASSIFIERS.add("subtraction")
def _subtraction(first: Tensor, second: Tensor) -> Tensor:
    """Classify; leading zeros do not lengthen the cascade of a negative answer."""
    is_leading_zero = (first + second).cummax(-1).values == 0
    state = Subtraction.state(first, second).masked_fill(is_leading_zero, KILL)
    longest = cascade_lengths(state).amax(-1).clamp(max=4)
    negative = Subtraction.is_negative(first, second)
    m_offset, n_offset = CLASSES.index("M0"), CLASSES.index("N1") - 1
    return longest + torch.where(negative, n_offset, m_offset)
