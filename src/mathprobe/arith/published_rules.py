"""Rules by which the published library finds sub-tasks, to compare with our own rules.

n: digits, k: column (0: units).

Source: the code published with Quirke, Neo, Barez 2024 (`maths_search_*`,
`algo_search`), with the options of the notebook QMAnalyse.  A rule tests useful heads
whose tags begin as required.  It patches one or two heads from a source into a base
question, for one or two fixed pairs of questions, with teacher forcing of the correct
answer.  The answer must be as predicted; for ST and MT it must change, for GT its sign
must change.  OPR and SGN are attention, without a test.  Tags are compared as text, so
that P1 is found in `Attn:P12=50`, and a digit in `Impact:A543` only if it is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mathprobe.arith.questions import OPERATIONS
from mathprobe.arith.tokens import Layout

Operands = tuple[int, int]
Repeat = Callable[[int], int]  # from a digit to the number of n such digits


class Trial(NamedTuple):
    """A source and a base question, and the predicted change of the base's result."""

    source: Operands
    base: Operands
    change: int | None  # None: every change of the answer is accepted


@dataclass(frozen=True)
class Rule:
    """The rule for a sub-task.

    Texts may contain {k}, {below} (k - 1), {above} (k + 1), {n} and {sign} (n + 1).
    """

    operations: tuple[str, ...]  # that a model has learned; trials are of the first
    make_trials: Callable[[Repeat, int], list[Trial]]  # of a `Repeat` and 10^k
    attends: tuple[str, ...] = ("D{k}", "D'{k}")
    impact: str = ""  # the only answer digit that may change; empty: not compared
    tag: str = ""  # beginning of another tag that a head must have
    first: str = "A{n}"  # token of the first position
    last: str = "A0"  # token of the last position
    lowest: int | None = 0  # first column; None: the sub-task belongs to no column
    allow_pairs: bool = False
    allow_weak: bool = False  # if no head is found, accept any value of that digit
    signs_only: bool = False  # compare only the signs of answers

    def columns(self, n: int) -> Sequence[int | None]:
        """Return the columns for which the sub-task is searched."""
        return [None] if self.lowest is None else range(self.lowest, n)

    def positions(self, n: int) -> range:
        """Return the positions that are searched."""
        first, last = (
            Layout(n).position(_fill(name, n, None)) for name in (self.first, self.last)
        )
        return range(first, last + 1)

    def needed_tags(self, n: int, k: int | None) -> list[str]:
        """Return the texts with which some tags of a head must begin."""
        tokens = (_fill(name, n, k) for name in self.attends)
        attended = [f"Attn:P{Layout(n).position(token)}" for token in tokens]
        impact = [f"Impact:{_fill(self.impact, n, k)}"] if self.impact else []
        return [*attended, *impact, self.tag]

    def trials(self, n: int, k: int | None) -> list[Trial]:
        """Return the pairs of questions; none if attention suffices."""
        return self.make_trials(lambda digit: int(str(digit) * n), 10 ** (k or 0))

    def question(self, operands: Operands, n: int) -> str:
        """Return the text of a question, followed by the correct answer."""
        symbol = OPERATIONS[self.operations[0]].symbol
        answer = answer_text(self._result(operands), n)
        return f"{operands[0]:0{n}}{symbol}{operands[1]:0{n}}={answer}"

    def succeeds(
        self, trial: Trial, answer: str, n: int, k: int | None, weak: bool
    ) -> bool:
        """Return whether the answer to a patched base question is as predicted."""
        value = self._result(trial.base)
        correct = answer_text(value, n)
        if trial.change is None:
            return answer != correct
        predicted = answer_text(value + trial.change, n)
        if self.signs_only:
            return answer[0] == predicted[0]
        pairs = enumerate(zip(correct, answer, strict=True))
        changed = "".join(f"A{n + 1 - i}" for i, (old, new) in pairs if old != new)
        return changed == _fill(self.impact, n, k) and (weak or answer == predicted)

    def _result(self, operands: Operands) -> int:
        one, two = operands
        return one + two if self.operations[0] == "addition" else one - two


def _fill(text: str, n: int, k: int | None) -> str:
    near = {} if k is None else {"k": k, "below": k - 1, "above": k + 1}
    return text.format(n=n, sign=n + 1, **near)


def answer_text(number: int, n: int) -> str:
    """Return a number as an answer: a sign and n + 1 digits."""
    return f"{'-' if number < 0 else '+'}{abs(number):0{n + 1}}"


def impact_text(digits: Iterable[str]) -> str:
    """Return answer digits as the library writes them: sorted, unique characters."""
    return "A" + "".join(sorted(set("".join(digits)), reverse=True))


ADD, SUBTRACT = ("addition",), ("subtraction",)
_digit = partial(Rule, impact="A{k}", allow_pairs=True, allow_weak=True)
_above = partial(Rule, impact="A{above}")
_early = partial(Rule, first="OPR", last="A{sign}", allow_pairs=True)
_attention = partial(Rule, make_trials=lambda r, e: [], first="OPR", lowest=None)

# Questions of repeated digits; e is 10^k, and r(3) is 333 for 3 digits.
RULES = {
    "SS": _above(
        ADD,
        lambda r, e: [
            Trial((r(2) + 3 * e, r(4)), (r(3) + e + 3 * e // 10, r(5)), -10 * e)
        ],
        attends=("D{below}", "D'{below}"),
        lowest=1,
    ),
    "SC": _above(ADD, lambda r, e: [Trial((r(2), r(6) + 3 * e), (r(3), r(5)), 10 * e)]),
    "SA": _digit(
        ADD,
        lambda r, e: [
            Trial((r(2), r(1)), (r(5), r(4)), -6 * e),
            Trial((r(2), r(6)), (r(5), r(1)), 2 * e),
        ],
    ),
    "ST": _early(
        ADD,
        lambda r, e: [Trial((r(2), r(7) + 2 * e), (r(3), r(6)), None)],
        tag="Math.Add",
    ),
    "MD": _digit(
        SUBTRACT,
        lambda r, e: [
            Trial((r(3), r(1)), (r(9), r(4)), -3 * e),
            Trial((r(6), r(2)), (r(9), r(3)), -2 * e),
        ],
    ),
    "MB": _above(
        SUBTRACT, lambda r, e: [Trial((r(2), r(1) + 2 * e), (r(7), r(4)), -10 * e)]
    ),
    "MT": _early(
        SUBTRACT,
        lambda r, e: [Trial((r(5), 0), (r(2), r(2) + 2 * e), None)],
        tag="Math.Sub",
    ),
    "OPR": _attention(ADD + SUBTRACT, attends=("OPR",)),
    "SGN": _attention(SUBTRACT, attends=("A{sign}",)),
    "ND": _digit(
        SUBTRACT,
        lambda r, e: [
            Trial((r(3) // 10, r(1)), (r(9) // 10, r(4)), -3 * e),
            Trial((r(6) // 10, r(2)), (r(9) // 10, r(3)), -2 * e),
        ],
    ),
    "NB": _above(
        SUBTRACT,
        lambda r, e: [Trial((r(2) // 10, r(1) + 2 * e), (r(7) // 10, r(4)), -10 * e)],
    ),
    "GT": Rule(
        SUBTRACT,
        lambda r, e: [
            Trial((6 * e, 2 * e + 1), (e, 2 * e + 1), 5 * e),
            Trial((e, 2 * e + 1), (6 * e, 2 * e + 1), -5 * e),
        ],
        first="OPR",
        signs_only=True,
    ),
}
