"""Operations, and questions about random numbers.  N: batches, B: batch, n: digits.

Source: Quirke, Neo, Barez 2024, and the published code where the text is silent.
Numbers are digits [.., n], the most significant first, and are never made integers,
which 19 digits overflow.  A column has a state, the paper's tri-case ST: it carries
(1), stops what comes from below (-1) or hands that on (0, the paper's U).  In a
subtraction it borrows, and the state is the paper's MT with the other sign.
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

OPERATIONS: Registry[type[Operation]] = Registry("operation")
MIXINGS: Registry[Mixing] = Registry("mixing")


def carries_out(state: Tensor) -> Tensor:
    """Tell which columns [.., n] hand a carry on: the paper's SV, or MV for borrows.

    The last column up to here that decides, decides; rank and decision are one key.
    """
    rank = torch.arange(1, state.shape[-1] + 1, device=state.device)
    units_first = state.flip(-1)
    key = torch.where(units_first == 0, 0, 2 * rank + (units_first > 0))
    return (key.cummax(-1).values % 2 == 1).flip(-1)


def _from_below(carry: Tensor) -> Tensor:
    """Give what each column receives when these columns hand a carry on."""
    nothing = torch.zeros_like(carry[..., :1])
    return torch.cat([carry[..., 1:], nothing], dim=-1)


class Operation(ABC):
    """What is asked of two numbers [.., n]."""

    symbol: str

    @staticmethod
    @abstractmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Return the states of columns [.., n]."""

    @classmethod
    @abstractmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Return answers [.., n + 2]: a sign and n + 1 digits."""

    @staticmethod
    @abstractmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Make numbers [N, B, n] harder."""


@OPERATIONS.add("addition")
class Addition(Operation):
    """The sum of two numbers."""

    symbol = "+"

    @staticmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Compare the sum of each column with 9."""
        return (first + second - 9).sign()

    @classmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Add column by column."""
        return cls.told(first, second, cls.state(first, second))

    @staticmethod
    def told(first: Tensor, second: Tensor, state: Tensor) -> Tensor:
        """Add column by column, told the states of columns [.., n]."""
        carry = carries_out(state)
        total = (first + second + _from_below(carry)) % 10
        top = carry[..., :1].to(total.dtype)
        return torch.cat([torch.full_like(top, PLUS), top, total], dim=-1)

    @staticmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Make columns sum to 9: a carry into a run of them goes a long way.

        Which columns of a batch is random, how many is not; one of the two numbers
        changes, the same one in the whole batch.
        """
        batches, cells = len(first), math.prod(first.shape[1:])
        order = torch.rand(batches, cells, generator=rng, device=rng.device).argsort()
        chosen = (order < int(enrichment.nines * cells)).view_as(first)
        is_first = _chance(rng, batches, 0.5)
        return (
            torch.where(chosen & is_first, 9 - second, first),
            torch.where(chosen & ~is_first, 9 - first, second),
        )


@OPERATIONS.add("subtraction")
class Subtraction(Operation):
    """The difference of two numbers, which may be negative."""

    symbol = "-"

    @staticmethod
    def state(first: Tensor, second: Tensor) -> Tensor:
        """Compare the digits of each column."""
        return (second - first).sign()

    @classmethod
    def is_negative(cls, first: Tensor, second: Tensor) -> Tensor:
        """Tell whether the first number is the smaller one [..]."""
        return carries_out(cls.state(first, second))[..., 0]

    @classmethod
    def answer(cls, first: Tensor, second: Tensor) -> Tensor:
        """Take the smaller number from the larger one, column by column."""
        negative = cls.is_negative(first, second)[..., None]
        larger = torch.where(negative, second, first)
        smaller = torch.where(negative, first, second)
        sign = torch.where(negative, MINUS, PLUS)
        return cls.told(larger, smaller, cls.state(larger, smaller), sign)

    @staticmethod
    def told(larger: Tensor, smaller: Tensor, state: Tensor, sign: Tensor) -> Tensor:
        """Subtract column by column, told the states [.., n] and the sign [.., 1]."""
        borrow = _from_below(carries_out(state)).to(larger.dtype)
        difference = (larger - smaller - borrow) % 10
        return torch.cat([sign, torch.zeros_like(sign), difference], dim=-1)

    @staticmethod
    def enrich(
        rng: Generator, first: Tensor, second: Tensor, enrichment: Enrichment
    ) -> tuple[Tensor, Tensor]:
        """Make answers negative more often; in a few batches, make every answer 0."""
        equal = _chance(rng, len(first), enrichment.equal)
        return first, torch.where(equal, first, (second + 1).clamp(max=9))


def _chance(rng: Generator, batches: int, share: float) -> Tensor:
    """Choose a share of the batches [N, 1, 1]."""
    return torch.rand(batches, 1, 1, generator=rng, device=rng.device) < share


@MIXINGS.add("batches")
def batches_of_one(rng: Generator, batches: int, batch: int) -> Tensor:
    """Choose an operation for a batch: where in [0, 1) it falls [N, 1]."""
    return torch.rand(batches, 1, generator=rng, device=rng.device)


@MIXINGS.add("rows")
def rows_of_each(rng: Generator, batches: int, batch: int) -> Tensor:
    """Give every batch rows of each operation, as the GrokFast models have them [B]."""
    return torch.arange(batch, device=rng.device) / batch


def check(settings: Questions) -> None:
    """Refuse settings that no questions can be drawn with."""
    MIXINGS.check(settings.mixing)
    for name in settings.shares:
        OPERATIONS.check(name)
    if not math.isclose(sum(settings.shares.values()), 1.0):
        raise InputError(f"shares: {settings.shares}: together they are not 1")


def encode_questions(operation: str, first: Tensor, second: Tensor) -> Tensor:
    """Write questions about numbers [.., n], with their answers, as ids [.., T]."""
    asked = OPERATIONS[operation]
    answer = asked.answer(first, second)
    layout = Layout(first.shape[-1])
    return layout.join(first, TOKENS[asked.symbol], second, answer)


def single_operation(operation: str, digits: int, enrichment: Enrichment) -> Questions:
    """Ask for one operation only."""
    return Questions(digits, {operation: 1.0}, "batches", enrichment)


def sample(settings: Questions, rng: Generator, batches: int, batch: int) -> Tensor:
    """Draw batches of questions with their answers: ids [N * B, T].

    Operation and enrichment are of a whole batch, so its size is a part of the distribution.
    """
    check(settings)
    shape = 2, batches, batch, settings.digits
    first, second = torch.randint(10, shape, generator=rng, device=rng.device)
    place = MIXINGS[settings.mixing](rng, batches, batch)[..., None]
    ids, *others = (
        encode_questions(
            name, *_enriched(name, settings.enrichment, rng, first, second)
        )
        for name in settings.shares
    )
    begins = list(accumulate(settings.shares.values()))[:-1]
    for begin, other in zip(begins, others, strict=True):
        ids = torch.where(place >= begin, other, ids)
    return ids.flatten(0, 1)


def _enriched(
    name: str, enrichment: Enrichment, rng: Generator, first: Tensor, second: Tensor
) -> tuple[Tensor, ...]:
    """Make the numbers of some batches harder."""
    harder = OPERATIONS[name].enrich(rng, first, second, enrichment)
    chosen = _chance(rng, len(first), enrichment.batches)
    pairs = zip(harder, (first, second), strict=True)
    return tuple(torch.where(chosen, hard, plain) for hard, plain in pairs)
