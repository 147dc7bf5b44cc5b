"""Random columns with given carry states.  B: questions, n: digits, k: column.

Column k has the weight 10^k; k = 0 is the units column.  `questions` defines the carry
states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.arith.questions import GENERATE, KILL, OPERATIONS, PROPAGATE
from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def column_index(k: int) -> int:
    """Return the (negative) index of column k in digits [.., n]."""
    return -1 - k


def random_integers(rng: Generator, low: int, high: int, *shape: int) -> Tensor:
    """Draw uniform integers [*shape] from low to high, both included."""
    return torch.randint(low, high + 1, shape, generator=rng)


def random_states(rng: Generator, operation: str, count: int, n: int) -> Tensor:
    """Draw the carry states [B, n] of uniform random digits."""
    first, second = random_integers(rng, 0, 9, 2, count, n)
    return OPERATIONS[operation].state(first, second)


def digits_with_states(
    rng: Generator, operation: str, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw operands [B, n] whose columns have the carry states [B, n]."""
    pairs = torch.cartesian_prod(*[torch.arange(10, device=state.device)] * 2)
    pair_state = OPERATIONS[operation].state(*pairs.unbind(1))  # [100]
    priority = torch.rand(*state.shape, 100, generator=rng)
    chosen = priority.masked_fill(pair_state != state[..., None], -1.0).argmax(-1)
    first, second = pairs[chosen].unbind(-1)
    return first, second


def with_carry_in(rng: Generator, state: Tensor, k: int, carry: Tensor) -> Tensor:
    """Return states [B, n] in which column k receives the carry `carry`, bool [B].

    A random column below k generates or kills the carry, and the columns between both
    propagate it.  The units column has no carry-in, so k = 0 changes nothing.
    """
    if k == 0:
        return state
    below = torch.arange(k, device=state.device)
    origin = random_integers(rng, 0, k - 1, len(state), 1)
    at_origin = torch.where(carry, GENERATE, KILL)[:, None]
    columns = torch.where(below == origin, at_origin, PROPAGATE)
    lowest = state[:, column_index(k - 1) :].flip(-1)
    columns = torch.where(below < origin, lowest, columns)
    return torch.cat([state[:, : column_index(k - 1)], columns.flip(-1)], dim=-1)


def with_state(state: Tensor, k: int, value: Tensor | int) -> Tensor:
    """Return a copy of states [B, n] with `value` [B], or one state, in column k."""
    changed = state.clone()
    changed[:, column_index(k)] = value
    return changed
