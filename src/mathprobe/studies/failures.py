"""Sections 2 and 3 of Charton 2022: what wrong answers keep, and which to believe.

S: seeds, B: test examples, n: size, [r, c]: answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathprobe.linalg import properties, verifiers
from mathprobe.linalg.distributions import components
from mathprobe.linalg.scores import ORACLE
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.scoring import by_distribution

STORED_EXAMPLES = 500  # test examples that are kept whole: enough to apply a rule to

COLUMNS = {
    kind: ("seed", "test", *columns)
    for kind, columns in {
        "properties": properties.COLUMNS,
        "verifiers": verifiers.COLUMNS["table"],
        "roc": verifiers.COLUMNS["roc"],
    }.items()
}


def tables(
    spec: Model, measured: dict[str, np.ndarray], tolerances: list[float]
) -> dict[str, list[dict[str, Any]]]:
    """Say what failures keep, and how well they are predicted: rows of three tables.

    What fails depends on the tolerance; verifiers are judged at the first one, and
    their ROC curves are long: only that of the training distribution is drawn.  In the place
    of a seed the oracle has its name.
    """
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in COLUMNS}
    for distribution, quantities in by_distribution(measured).items():
        for who, own in _by_seed(quantities).items():
            correct = {bound: own["error"] < bound for bound in tolerances}
            right = correct[tolerances[0]]
            ruled = {name: own[name] for name in VERIFIERS if name in own}
            made = {
                "properties": properties.summary(own, correct),
                "verifiers": verifiers.table(ruled, right),
                "roc": verifiers.roc(
                    ruled if distribution in components(spec.data.distribution) else {},
                    right,
                ),
            }
            name = {"seed": who, "test": distribution}
            for kind, new in made.items():
                rows[kind] += [{**name, **row} for row in new]
    return rows


def _by_seed(quantities: dict[str, Tensor]) -> dict[int | str, dict[str, Tensor]]:
    """Part the quantities [seeds, B] of one test by who answered: [B] each."""
    prefix = f"{ORACLE}_"
    exact = {k: v for k, v in quantities.items() if k.startswith(prefix)}
    made = {name: quantities[name] for name in quantities.keys() - exact.keys()}
    who: dict[int | str, dict[str, Tensor]] = {
        number: {name: made[name][number - 1] for name in quantities if name in made}
        for number in range(1, len(made["error"]) + 1)
    }
    who[ORACLE] = {name.removeprefix(prefix): v for name, v in exact.items()}
    return who


def in_distribution_arrays(
    spec: Model,
    measured: dict[str, np.ndarray],
    tests: dict[str, dict[str, np.ndarray]],
    answers: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Keep what figures and notebooks show of a model on the distribution of its training.

    That is everything measured there, [S, B] and [B], and of the first examples what
    the first seed was asked and said: matrix, answer and prediction, as tokens show
    them.
    """
    own = components(spec.data.distribution)
    kept = {k: v for k, v in measured.items() if k.rsplit(".", 1)[0] in own}
    distribution = own[0]
    matrix, answer = Codecs(spec).round_trip(
        *(
            torch.from_numpy(tests[distribution][name][:STORED_EXAMPLES])
            for name in ("matrix", "answer")
        )
    )
    return {
        **kept,
        "shown.matrix": matrix.numpy(),
        "shown.answer": answer.numpy(),
        "shown.prediction": answers[f"{distribution}.prediction"][0, :STORED_EXAMPLES],
    }
