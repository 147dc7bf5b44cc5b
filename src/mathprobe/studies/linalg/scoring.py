"""Errors, properties and accuracy of stored predictions.  B: batch, [r, c]: answer.

Inputs and answers are first rounded by the encodings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathprobe.linalg import scores
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.linalg.scores import ORACLE
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs


def measure(
    spec: Model,
    tests: dict[str, dict[str, np.ndarray]],
    predictions: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the errors and properties of stored predictions, for each example.

    `tests` maps distributions to test sets; `predictions` is returned by `predict_all`.
    The arrays are `{distribution}.{quantity}` [seeds, B] for the seeds and
    `{distribution}.oracle_{quantity}` [B] for the oracle.  Quantities are the `error`
    and, for some tasks, properties.
    """
    codecs = Codecs(spec)
    arrays = {}
    for distribution, test in tests.items():
        matrix, answer = (torch.from_numpy(test[k]) for k in ("matrix", "answer"))
        rounded = codecs.round_trip(matrix, answer)
        oracle = torch.from_numpy(predictions[f"{distribution}.oracle"])
        for name, values in _quantities(spec, *rounded, oracle).items():
            arrays[f"{distribution}.{ORACLE}_{name}"] = values.numpy()
        of_seeds = torch.from_numpy(predictions[f"{distribution}.prediction"])
        rows = [_quantities(spec, *rounded, one) for one in of_seeds]
        for name in rows[0]:
            stacked = torch.stack([row[name] for row in rows])
            arrays[f"{distribution}.{name}"] = stacked.numpy()
    return arrays


def _quantities(
    spec: Model, matrix: Tensor, answer: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    """Return the error and the properties [B] of predictions [B, r, c]."""
    task = spec.data.task
    verdicts = spec.zero_answers, spec.exact_answers
    error = scores.relative_error(task, matrix, answer, prediction, *verdicts)
    quantities = {"error": error}
    if task in PROPERTIES:
        quantities |= PROPERTIES[task](matrix, answer, prediction)
        for name in VERIFIERS.keys() & quantities.keys():
            quantities[name] = VERIFIERS[name].quantity(matrix, prediction)
    return quantities


def accuracy_rows(
    measurements: dict[str, np.ndarray], tolerances: list[float]
) -> Iterator[dict[str, Any]]:
    """Yield accuracies, one row per test set, seed and tolerance."""
    for distribution, quantities in by_distribution(measurements).items():
        for seed, error in enumerate(quantities["error"], 1):
            name = {"seed": seed, "test": distribution}
            yield from scores.table(name, error, quantities["oracle_error"], tolerances)


def by_distribution(
    measurements: dict[str, np.ndarray],
) -> dict[str, dict[str, Tensor]]:
    """Group the arrays of `measure` by test distribution, then by quantity."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, array in measurements.items():
        distribution, quantity = name.rsplit(".", 1)
        groups.setdefault(distribution, {})[quantity] = torch.from_numpy(array)
    return groups
