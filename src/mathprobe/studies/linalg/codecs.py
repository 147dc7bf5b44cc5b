"""Codecs of a model's input and output, and the oracle.  B: batch, [r, c]: answer."""

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
    """Codecs and shapes of the input and output of a model or an encoded test set."""

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
        """Return the rows and columns of the output."""
        data = self.spec.data
        return TASKS[data.task].output_shape(data.n, data.columns)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Return the rows and columns of the input."""
        data = self.spec.data
        return TASKS[data.task].input_shape(data.n, data.columns)

    def round_trip(self, matrix: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Round inputs and answers [B, r, c] by encoding and decoding them."""
        return self.source.round_trip(matrix), self.target.round_trip(answer)

    def oracle(self, matrix: Tensor) -> Tensor:
        """Return the oracle's predictions [B, r, c] for inputs [B, r, c].

        The oracle solves the rounded input exactly.  The encoding of the output rounds
        the solution.
        """
        solution = TASKS[self.spec.data.task].solve(self.source.round_trip(matrix))
        return self.target.round_trip(solution)


@cache
def _codec(spec: EncodingSpec) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[spec.encoding](digits=spec.digits))
