"""Random columns of digits of a given kind.  B: questions, n: digits.

The state of a column is that of `questions`: it carries (1), stops what comes from
below (-1) or hands that on (0).  A column is named by its power of ten, k = 0 for the
units, and stands at -1 - k.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.arith.questions import OPERATIONS
from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

KILL, PROPAGATE, GENERATE = -1, 0, 1


def at(k: int) -> int:
    """Give the place of column k in numbers [.., n]."""
    return -1 - k


def whole(rng: Generator, low: int, high: int, *shape: int) -> Tensor:
    """Draw whole numbers from low to high, both included."""
    return torch.randint(low, high + 1, shape, generator=rng, device=rng.device)


def states(rng: Generator, operation: str, count: int, n: int) -> Tensor:
    """Draw the states [B, n] of columns of random digits."""
    first, second = whole(rng, 0, 9, 2, count, n)
    return OPERATIONS[operation].state(first, second)


def digits(rng: Generator, operation: str, state: Tensor) -> tuple[Tensor, Tensor]:
    """Draw digits whose columns have these states: two numbers [B, n]."""
    pairs = torch.cartesian_prod(*[torch.arange(10, device=state.device)] * 2)
    kind = OPERATIONS[operation].state(*pairs.unbind(1))  # [100]
    share = torch.rand(*state.shape, 100, generator=rng, device=rng.device)
    chosen = share.masked_fill(kind != state[..., None], -1.0).argmax(-1)
    first, second = pairs[chosen].unbind(-1)
    return first, second


def bring(rng: Generator, state: Tensor, k: int, carry: Tensor) -> Tensor:
    """Have columns [B, n] below k bring a carry [B] to it, or none: states [B, n].

    A column at random decides, and those between hand it on.  Nothing comes to the
    units.
    """
    if k == 0:
        return state
    below = torch.arange(k, device=state.device)
    decides = whole(rng, 0, k - 1, len(state), 1)
    decided = torch.where(carry, GENERATE, KILL)[:, None]
    columns = torch.where(below == decides, decided, PROPAGATE)
    columns = torch.where(below < decides, state[:, at(k - 1) :].flip(-1), columns)
    return torch.cat([state[:, : at(k - 1)], columns.flip(-1)], dim=-1)


def put(state: Tensor, k: int, value: Tensor | int) -> Tensor:
    """Give column k a state [B], or one for all: states [B, n]."""
    changed = state.clone()
    changed[:, at(k)] = value
    return changed
