"""Trained models of both studies, as functions of arrays of numbers.

[r, c]: input matrix, [r', c']: answer; `...` is any number of further dimensions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mathprobe import checkpoint
from mathprobe.arith.questions import encode_questions
from mathprobe.arith.tokens import VOCABULARY, Layout
from mathprobe.decoding import greedy_answers
from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.tasks import TASKS
from mathprobe.nets.decoder import Decoder
from mathprobe.nets.seq2seq import Seq2Seq
from mathprobe.paper import tables
from mathprobe.spec import ArithModel, Model
from mathprobe.studies.arith.models import load as load_decoder
from mathprobe.studies.linalg import models
from mathprobe.studies.linalg.codecs import Codecs

NUMBER = re.compile(r"\+\d+|-0*[1-9]\d*")  # an answer; that of zero has a plus sign


@dataclass(frozen=True)
class TrainedSeq2Seq:
    """A trained encoder-decoder of the first study (Charton 2022)."""

    folder: Path
    spec: Model
    networks: dict[int, Seq2Seq]  # by seed: 1, 2, ...

    def predict(self, matrix: ArrayLike, seed: int = 1) -> np.ndarray:
        """Return predicted answers [..., r', c'] to matrices [..., r, c].

        The values of a malformed answer are NaN.  A task with two operands has them
        side by side in a matrix.  Raises InputError for another shape, for a matrix
        that is not symmetric if the task requires it, and for an unknown seed, and
        ValueError for numbers that the encoding lacks.
        """
        check_choice(str(seed), [*map(str, self.networks)], str(self.folder), "seed")
        network = self.networks[seed]
        return self._apply(
            lambda matrices: models.predict(self._codecs, network, matrices)[0], matrix
        )

    def oracle(self, matrix: ArrayLike) -> np.ndarray:
        """Return the answers [..., r', c'] of the oracle; see `predict`."""
        return self._apply(self._codecs.oracle, matrix)

    @property
    def scores(self) -> pd.DataFrame:
        """Return the accuracy by test distribution, seed and tolerance."""
        return _read(self.folder / "scores.csv")

    @property
    def _codecs(self) -> Codecs:
        return Codecs(self.spec)

    def _apply(self, solve: Callable[[Tensor], Tensor], matrix: ArrayLike) -> Any:
        values = torch.from_numpy(np.asarray(matrix).astype(np.float64))
        task, shape = self.spec.data.task, self._codecs.input_shape
        if values.shape[-2:] != shape:
            raise InputError(
                f"matrix has shape {tuple(values.shape)}: {self.folder} was trained on "
                f"matrices of shape {shape}; the last two dimensions must be these"
            )
        if TASKS[task].symmetric and not torch.allclose(
            values, values.mT, equal_nan=True
        ):
            raise InputError(f"matrix is not symmetric, which task {task!r} requires")
        answers = solve(values.reshape(-1, *shape))
        return answers.reshape(*values.shape[:-2], *answers.shape[1:]).numpy()


@dataclass(frozen=True)
class TrainedDecoder:
    """A trained decoder of the second study (Quirke, Neo, Barez 2024)."""

    folder: Path
    spec: ArithModel
    network: Decoder

    def predict(
        self, first: ArrayLike, second: ArrayLike, operation: str
    ) -> np.ndarray:
        """Return the answers [...] to questions about whole numbers [...].

        The answers are Python integers, since they may have any number of digits; a
        malformed one is NaN.  Raises InputError for an operation that the model has not
        learnt, for operands of different shapes, and for numbers that are negative or
        have too many digits.
        """
        ids = self._questions(first, second, operation)
        device = next(self.network.parameters()).device
        answers = greedy_answers(
            self.network,
            ids.reshape(-1, ids.shape[-1]).to(device),
            self._layout.answer_length,
        )
        return _numbers(answers.cpu().reshape(*ids.shape[:-1], -1))

    def oracle(self, first: ArrayLike, second: ArrayLike, operation: str) -> np.ndarray:
        """Return the correct answers [...]; see `predict`."""
        ids = self._questions(first, second, operation)
        return _numbers(self._layout.split(ids).answer)

    @property
    def scores(self) -> pd.DataFrame:
        """Return the wrong answers by operation and complexity class."""
        return _read(self.folder / "accuracy.csv")

    @property
    def _layout(self) -> Layout:
        return Layout(self.spec.questions.digits)

    def _questions(self, first: ArrayLike, second: ArrayLike, operation: str) -> Tensor:
        """Return the token ids [..., T] of questions and correct answers."""
        known = self.spec.questions.shares
        check_choice(operation, known, self.spec.name, "operation")
        operands = {
            "first": np.asarray(first).astype(object),
            "second": np.asarray(second).astype(object),
        }
        if len({values.shape for values in operands.values()}) > 1:
            shapes = (f"{name}: {values.shape}" for name, values in operands.items())
            raise InputError(f"operands have different shapes: {', '.join(shapes)}")
        return encode_questions(
            operation, *(self._digits(*one) for one in operands.items())
        )

    def _digits(self, name: str, values: np.ndarray) -> Tensor:
        """Return the digits [..., n] of whole numbers [...]."""
        digits = self._layout.digits
        for value in values.flat:
            if not isinstance(value, Integral) or not 0 <= int(value) < 10**digits:
                raise InputError(
                    f"{name}: {value!r} is not a whole number from 0 to "
                    f"{10**digits - 1}, on which {self.spec.name} was trained"
                )
        rows = [[*map(int, f"{value:0{digits}}")] for value in values.flat]
        return torch.tensor(rows, dtype=torch.int64).reshape(*values.shape, digits)


def _numbers(answers: Tensor) -> np.ndarray:
    """Return the numbers [...] of answers [..., n + 2] as Python objects."""
    found = np.empty(answers.shape[:-1], object)
    for index in np.ndindex(found.shape):
        text = "".join(VOCABULARY[token] for token in answers[index].tolist())
        found[index] = int(text) if NUMBER.fullmatch(text) else math.nan
    return found


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise InputError(f"{path} is missing: make it with `snakemake -c2 {path}`")
    return tables.read(path)


def load(path: Path, device: str) -> TrainedSeq2Seq | TrainedDecoder:
    """Load a trained model from its folder or weights; see `mathprobe.load`."""
    weights = checkpoint.find_weights(path)
    if "questions" in checkpoint.model_metadata(weights)["spec"]:
        return TrainedDecoder(weights.parent, *load_decoder(weights, device))
    return TrainedSeq2Seq(weights.parent, *models.load(weights, device))
