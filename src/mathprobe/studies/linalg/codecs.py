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

    def label(self, matrix: Tensor, answer: Tensor) -> Tensor:
        """Return the labels [B, r, c] for inputs and answers [B, r, c].

        The labels of an encoded test set, which has no model, are the answers.
        """
        if isinstance(self.spec, EncodedTestSet):
            return answer
        task = TASKS[self.spec.data.task]
        return task.label(matrix, answer, self.spec.signs, self.spec.eigenvalue_order)

    def round_trip(self, matrix: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Return rounded inputs, and rounded labels of answers [B, r, c].

        Encoding and decoding rounds them.
        """
        label = self.label(matrix, answer)
        return self.source.round_trip(matrix), self.target.round_trip(label)

    def oracle(self, matrix: Tensor) -> Tensor:
        """Return the oracle's predictions [B, r, c] for inputs [B, r, c].

        The oracle solves the rounded input exactly.  The encoding of the output rounds
        the label of the solution.
        """
        rounded = self.source.round_trip(matrix)
        solution = TASKS[self.spec.data.task].solve(rounded)
        return self.target.round_trip(self.label(rounded, solution))


@cache
def _codec(spec: EncodingSpec) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[spec.encoding](digits=spec.digits))
