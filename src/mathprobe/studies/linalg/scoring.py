"""What stored predictions of the first study are worth.  B: batch, [r, c]: answer.

Everything is measured as the tokens show it.
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
    answers: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Measure stored predictions, example by example: errors [seeds, B], oracle's [B].

    Where the task has properties they stand beside the errors, named by test distribution and
    quantity, the oracle's with a prefix.
    """
    codecs = Codecs(spec)
    arrays = {}
    for distribution, test in tests.items():
        matrix, answer = (torch.from_numpy(test[k]) for k in ("matrix", "answer"))
        shown = codecs.round_trip(matrix, answer)
        best = torch.from_numpy(answers[f"{distribution}.oracle"])
        for name, values in _measured(spec.data.task, *shown, best).items():
            arrays[f"{distribution}.{ORACLE}_{name}"] = values.numpy()
        made = torch.from_numpy(answers[f"{distribution}.prediction"])
        rows = [_measured(spec.data.task, *shown, one) for one in made]
        for name in rows[0]:
            arrays[f"{distribution}.{name}"] = torch.stack(
                [row[name] for row in rows]
            ).numpy()
    return arrays


def _measured(
    task: str, matrix: Tensor, answer: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    """Measure predictions [B, r, c] of rounded matrices and answers: [B] each."""
    quantities = {"error": scores.relative_error(task, matrix, answer, prediction)}
    if task in PROPERTIES:
        quantities |= PROPERTIES[task](matrix, answer, prediction)
        for name in VERIFIERS.keys() & quantities.keys():
            quantities[name] = VERIFIERS[name].quantity(matrix, prediction)
    return quantities


def accuracy_rows(
    measured: dict[str, np.ndarray], tolerances: list[float]
) -> Iterator[dict[str, Any]]:
    """Score measured predictions: a row per test set, seed and tolerance."""
    for distribution, quantities in by_distribution(measured).items():
        for number, error in enumerate(quantities["error"], 1):
            name = {"seed": number, "test": distribution}
            yield from scores.table(name, error, quantities["oracle_error"], tolerances)


def by_distribution(measured: dict[str, np.ndarray]) -> dict[str, dict[str, Tensor]]:
    """Part measured examples by test distribution, then by quantity: [seeds, B] or [B]."""
    distributions: dict[str, dict[str, Tensor]] = {}
    for name, array in measured.items():
        distribution, quantity = name.rsplit(".", 1)
        distributions.setdefault(distribution, {})[quantity] = torch.from_numpy(array)
    return distributions
