"""Examples and test sets of the study `linalg`.  B: batch, n: size, [r, c]: answer.

They do not depend on a model or an encoding.
"""

from __future__ import annotations

import numpy as np
from torch import Generator

from mathprobe.linalg import examples
from mathprobe.seeds import rng_for
from mathprobe.spec import MatrixSpec, TestSet
from mathprobe.studies.linalg import STUDY


def draw(data: MatrixSpec, rng: Generator, count: int) -> examples.Examples:
    """Draw matrices [B, r, c] and their answers [B, r', c'], with B = count."""
    size = data.n, data.columns
    return examples.draw(
        data.task, data.distribution, data.distribution_settings, rng, count, *size
    )


def matrix_rng(use: str, data: MatrixSpec, *names: int) -> Generator:
    """Return the random generator of matrices for a use, such as "train" or "test"."""
    # For square matrices, the name contains the size once.  Another name would change
    # the random numbers and all existing results.
    size = dict.fromkeys((data.n, data.columns))
    return rng_for(STUDY, use, data.task, data.distribution, *size, *names)


def make_testset(spec: TestSet) -> dict[str, np.ndarray]:
    """Return the arrays `matrix`, `answer` and `rejected` of a test set."""
    test = draw(spec.data, matrix_rng("test", spec.data), spec.examples)
    return {name: np.asarray(value) for name, value in test._asdict().items()}
