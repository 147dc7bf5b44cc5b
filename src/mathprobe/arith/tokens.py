"""Tokens of arithmetic questions, one per character.  n: digits, T: 3 n + 4 tokens.

    n = 6     133357     +    182243      =    +    0315600
    named     D5 .. D0   OPR  D'5 .. D'0  =    A7   A6 .. A0

Source: Quirke, Neo, Barez 2024, and the published code for details that the text
omits.  Every answer begins with a sign.  The vocabulary has 15 tokens; the text states
14 but lists 15.  The multiplication and division signs are never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.errors import InputError
from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY = "0123456789+-=*\\"
TOKENS = {symbol: token for token, symbol in enumerate(VOCABULARY)}
PLUS, MINUS, EQUALS = (TOKENS[symbol] for symbol in "+-=")


class Parts(NamedTuple):
    """Parts of a sequence: operands [.., n], operator [..], answer [.., n + 2]."""

    first: Tensor
    operator: Tensor
    second: Tensor
    answer: Tensor


@dataclass(frozen=True)
class Layout:
    """Positions and names of the tokens of questions with `digits`-digit operands."""

    digits: int

    def __post_init__(self) -> None:
        if self.digits < 1:
            raise InputError(f"digits: {self.digits} is less than 1")

    @property
    def question_length(self) -> int:
        """Return the number of tokens up to and including the equals sign."""
        return 2 * self.digits + 2

    @property
    def answer_length(self) -> int:
        """Return the number of answer tokens: a sign and n + 1 digits."""
        return self.digits + 2

    @property
    def length(self) -> int:
        """Return the number of tokens of question and answer."""
        return self.question_length + self.answer_length

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of the token at each position; A{n + 1} is the sign."""
        places = range(self.digits - 1, -1, -1)
        return (
            *(f"D{k}" for k in places),
            "OPR",
            *(f"D'{k}" for k in places),
            "=",
            *(f"A{k}" for k in range(self.digits + 1, -1, -1)),
        )

    def position(self, name: str) -> int:
        """Return the position of the token of this name.

        Raises InputError for an unknown name.
        """
        if name not in self.names:
            raise InputError(
                f"{self.digits} digits: unknown token {name!r}; "
                f"known tokens are {', '.join(self.names)}"
            )
        return self.names.index(name)

    def join(
        self, first: Tensor, operator: int, second: Tensor, answer: Tensor
    ) -> Tensor:
        """Join operands [.., n] and answers [.., n + 2] to token ids [.., T]."""
        operators = torch.full_like(first[..., :1], operator)
        equals = torch.full_like(operators, EQUALS)
        return torch.cat([first, operators, second, equals, answer], dim=-1)

    def split(self, ids: Tensor) -> Parts:
        """Split token ids [.., T] into their parts; the inverse of `join`."""
        lengths = [self.digits, 1, self.digits, 1, self.answer_length]
        first, operator, second, _, answer = ids.split(lengths, dim=-1)
        return Parts(first, operator[..., 0], second, answer)


def is_well_formed(answer: Tensor) -> Tensor:
    """Return whether answers [.., n + 2] are a sign followed by digits, bool [..]."""
    sign, number = answer[..., 0], answer[..., 1:]
    return ((sign == PLUS) | (sign == MINUS)) & (number < 10).all(-1)
