"""Matrices as tokens, and the answers that tokens allow.  B: batch, [r, c]: answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from torch import Tensor

from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import EncodedTestSet, EncodingSpec, Model


@dataclass(frozen=True)
class Codecs:
    """How a model reads matrices and writes answers, or how a question does."""

    spec: Model | EncodedTestSet

    @property
    def source(self) -> MatrixCodec:
        """Return the codec of the input."""
        return _codec(self.spec.input)

    @property
    def target(self) -> MatrixCodec:
        """Return the codec of the output."""
        return _codec(self.spec.output)

    @property
    def output_shape(self) -> tuple[int, int]:
        """Return the answer's rows and columns."""
        data = self.spec.data
        return TASKS[data.task].output_shape(data.n, data.columns)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Return the rows and columns of what is read."""
        data = self.spec.data
        return TASKS[data.task].input_shape(data.n, data.columns)

    def round_trip(self, matrix: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and answers [B, r, c] as their tokens show them."""
        return self.source.round_trip(matrix), self.target.round_trip(answer)

    def oracle(self, matrix: Tensor) -> Tensor:
        """Solve what the tokens of the input show, and round as the output does."""
        solved = TASKS[self.spec.data.task].solve(self.source.round_trip(matrix))
        return self.target.round_trip(solved)


@cache
def _codec(side: EncodingSpec) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[side.encoding](digits=side.digits))
