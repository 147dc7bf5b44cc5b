"""Properties of incorrect predictions, and verifiers (Charton 2022, sections 2 and 3).

S: seeds, B: test examples, [r, c]: matrix or answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathprobe.linalg import properties, verifiers
from mathprobe.linalg.distributions import components
from mathprobe.linalg.scores import ORACLE, is_below
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.scoring import by_distribution

STORED_EXAMPLES = 500  # enough to apply a verifier in a notebook

COLUMNS = {
    kind: ("seed", "test", *columns)
    for kind, columns in {
        "properties": properties.COLUMNS,
        "verifiers": verifiers.COLUMNS["table"],
        "roc": verifiers.COLUMNS["roc"],
    }.items()
}


def tables(
    spec: Model, measurements: dict[str, np.ndarray], tolerances: list[float]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables `properties`, `verifiers` and `roc`.

    `measurements` is returned by `scoring.measure`.  Verifiers are evaluated at the
    first tolerance.  ROC curves are long, so they are only computed for the training
    distributions.  In the oracle's rows, the seed is "oracle".
    """
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in COLUMNS}
    for distribution, quantities in by_distribution(measurements).items():
        in_distribution = distribution in components(spec.data.distribution)
        for seed, values in _by_seed(quantities).items():
            error = values["error"]
            correct = {bound: is_below(error, bound) for bound in tolerances}
            correct_first = correct[tolerances[0]]
            verified = {name: values[name] for name in VERIFIERS if name in values}
            curves = verified if in_distribution else {}
            new = {
                "properties": properties.summary(values, correct),
                "verifiers": verifiers.table(verified, correct_first),
                "roc": verifiers.roc(curves, correct_first),
            }
            key = {"seed": seed, "test": distribution}
            for kind, new_rows in new.items():
                rows[kind] += [{**key, **row} for row in new_rows]
    return rows


def _by_seed(quantities: dict[str, Tensor]) -> dict[int | str, dict[str, Tensor]]:
    """Group the quantities [B] of a test set by seed; the oracle has the key ORACLE."""
    prefix = f"{ORACLE}_"
    oracle = {k: v for k, v in quantities.items() if k.startswith(prefix)}
    of_seeds = {name: v for name, v in quantities.items() if name not in oracle}
    groups: dict[int | str, dict[str, Tensor]] = {
        seed: {name: values[seed - 1] for name, values in of_seeds.items()}
        for seed in range(1, len(of_seeds["error"]) + 1)
    }
    groups[ORACLE] = {name.removeprefix(prefix): v for name, v in oracle.items()}
    return groups


def in_distribution_arrays(
    spec: Model,
    measurements: dict[str, np.ndarray],
    tests: dict[str, dict[str, np.ndarray]],
    predictions: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the arrays that figures and notebooks need, for training distributions.

    The arrays are all measurements [S, B] and [B].  For the first STORED_EXAMPLES
    examples of the first distribution, they are also the rounded matrices, the rounded
    labels and the predictions of the first seed.
    """
    own = components(spec.data.distribution)
    stored = {k: v for k, v in measurements.items() if k.rsplit(".", 1)[0] in own}
    first = own[0]
    matrix, answer = Codecs(spec).round_trip(
        *(
            torch.from_numpy(tests[first][name][:STORED_EXAMPLES])
            for name in ("matrix", "answer")
        )
    )
    return {
        **stored,
        "shown.matrix": matrix.numpy(),
        "shown.answer": answer.numpy(),
        "shown.prediction": predictions[f"{first}.prediction"][0, :STORED_EXAMPLES],
    }
