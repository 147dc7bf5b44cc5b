"""Condition numbers of the matrices of every distribution (Charton 2022, table 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mathprobe.intervals import quantile_ranks
from mathprobe.linalg import examples
from mathprobe.seeds import rng_for
from mathprobe.spec import ConditionNumbers, MatrixSpec
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.data import draw

QUANTILES = (0.5, 0.75, 0.9)


def condition_numbers(spec: ConditionNumbers) -> list[dict[str, Any]]:
    """Return quantiles of the condition numbers of every distribution, with 95 % intervals.

    Matrices are drawn as the symmetric-inverse task draws them.
    """
    rows = []
    for distribution in examples.distributions_for("symmetric_inverse"):
        condition, rejected = sample_condition_numbers(spec, distribution)
        facts = {"law": distribution, "n": spec.n, "matrices": spec.matrices}
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


def sample_condition_numbers(
    spec: ConditionNumbers, distribution: str
) -> tuple[Tensor, int]:
    """Return sorted condition numbers [matrices] of a distribution; count what was redrawn."""
    rng = rng_for(STUDY, "conditions", distribution, spec.n)
    data = MatrixSpec(
        "symmetric_inverse", distribution, spec.n, spec.n, spec.distribution_settings
    )
    matrix, _, rejected = draw(data, rng, spec.matrices)
    size = torch.linalg.eigvalsh(matrix).abs()
    return (size.amax(1) / size.amin(1)).sort().values, rejected
