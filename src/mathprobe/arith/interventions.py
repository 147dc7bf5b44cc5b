"""Pairs of questions that show whether a node tells a sub-task, and nothing else.

B: pairs, n: digits, k: column (0: units), T, A: tokens of `Layout`.

A pair is a clean question and another one.  A node that is given, while the clean one
is answered, what it says at the other one changes the answer to what is predicted, if
what it tells is the sub-task's.  What else it might tell differs too: a node that tells
the carry into a column, or the whole answer, is not taken for one that tells a digit.

Source: Quirke, Neo, Barez 2024 for what the sub-tasks are.  Their published code tries
one pair of repeated digits each.  It takes any change of the answer for ST and MT,
where a state of three values is asked for here; it exchanges the column below for SS;
it expects of ND's highest column what cannot be; it exchanges nothing for OPR and SGN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.arith import columns
from mathprobe.arith.columns import GENERATE, KILL, PROPAGATE, at, bring, put, whole
from mathprobe.arith.questions import (
    OPERATIONS,
    Addition,
    Subtraction,
    carries_out,
    encode_questions,
)
from mathprobe.arith.tokens import MINUS, PLUS, Layout
from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

Draw = Callable[["Generator", int, int, int], "Pairs"]
OPERATION = {"S": "addition", "M": "subtraction", "N": "subtraction"}  # by class
SIGN = 0  # the place of the sign in an answer

# Clean state, the other's, what is carried to the clean column, kind of pair: the
# exchange changes what the column hands on.  A node that tells only whether a column
# carries fails the last kind, one that tells whether it stops the second.
TRI_STATES = (
    *((KILL, GENERATE, 0, 0), (GENERATE, KILL, 0, 0)),
    *((PROPAGATE, GENERATE, 0, 1), (GENERATE, PROPAGATE, 0, 1)),
    *((KILL, GENERATE, 1, 0), (GENERATE, KILL, 1, 0)),
    *((PROPAGATE, KILL, 1, 2), (KILL, PROPAGATE, 1, 2)),
)
UNITS = 4  # nothing is carried to the units: the first of these pairs
SPARE = 4  # times as many numbers are drawn as are wanted, where not all are taken


class Pairs(NamedTuple):
    """Pairs of questions with answers, and what the clean answer becomes."""

    clean: Tensor  # ids [B, T]
    other: Tensor  # ids [B, T]
    predicted: Tensor  # [B, A]
    claimed: Tensor  # [A]: tokens of which something is predicted
    case: Tensor  # [B], from 0: kinds of pairs, each of which must succeed


class Numbers(NamedTuple):
    """Two numbers [B, n] of a question of a class; of M and N the larger one first."""

    letter: str
    first: Tensor
    second: Tensor

    @property
    def state(self) -> Tensor:
        """Give the states of the columns [B, n]."""
        return OPERATIONS[OPERATION[self.letter]].state(self.first, self.second)

    def ask(self) -> Tensor:
        """Write the question with its answer [B, T]."""
        if self.letter == "S":
            return encode_questions("addition", self.first, self.second)
        numbers = self.first, self.second
        return encode_questions(
            "subtraction", *(numbers if self.letter == "M" else numbers[::-1])
        )

    def told(self, state: Tensor) -> Tensor:
        """Answer [B, A] as if the columns had these states [B, n]."""
        if self.letter == "S":
            return Addition.told(self.first, self.second, state)
        sign = torch.full_like(self.first[:, :1], PLUS if self.letter == "M" else MINUS)
        return Subtraction.told(self.first, self.second, state, sign)


def _states(rng: Generator, letter: str, count: int, n: int) -> Tensor:
    """Draw states [B, n]; the highest digits of M and N say which number is larger."""
    state = columns.states(rng, OPERATION[letter], count, n)
    return state if letter == "S" else put(state, n - 1, KILL)


def _two_states(rng: Generator, letter: str, count: int, n: int) -> list[Tensor]:
    return [_states(rng, letter, count, n) for _ in range(2)]


def _numbers(rng: Generator, letter: str, state: Tensor) -> Numbers:
    return Numbers(letter, *columns.digits(rng, OPERATION[letter], state))


def _turns(count: int, cases: int) -> Tensor:
    """Take cases in turn [B]."""
    return torch.arange(count) % cases


def _pairs(clean: Numbers, other: Numbers, predicted: Tensor, case: Tensor) -> Pairs:
    """Claim the whole answer."""
    claimed = torch.ones(predicted.shape[1], dtype=torch.bool)
    return Pairs(clean.ask(), other.ask(), predicted, claimed, case)


def _one_token(clean: Numbers, state: Tensor, k: int) -> Tensor:
    """Answer [B, A], told states, at column k only: later nodes serve one token."""
    predicted, told = clean.told(clean.state), clean.told(state)
    predicted[:, at(k)] = told[:, at(k)]
    return predicted


def base(letter: str) -> Draw:
    """Exchange the digit of a column alone: SA, MD and ND."""

    def draw(rng: Generator, n: int, k: int, count: int) -> Pairs:
        """Neither column carries, and opposite carries come to them."""
        case = _turns(count, 2)
        state, others = (put(_states(rng, letter, count, n), k, KILL) for _ in range(2))
        clean = _numbers(rng, letter, bring(rng, state, k, case == 1))
        other = _numbers(rng, letter, bring(rng, others, k, case == 0))
        changed = _another_column(rng, clean, k)
        other.first[:, at(k)], other.second[:, at(k)] = changed
        mixed = Numbers(letter, clean.first.clone(), clean.second.clone())
        mixed.first[:, at(k)], mixed.second[:, at(k)] = changed
        return _pairs(clean, other, mixed.told(mixed.state), case)

    return draw


def _another_column(rng: Generator, clean: Numbers, k: int) -> tuple[Tensor, Tensor]:
    """Draw a column [B] that does not carry and has another digit of its own."""
    one, two = clean.first[:, at(k)], clean.second[:, at(k)]
    count, share = len(one), torch.rand(len(one), generator=rng, device=rng.device)
    shift = whole(rng, 1, 8, count)
    if clean.letter == "S":  # sums are 0 .. 8
        value = (one + two + shift) % 9
        first = (share * (value + 1)).long()
        return first, value - first
    value = (one - two - 1 + shift) % 9 + 1  # differences are 1 .. 9
    second = (share * (10 - value)).long()
    return second + value, second


def carry(letter: str) -> Draw:
    """Exchange a column that carries and one that does not: SC, MB and NB."""

    def draw(rng: Generator, n: int, k: int, count: int) -> Pairs:
        case = _turns(count, 2)
        here, there = (torch.where(case == c, GENERATE, KILL) for c in (1, 0))
        clean = _numbers(rng, letter, put(_states(rng, letter, count, n), k, here))
        other = _numbers(rng, letter, put(_states(rng, letter, count, n), k, there))
        predicted = _one_token(clean, put(clean.state, k, there), k + 1)
        return _pairs(clean, other, predicted, case)

    return draw


def handing_on(rng: Generator, n: int, k: int, count: int) -> Pairs:
    """Exchange a column that hands a carry on and one that stops it: SS."""
    case = _turns(count, 2)
    here, there = (torch.where(case == c, PROPAGATE, KILL) for c in (1, 0))
    comes = torch.ones(count, dtype=torch.bool)
    state, others = _two_states(rng, "S", count, n)
    clean = _numbers(rng, "S", bring(rng, put(state, k, here), k, comes))
    other = _numbers(rng, "S", bring(rng, put(others, k, there), k, ~comes))
    predicted = _one_token(clean, put(clean.state, k, there), k + 1)
    return _pairs(clean, other, predicted, case)


def tri_state(letter: str) -> Draw:
    """Exchange the three states of a column: ST and MT."""

    def draw(rng: Generator, n: int, k: int, count: int) -> Pairs:
        """All columns above hand on; the other's own carry would say the opposite."""
        rows = torch.tensor(TRI_STATES[: UNITS if k == 0 else None])
        here, there, comes, case = rows[_turns(count, len(rows))].unbind(1)
        state, others = _two_states(rng, letter, count, n)
        free = n if letter == "S" else n - 1  # the top column of M decides the sign
        state[:, n - free : at(k) + n] = PROPAGATE
        clean = bring(rng, put(state, k, here), k, comes == 1)
        other = bring(rng, put(others, k, there), k, comes == 0)
        told = put(clean, k, there)
        if letter == "S" and k < n - 1:
            changed = carries_out(told)[:, 0]
            other = put(other, n - 1, torch.where(changed, KILL, GENERATE))
        numbers = _numbers(rng, letter, clean)
        return _pairs(numbers, _numbers(rng, letter, other), numbers.told(told), case)

    return draw


def resolved(rng: Generator, n: int, k: int, count: int) -> Pairs:
    """Exchange the carry that leaves a column, wherever it was decided: SV."""
    turn = _turns(count, 8)
    carries, clean_here, other_here = turn % 2 == 1, turn // 2 % 2, turn // 4
    state = _resolving(rng, n, k, carries, clean_here == 1)
    other = _resolving(rng, n, k, ~carries, other_here == 1)
    if k < n - 1:
        decided = whole(rng, 0, 1, count) * 2 - 1
        state = put(state, k + 1, decided)
    clean = _numbers(rng, "S", state)
    told = clean.told(put(state, k, torch.where(carries, KILL, GENERATE)))
    return _pairs(clean, _numbers(rng, "S", other), told, turn // 2)


def _resolving(rng: Generator, n: int, k: int, carries: Tensor, here: Tensor) -> Tensor:
    """Draw states [B, n] of which column k hands a carry on, decided here or below."""
    state = _states(rng, "S", len(carries), n)
    decided = torch.where(carries, GENERATE, KILL)
    state = bring(rng, state, k, carries ^ here)
    return put(state, k, torch.where(here, decided, PROPAGATE))


def greater(rng: Generator, n: int, k: int, count: int) -> Pairs:
    """Exchange which number has the larger digit where all higher ones agree: GT."""
    case = _turns(count, 2)
    here = torch.where(case == 1, GENERATE, KILL)
    state, other = (columns.states(rng, "subtraction", count, n) for _ in range(2))
    state[:, : at(k) + n] = PROPAGATE
    # The other's sign is the clean one's: a node that tells it changes nothing.
    other = put(put(other, n - 1, here), k, -here)
    clean, there = (
        encode_questions("subtraction", *columns.digits(rng, "subtraction", s))
        for s in (put(state, k, here), other)
    )
    predicted = Layout(n).split(clean).answer.clone()
    predicted[:, SIGN] = torch.where(here == KILL, MINUS, PLUS)
    claimed = torch.zeros(predicted.shape[1], dtype=torch.bool)
    claimed[SIGN] = True
    return Pairs(clean, there, predicted, claimed, case)


def operator(rng: Generator, n: int, k: None, count: int) -> Pairs:
    """Exchange the operators, where both answers are positive: OPR.

    Sum and difference differ in all columns.  The digit above them is a carry, which
    a node that tells it alone would know without the operator.
    """
    case = _turns(count, 2)
    plus, minus = _sum_and_difference(_apart(rng, n, count, _sum_and_difference))
    other_plus, other_minus = _sum_and_difference(_larger_first(rng, n, count))
    is_plus = (case == 0)[:, None]
    clean = torch.where(is_plus, plus, minus)
    other = torch.where(is_plus, other_minus, other_plus)
    asked = Layout(n).split(torch.where(is_plus, minus, plus))
    claimed = torch.ones(n + 2, dtype=torch.bool)
    return Pairs(clean, other, asked.answer, claimed, case)


def _sum_and_difference(numbers: Numbers) -> tuple[Tensor, Tensor]:
    """Ask for both, with answers [B, T]."""
    return numbers._replace(letter="S").ask(), numbers.ask()


def sign(rng: Generator, n: int, k: None, count: int) -> Pairs:
    """Exchange the signs: digits are as if the other number were larger: SGN.

    That changes the digits of all columns.
    """
    case = _turns(count, 2)
    numbers = _apart(rng, n, count, _both_signs)
    others = _larger_first(rng, n, count)
    is_positive = (case == 0)[:, None]
    clean = torch.where(is_positive, numbers.ask(), numbers._replace(letter="N").ask())
    other = torch.where(is_positive, others._replace(letter="N").ask(), others.ask())
    told = Layout(n).split(clean).answer[:, :1]
    predicted = torch.cat([told, _both_signs(numbers)[1][:, 1:]], dim=1)
    claimed = torch.ones(n + 2, dtype=torch.bool)
    return Pairs(clean, other, predicted, claimed, case)


def _both_signs(numbers: Numbers) -> tuple[Tensor, Tensor]:
    """Answer [B, A] as it is right, and as if the other number were larger."""
    swapped = numbers.second, numbers.first
    negative = torch.full_like(numbers.first[:, :1], MINUS)
    told = Subtraction.told(*swapped, Subtraction.state(*swapped), negative)
    return numbers.told(numbers.state), told


def _larger_first(rng: Generator, n: int, count: int) -> Numbers:
    """Draw numbers, D > D'."""
    return _numbers(rng, "M", _states(rng, "M", count, n))


def _apart(
    rng: Generator, n: int, count: int, tell: Callable[[Numbers], tuple[Tensor, Tensor]]
) -> Numbers:
    """Draw numbers, D > D', of which both things that are told differ in all columns.

    Columns stand last in those.  A node may serve one digit alone; where that is the
    same, it would not show.
    """
    first, second = (torch.empty(0, n, dtype=torch.long) for _ in range(2))
    while len(first) < count:
        drawn = _larger_first(rng, n, SPARE * count)
        one, other = tell(drawn)
        apart = (one != other)[:, -n:].all(1)
        first = torch.cat([first, drawn.first[apart]])[:count]
        second = torch.cat([second, drawn.second[apart]])[:count]
    return Numbers("M", first, second)
