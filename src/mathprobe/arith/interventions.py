"""Interchange interventions for the sub-tasks: base and source questions.

B: pairs, n: digits, k: column (0: units), T, A: tokens of `Layout`.

A pair has a base and a source question.  A node's activation from the source is patched
into the base.  If the node encodes the sub-task, the base answer changes as predicted.
Base and source also differ in other variables, such as the carry into the column.  A
node that encodes one of these, or the whole answer, therefore fails the test.

Source: Quirke, Neo, Barez 2024 for the sub-tasks.  Their published code has other
pairs and rules: see `published_rules`, and `arith_errata.yaml` for the differences.
SR, MR, NR, SU, MU and NU are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mathprobe.arith.columns import (
    column_index,
    digits_with_states,
    random_integers,
    random_states,
    with_carry_in,
    with_state,
)
from mathprobe.arith.questions import (
    GENERATE,
    KILL,
    OPERATIONS,
    PROPAGATE,
    Addition,
    Subtraction,
    carry_out,
    encode_questions,
)
from mathprobe.arith.tokens import MINUS, PLUS, Layout
from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Function of (rng, n, k, number of pairs); k is None for OPR and SGN.
PairSampler = Callable[["Generator", int, Any, int], "QuestionPairs"]
CLASS_OPERATION = {"S": "addition", "M": "subtraction", "N": "subtraction"}
SIGN = 0  # index of the sign in an answer

# Rows of base state, source state, carry into the base column, case.  All interventions
# change the carry out of the column.  A node that encodes only whether a column
# generates a carry fails case 2.  A node that encodes only whether a column kills a
# carry fails case 1.
TRI_STATES = (
    *((KILL, GENERATE, 0, 0), (GENERATE, KILL, 0, 0)),
    *((PROPAGATE, GENERATE, 0, 1), (GENERATE, PROPAGATE, 0, 1)),
    *((KILL, GENERATE, 1, 0), (GENERATE, KILL, 1, 0)),
    *((PROPAGATE, KILL, 1, 2), (KILL, PROPAGATE, 1, 2)),
)
UNITS_ROWS = 4  # first rows, for the units column, which has no carry-in
OVERSAMPLING = 4  # operands drawn per operands needed, in rejection sampling


class QuestionPairs(NamedTuple):
    """Base and source questions with answers, and the predicted answers."""

    base: Tensor  # ids [B, T]
    source: Tensor  # ids [B, T]
    predicted: Tensor  # answer to the base after the intervention [B, A]
    mask: Tensor  # answer tokens that are predicted, bool [A]
    case: Tensor  # kind of pair, from 0 [B]; a node must succeed in every case


class Operands(NamedTuple):
    """Operands [B, n] of questions with class letter S, M or N.

    For M and N, `first` is the larger operand; `encode` swaps them for N.
    """

    letter: str
    first: Tensor
    second: Tensor

    @property
    def state(self) -> Tensor:
        """Return the carry states of the columns [B, n]."""
        return OPERATIONS[CLASS_OPERATION[self.letter]].state(self.first, self.second)

    def encode(self) -> Tensor:
        """Return the token ids [B, T] of the questions with their answers."""
        numbers = self.first, self.second
        if self.letter == "N":
            numbers = numbers[::-1]
        return encode_questions(CLASS_OPERATION[self.letter], *numbers)

    def answer(self, state: Tensor) -> Tensor:
        """Return the answers [B, A] computed with given carry states [B, n]."""
        if self.letter == "S":
            return Addition.answer_from_states(self.first, self.second, state)
        sign = torch.full_like(self.first[:, :1], PLUS if self.letter == "M" else MINUS)
        return Subtraction.answer_from_states(self.first, self.second, state, sign)


def _states(rng: Generator, letter: str, count: int, n: int) -> Tensor:
    """Draw carry states [B, n]; for M and N, the first operand is the larger one."""
    state = random_states(rng, CLASS_OPERATION[letter], count, n)
    return state if letter == "S" else with_state(state, n - 1, KILL)


def _two_states(rng: Generator, letter: str, count: int, n: int) -> list[Tensor]:
    return [_states(rng, letter, count, n) for _ in range(2)]


def _operands(rng: Generator, letter: str, state: Tensor) -> Operands:
    return Operands(letter, *digits_with_states(rng, CLASS_OPERATION[letter], state))


def _cycle(count: int, cases: int) -> Tensor:
    """Return 0, 1, ..., cases - 1, 0, 1, ... [B]."""
    return torch.arange(count) % cases


def _whole_answer(
    base: Operands, source: Operands, predicted: Tensor, case: Tensor
) -> QuestionPairs:
    """Return pairs that predict every answer token."""
    mask = torch.ones(predicted.shape[1], dtype=torch.bool)
    return QuestionPairs(base.encode(), source.encode(), predicted, mask, case)


def _one_digit(base: Operands, state: Tensor, k: int) -> Tensor:
    """Return base answers [B, A] whose digit A_k is computed with other states [B, n].

    Only A_k changes: a node at an answer position affects only the next token.
    """
    predicted, changed = base.answer(base.state), base.answer(state)
    predicted[:, column_index(k)] = changed[:, column_index(k)]
    return predicted


def digit(letter: str) -> PairSampler:
    """Return a sampler of pairs that change the digit of a column: SA, MD and ND."""

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        """Column k kills carries; base and source have opposite carries into it."""
        case, at = _cycle(count, 2), column_index(k)
        base_state, source_state = (
            with_state(_states(rng, letter, count, n), k, KILL) for _ in range(2)
        )
        base_state = with_carry_in(rng, base_state, k, case == 1)
        base = _operands(rng, letter, base_state)
        source_state = with_carry_in(rng, source_state, k, case == 0)
        source = _operands(rng, letter, source_state)
        changed = _other_digits(rng, base, k)
        source.first[:, at], source.second[:, at] = changed
        mixed = Operands(letter, base.first.clone(), base.second.clone())
        mixed.first[:, at], mixed.second[:, at] = changed
        return _whole_answer(base, source, mixed.answer(mixed.state), case)

    return sampler


def _other_digits(rng: Generator, base: Operands, k: int) -> tuple[Tensor, Tensor]:
    """Draw two digits [B] for column k with another result, and without a carry."""
    one, two = base.first[:, column_index(k)], base.second[:, column_index(k)]
    count, share = len(one), torch.rand(len(one), generator=rng)
    shift = random_integers(rng, 1, 8, count)
    if base.letter == "S":  # sums are 0 .. 8
        value = (one + two + shift) % 9
        first = (share * (value + 1)).long()
        return first, value - first
    value = (one - two - 1 + shift) % 9 + 1  # differences are 1 .. 9
    second = (share * (10 - value)).long()
    return second + value, second


def carry(letter: str) -> PairSampler:
    """Return a sampler of pairs that change whether a column carries: SC, MB, NB."""

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        case = _cycle(count, 2)
        base_value, source_value = (
            torch.where(case == c, GENERATE, KILL) for c in (1, 0)
        )
        base_state = with_state(_states(rng, letter, count, n), k, base_value)
        base = _operands(rng, letter, base_state)
        source_state = with_state(_states(rng, letter, count, n), k, source_value)
        source = _operands(rng, letter, source_state)
        predicted = _one_digit(base, with_state(base.state, k, source_value), k + 1)
        return _whole_answer(base, source, predicted, case)

    return sampler


def used_carry(letter: str) -> PairSampler:
    """Return a sampler of pairs that change the carry into a digit: SU, MU and NU.

    The cases are those of `cascade`.  Only A_(k+1) changes.
    """

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        index = _cycle(count, 8)
        carries, base_here, source_here = index % 2 == 1, index // 2 % 2, index // 4
        base, source = (
            _operands(rng, letter, _states_carrying(rng, letter, n, k, *wanted))
            for wanted in ((carries, base_here == 1), (~carries, source_here == 1))
        )
        changed = with_state(base.state, k, torch.where(carries, KILL, GENERATE))
        return _whole_answer(base, source, _one_digit(base, changed, k + 1), index // 2)

    return sampler


def result(letter: str) -> PairSampler:
    """Return a sampler of pairs that change an answer digit: SR, MR and NR.

    Base and source have opposite carries into column k, so a node that encodes only
    the digits of the column, or only the carry, fails.
    """

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        case, at = _cycle(OVERSAMPLING * count, 2), column_index(k)
        base, source = (
            _operands(rng, letter, with_carry_in(rng, state, k, case == carry))
            for carry, state in enumerate(_two_states(rng, letter, len(case), n))
        )
        predicted = base.answer(base.state)
        digit = source.answer(source.state)[:, at]
        differ = (predicted[:, at] != digit).nonzero()[:count, 0]  # nine of ten
        predicted[:, at] = digit
        base, source = (
            Operands(letter, one.first[differ], one.second[differ])
            for one in (base, source)
        )
        return _whole_answer(base, source, predicted[differ], case[differ])

    return sampler


def propagation(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
    """Draw pairs that change whether a column propagates or kills a carry: SS."""
    case = _cycle(count, 2)
    base_value, source_value = (torch.where(case == c, PROPAGATE, KILL) for c in (1, 0))
    carry = torch.ones(count, dtype=torch.bool)
    base_state, source_state = _two_states(rng, "S", count, n)
    base_state = with_carry_in(rng, with_state(base_state, k, base_value), k, carry)
    base = _operands(rng, "S", base_state)
    source_state = with_carry_in(
        rng, with_state(source_state, k, source_value), k, ~carry
    )
    source = _operands(rng, "S", source_state)
    predicted = _one_digit(base, with_state(base.state, k, source_value), k + 1)
    return _whole_answer(base, source, predicted, case)


def tri_state(letter: str) -> PairSampler:
    """Return a sampler of pairs that change a column's carry state: ST and MT."""

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        """Higher base columns propagate.

        For ST, the top carry of the source is the opposite of the predicted one.
        """
        rows = torch.tensor(TRI_STATES[: UNITS_ROWS if k == 0 else None])
        base_value, source_value, carry_in, case = rows[
            _cycle(count, len(rows))
        ].unbind(1)
        state, source_state = _two_states(rng, letter, count, n)
        state[:, n - _free(letter, n) : column_index(k) + n] = PROPAGATE
        state = with_carry_in(rng, with_state(state, k, base_value), k, carry_in == 1)
        source_state = with_state(source_state, k, source_value)
        source_state = with_carry_in(rng, source_state, k, carry_in == 0)
        patched = with_state(state, k, source_value)
        if letter == "S" and k < n - 1:
            carries = carry_out(patched)[:, 0]
            opposite = torch.where(carries, KILL, GENERATE)
            source_state = with_state(source_state, n - 1, opposite)
        base = _operands(rng, letter, state)
        source = _operands(rng, letter, source_state)
        return _whole_answer(base, source, base.answer(patched), case)

    return sampler


def cascade(letter: str) -> PairSampler:
    """Return a sampler of pairs that change the carry out of a column: SV, MV and NV.

    In the base and in the source, the carry starts in this column or in a lower one:
    four cases.  Higher base columns propagate the carry.
    """

    def sampler(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
        index = _cycle(count, 8)
        carries, base_here, source_here = index % 2 == 1, index // 2 % 2, index // 4
        state = _states_carrying(rng, letter, n, k, carries, base_here == 1)
        state[:, n - _free(letter, n) : column_index(k) + n] = PROPAGATE
        source_state = _states_carrying(rng, letter, n, k, ~carries, source_here == 1)
        base = _operands(rng, letter, state)
        source = _operands(rng, letter, source_state)
        changed = with_state(state, k, torch.where(carries, KILL, GENERATE))
        return _whole_answer(base, source, base.answer(changed), index // 2)

    return sampler


def _free(letter: str, n: int) -> int:
    """Return the number of free columns: the top one determines the sign of M and N."""
    return n if letter == "S" else n - 1


def _states_carrying(
    rng: Generator, letter: str, n: int, k: int, carries: Tensor, here: Tensor
) -> Tensor:
    """Draw states [B, n] with a given carry out of column k, bool [B].

    The digits of column k determine it if `here` [B] is true or k is 0, otherwise lower
    columns.
    """
    state = _states(rng, letter, len(carries), n)
    determined = torch.where(carries, GENERATE, KILL)
    if k == 0:
        return with_state(state, k, determined)
    state = with_carry_in(rng, state, k, carries ^ here)
    return with_state(state, k, torch.where(here, determined, PROPAGATE))


def greater(rng: Generator, n: int, k: int, count: int) -> QuestionPairs:
    """Draw pairs that change which operand has the larger digit in a column: GT.

    The higher digits of the base are equal, so this column determines the sign.
    """
    case = _cycle(count, 2)
    base_value = torch.where(case == 1, GENERATE, KILL)
    state, source_state = (
        random_states(rng, "subtraction", count, n) for _ in range(2)
    )
    state[:, : column_index(k) + n] = PROPAGATE
    # Base and source have the same sign, so a node that encodes the sign has no effect.
    source_state = with_state(
        with_state(source_state, n - 1, base_value), k, -base_value
    )
    base, source = (
        encode_questions("subtraction", *digits_with_states(rng, "subtraction", s))
        for s in (with_state(state, k, base_value), source_state)
    )
    predicted = Layout(n).split(base).answer.clone()
    predicted[:, SIGN] = torch.where(base_value == KILL, MINUS, PLUS)
    mask = torch.zeros(predicted.shape[1], dtype=torch.bool)
    mask[SIGN] = True
    return QuestionPairs(base, source, predicted, mask, case)


def operator(rng: Generator, n: int, k: None, count: int) -> QuestionPairs:
    """Draw pairs that change the operator, with positive answers: OPR.

    Sum and difference of the base differ in every column, and no column carries or
    borrows: whether one does is another variable, which other nodes may encode.
    """
    case = _cycle(count, 2)
    second = random_integers(rng, 1, 4, count, n)
    more = (torch.rand(count, n, generator=rng) * (10 - 2 * second)).long()
    plus, minus = _sum_and_difference(Operands("M", second + more, second))
    source_plus, source_minus = _sum_and_difference(_larger_first(rng, n, count))
    is_plus = (case == 0)[:, None]
    base = torch.where(is_plus, plus, minus)
    source = torch.where(is_plus, source_minus, source_plus)
    predicted = Layout(n).split(torch.where(is_plus, minus, plus)).answer
    mask = torch.ones(n + 2, dtype=torch.bool)
    return QuestionPairs(base, source, predicted, mask, case)


def _sum_and_difference(operands: Operands) -> tuple[Tensor, Tensor]:
    """Return the token ids [B, T] of the addition and of the subtraction."""
    return operands._replace(letter="S").encode(), operands.encode()


def sign(rng: Generator, n: int, k: None, count: int) -> QuestionPairs:
    """Draw pairs that change the answer's sign: SGN.

    The predicted digits are computed for the opposite sign, and all of them change.
    """
    case = _cycle(count, 2)
    operands = _operands_where_signs_differ(rng, n, count)
    others = _larger_first(rng, n, count)
    is_positive = (case == 0)[:, None]
    positive, negative = (operands._replace(letter=c).encode() for c in "MN")
    base = torch.where(is_positive, positive, negative)
    positive, negative = (others._replace(letter=c).encode() for c in "MN")
    source = torch.where(is_positive, negative, positive)
    base_sign = Layout(n).split(base).answer[:, :1]
    wrong_sign = _answers_of_both_signs(operands)[1]
    predicted = torch.cat([base_sign, wrong_sign[:, 1:]], dim=1)
    mask = torch.ones(n + 2, dtype=torch.bool)
    return QuestionPairs(base, source, predicted, mask, case)


def _answers_of_both_signs(operands: Operands) -> tuple[Tensor, Tensor]:
    """Return correct answers [B, A], and answers by the rule for the opposite sign."""
    swapped = operands.second, operands.first
    negative = torch.full_like(operands.first[:, :1], MINUS)
    state = Subtraction.state(*swapped)
    wrong = Subtraction.answer_from_states(*swapped, state, negative)
    return operands.answer(operands.state), wrong


def _larger_first(rng: Generator, n: int, count: int) -> Operands:
    """Draw operands with D > D'."""
    return _operands(rng, "M", _states(rng, "M", count, n))


def _operands_where_signs_differ(rng: Generator, n: int, count: int) -> Operands:
    """Draw operands with D > D' whose digits all differ between the signs.

    A node may affect only one digit.  Its effect is visible only if that digit changes.
    """
    first, second = (torch.empty(0, n, dtype=torch.long) for _ in range(2))
    while len(first) < count:
        drawn = _larger_first(rng, n, OVERSAMPLING * count)
        one, other = _answers_of_both_signs(drawn)
        differ = (one != other)[:, -n:].all(1)
        first = torch.cat([first, drawn.first[differ]])[:count]
        second = torch.cat([second, drawn.second[differ]])[:count]
    return Operands("M", first, second)
