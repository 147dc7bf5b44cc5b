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


def examples(
    spec: Model,
    tests: dict[str, dict[str, np.ndarray]],
    answers: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Measure stored predictions, example by example: errors [seeds, B], oracle's [B].

    Where the task has properties they stand beside the errors, named by test law and
    quantity, the oracle's with a prefix.
    """
    codecs = Codecs(spec)
    arrays = {}
    for law, test in tests.items():
        matrix, answer = (torch.from_numpy(test[k]) for k in ("matrix", "answer"))
        shown = codecs.rounded(matrix, answer)
        best = torch.from_numpy(answers[f"{law}.oracle"])
        for name, values in _measured(spec.data.task, *shown, best).items():
            arrays[f"{law}.{ORACLE}_{name}"] = values.numpy()
        made = torch.from_numpy(answers[f"{law}.prediction"])
        rows = [_measured(spec.data.task, *shown, one) for one in made]
        for name in rows[0]:
            arrays[f"{law}.{name}"] = torch.stack([row[name] for row in rows]).numpy()
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


def score(
    measured: dict[str, np.ndarray], tolerances: list[float]
) -> Iterator[dict[str, Any]]:
    """Score measured predictions: a row per test set, seed and tolerance."""
    for law, quantities in by_law(measured).items():
        for number, error in enumerate(quantities["error"], 1):
            name = {"seed": number, "test": law}
            yield from scores.table(name, error, quantities["oracle_error"], tolerances)


def by_law(measured: dict[str, np.ndarray]) -> dict[str, dict[str, Tensor]]:
    """Part measured examples by test law, then by quantity: [seeds, B] or [B]."""
    laws: dict[str, dict[str, Tensor]] = {}
    for name, array in measured.items():
        law, quantity = name.rsplit(".", 1)
        laws.setdefault(law, {})[quantity] = torch.from_numpy(array)
    return laws
