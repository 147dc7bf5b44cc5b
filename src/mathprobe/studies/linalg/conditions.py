"""Condition numbers of the matrices of every law (Charton 2022, table 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mathprobe.intervals import quantile_ranks
from mathprobe.linalg import draws
from mathprobe.seeds import stream
from mathprobe.spec import Conditions, MatrixSpec
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.data import draw

QUANTILES = (0.5, 0.75, 0.9)


def condition_numbers(spec: Conditions) -> list[dict[str, Any]]:
    """Return quantiles of the condition numbers of every law, with 95 % intervals.

    Matrices are drawn as the symmetric-inverse task draws them.
    """
    rows = []
    for law in draws.laws_for("symmetric_inverse"):
        condition, rejected = conditions(spec, law)
        facts = {"law": law, "n": spec.n, "matrices": spec.matrices}
        facts |= {"rejected": rejected}
        for quantile in QUANTILES:
            low, high = quantile_ranks(quantile, spec.matrices)
            shown = {
                "value": float(condition.quantile(quantile)),
                "low": float(condition[low]),
                "high": float(condition[high]),
            }
            rows.append({**facts, "quantile": quantile, **shown})
    return rows


def conditions(spec: Conditions, law: str) -> tuple[Tensor, int]:
    """Return sorted condition numbers [matrices] of a law; count what was redrawn."""
    rng = stream(STUDY, "conditions", law, spec.n)
    data = MatrixSpec("symmetric_inverse", law, spec.n, spec.n, spec.law_settings)
    matrix, _, rejected = draw(data, rng, spec.matrices)
    size = torch.linalg.eigvalsh(matrix).abs()
    return (size.amax(1) / size.amin(1)).sort().values, rejected
