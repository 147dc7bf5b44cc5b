"""Operations, and random questions about them.  N: batches, B: batch, n: digits.

Source: Quirke, Neo, Barez 2024, and the published code for details that the text
omits.  Operands are digit tensors [.., n], most significant digit first.  They are
never converted to integers, because int64 overflows at 19 digits.

Each column of two digits has a carry state, as in a carry-lookahead adder:

     1  GENERATE   it carries, with or without a carry from the column below
     0  PROPAGATE  it carries if the column below carries; the paper's U
    -1  KILL       it never carries

For addition this is the paper's tri-case ST.  For subtraction, carries are borrows, and
the state is the paper's MT with the opposite sign.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING

from mathprobe.arith.tokens import MINUS, PLUS, TOKENS, Layout
from mathprobe.errors import InputError
from mathprobe.lazy import torch
from mathprobe.registry import Registry
from mathprobe.spec import Enrichment, Questions

if TYPE_CHECKING:
    from torch import Generator, Tensor

Mixing = Callable[["Generator", int, int], "Tensor"]

KILL, PROPAGATE, GENERATE = -1, 0, 1  # carry states of a column
OPERATIONS: Registry[type[Operation]] = Registry("operation")
# Functions of (rng, batches, batch) that return numbers in [0, 1), [N, 1] or [B].  The
# cumulative shares of the operations assign an operation to each number.
MIXINGS: Registry[Mixing] = Registry("mixing")


def carry_out(state: Tensor) -> Tensor:
    """Return whether columns with carry states [.., n] carry, bool [.., n].

    This is the paper's SV, or MV for borrows.  The first column downwards that does not
    propagate determines the carry.  It has the largest of the keys, which combine rank
    and carry.
    """
    rank = torch.arange(1, state.shape[-1] + 1, device=state.device)
    units_first = state.flip(-1)
    key = torch.where(units_first == 0, 0, 2 * rank + (units_first > 0))
    return (key.cummax(-1).values % 2 == 1).flip(-1)


def _carry_in(carry: Tensor) -> Tensor:
    """Return the carries into the columns, from the carries out of them [.., n]."""
    zero = torch.zeros_like(carry[..., :1])
    return torch.cat([carry[..., 1:], zero], dim=-1)


class Operation(ABC):
    """An operation on two operands [.., n]."""

    symbol: str

    @staticmethod
    @abstractmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Return the carry states of the columns [.., n]."""

    @classmethod
    @abstractmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Return answers [.., n + 2]: a sign and n + 1 digits."""

    @staticmethod
    @abstractmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Return operands [N, B, n] changed to make the questions harder."""


@OPERATIONS.add("addition")
class Addition(Operation):
    """Sum of two numbers."""

    symbol = "+"

    @staticmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Return the sign of (column sum - 9), [.., n]."""
        return (first + second - 9).sign()

    @classmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Return sums [.., n + 2]: a plus sign and n + 1 digits."""
        return cls.answer_from_states(first, second, cls.state(first, second))

    @staticmethod
    def answer_from_states(first: Tensor, second: Tensor, state: Tensor) -> Tensor:
        """Return the sums [.., n + 2] computed with given carry states [.., n].

        The states may differ from those of the operands, as after an intervention.
        """
        carry = carry_out(state)
        total = (first + second + _carry_in(carry)) % 10
        top = carry[..., :1].to(total.dtype)
        return torch.cat([torch.full_like(top, PLUS), top, total], dim=-1)

    @staticmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Make sums of columns [N, B, n] 9, so that carries cascade further.

        A fixed share of the columns of each batch is chosen at random.  All changed
        digits of a batch belong to the same operand.
        """
        batches, cells = len(first), math.prod(first.shape[1:])
        order = torch.rand(batches, cells, generator=rng).argsort()
        chosen = (order < int(enrichment.nines * cells)).view_as(first)
        is_first = _random_batches(rng, batches, 0.5)
        return (
            torch.where(chosen & is_first, 9 - second, first),
            torch.where(chosen & ~is_first, 9 - first, second),
        )


@OPERATIONS.add("subtraction")
class Subtraction(Operation):
    """Difference of two numbers, which may be negative."""

    symbol = "-"

    @staticmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Return the sign of (second digit - first digit), [.., n]."""
        return (second - first).sign()

    @classmethod
    def is_negative(cls, first: Tensor, second: Tensor) -> Tensor:
        """Return whether the first operand is smaller than the second, bool [..]."""
        return carry_out(cls.state(first, second))[..., 0]

    @classmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Return differences [.., n + 2]: the sign and n + 1 digits."""
        negative = cls.is_negative(first, second)[..., None]
        larger = torch.where(negative, second, first)
        smaller = torch.where(negative, first, second)
        sign = torch.where(negative, MINUS, PLUS)
        return cls.answer_from_states(larger, smaller, cls.state(larger, smaller), sign)

    @staticmethod
    def answer_from_states(
        larger: Tensor, smaller: Tensor, state: Tensor, sign: Tensor
    ) -> Tensor:
        """Return answers [.., n + 2] for given borrow states [.., n] and sign [.., 1].

        The states may differ from those of the operands, as after an intervention.
        """
        borrow = _carry_in(carry_out(state)).to(larger.dtype)
        difference = (larger - smaller - borrow) % 10
        return torch.cat([sign, torch.zeros_like(sign), difference], dim=-1)

    @staticmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Make negative answers more frequent; in a few batches, make all answers 0."""
        equal = _random_batches(rng, len(first), enrichment.equal)
        return first, torch.where(equal, first, (second + 1).clamp(max=9))


def _random_batches(rng: Generator, batches: int, probability: float) -> Tensor:
    """Choose each batch with this probability, bool [N, 1, 1]."""
    return torch.rand(batches, 1, 1, generator=rng) < probability


@MIXINGS.add("batches")
def batches_of_one(rng: Generator, batches: int, batch: int) -> Tensor:
    """Draw one operation per batch: uniform numbers [N, 1]."""
    return torch.rand(batches, 1, generator=rng)


@MIXINGS.add("rows")
def rows_of_each(rng: Generator, batches: int, batch: int) -> Tensor:
    """Return equally spaced values [B], so that each batch has all operations."""
    return torch.arange(batch) / batch


def check(settings: Questions) -> None:
    """Raise InputError for unknown names, or if the shares do not sum to 1."""
    MIXINGS.check(settings.mixing)
    for name in settings.shares:
        OPERATIONS.check(name)
    if not math.isclose(sum(settings.shares.values()), 1.0):
        raise InputError(f"shares: {settings.shares}: the sum is not 1")


def encode_questions(operation: str, first: Tensor, second: Tensor) -> Tensor:
    """Return the token ids [.., T] of questions and answers for operands [.., n]."""
    rules = OPERATIONS[operation]
    answer = rules.answer(first, second)
    layout = Layout(first.shape[-1])
    return layout.join(first, TOKENS[rules.symbol], second, answer)


def single_operation(operation: str, digits: int, enrichment: Enrichment) -> Questions:
    """Return the settings of questions about one operation only."""
    return Questions(digits, {operation: 1.0}, "batches", enrichment)


def sample(settings: Questions, rng: Generator, batches: int, batch: int) -> Tensor:
    """Draw batches of questions with answers: token ids [N * B, T].

    Operation and enrichment are drawn per batch, so the distribution depends on the
    batch size.
    """
    check(settings)
    shape = 2, batches, batch, settings.digits
    first, second = torch.randint(10, shape, generator=rng)
    number = MIXINGS[settings.mixing](rng, batches, batch)[..., None]
    ids, *others = (
        encode_questions(
            name, *_enrich_some(name, settings.enrichment, rng, first, second)
        )
        for name in settings.shares
    )
    bounds = list(accumulate(settings.shares.values()))[:-1]
    for bound, other in zip(bounds, others, strict=True):
        ids = torch.where(number >= bound, other, ids)
    return ids.flatten(0, 1)


def _enrich_some(
    name: str, enrichment: Enrichment, rng: Generator, first: Tensor, second: Tensor
) -> tuple[Tensor, ...]:
    """Enrich a random share of the batches [N, B, n]."""
    enriched = OPERATIONS[name].enrich(rng, first, second, enrichment)
    chosen = _random_batches(rng, len(first), enrichment.batches)
    pairs = zip(enriched, (first, second), strict=True)
    return tuple(torch.where(chosen, new, old) for new, old in pairs)
