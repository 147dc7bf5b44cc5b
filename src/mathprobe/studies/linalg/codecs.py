"""Matrices as tokens, and the answers that tokens allow.  B: batch, [r, c]: answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from torch import Tensor

from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import EncodedTest, EncodingSpec, Model


@dataclass(frozen=True)
class Codecs:
    """How a model reads matrices and writes answers, or how a question does."""

    model: Model | EncodedTest

    @property
    def source(self) -> MatrixCodec:
        """Return the codec of the input."""
        return _codec(self.model.input)

    @property
    def target(self) -> MatrixCodec:
        """Return the codec of the output."""
        return _codec(self.model.output)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the answer's rows and columns."""
        data = self.model.data
        return TASKS[data.task].shape(data.n, data.columns)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Return the rows and columns of what is read."""
        data = self.model.data
        return TASKS[data.task].input_shape(data.n, data.columns)

    def rounded(self, matrix: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and answers [B, r, c] as their tokens show them."""
        return self.source.rounded(matrix), self.target.rounded(answer)

    def oracle(self, matrix: Tensor) -> Tensor:
        """Solve what the tokens of the input show, and round as the output does."""
        solved = TASKS[self.model.data.task].solve(self.source.rounded(matrix))
        return self.target.rounded(solved)


@cache
def _codec(side: EncodingSpec) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[side.encoding](digits=side.digits))
