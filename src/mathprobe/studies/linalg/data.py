"""Matrices of the first study, and its test sets.  B: batch, n: size, [r, c]: answer.

They depend on nothing but what is drawn: on no model, and on no encoding.
"""

from __future__ import annotations

import numpy as np
from torch import Generator

from mathprobe.linalg import examples
from mathprobe.seeds import rng_for
from mathprobe.spec import MatrixSpec, TestSet
from mathprobe.studies.linalg import STUDY


def draw(data: MatrixSpec, rng: Generator, count: int) -> examples.Examples:
    """Draw matrices [B, n, columns] and exact answers [B, r, c]; count rejections."""
    size = data.n, data.columns
    return examples.draw(
        data.task, data.distribution, data.distribution_settings, rng, count, *size
    )


def matrix_rng(
    use: str, data: MatrixSpec, *names: int, device: str = "cpu"
) -> Generator:
    """Return the random generator of a use of these matrices."""
    # A square has one number, as it had before there were other shapes.
    size = dict.fromkeys((data.n, data.columns))
    return rng_for(
        STUDY, use, data.task, data.distribution, *size, *names, device=device
    )


def make_testset(spec: TestSet) -> dict[str, np.ndarray]:
    """Return a test set: matrices, answers and the number of rejected draws."""
    examples = draw(spec.data, matrix_rng("test", spec.data), spec.examples)
    return {name: np.asarray(value) for name, value in examples._asdict().items()}
