"""Condition numbers of random matrices, by distribution (Charton 2022, table 4)."""

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
    """Return quantiles of condition numbers, one row per distribution and quantile.

    Each quantile has a 95 % confidence interval.  The distributions are the tabulated
    ones of the task `symmetric_inverse`.
    """
    rows = []
    for distribution in examples.distributions_for("symmetric_inverse"):
        values, rejected = sample_condition_numbers(spec, distribution)
        sample = {"distribution": distribution, "n": spec.n, "matrices": spec.matrices}
        sample |= {"rejected": rejected}
        for quantile in QUANTILES:
            low, high = quantile_ranks(quantile, spec.matrices)
            estimate = {
                "value": float(values.quantile(quantile)),
                "low": float(values[low]),
                "high": float(values[high]),
            }
            rows.append({**sample, "quantile": quantile, **estimate})
    return rows


def sample_condition_numbers(
    spec: ConditionNumbers, distribution: str
) -> tuple[Tensor, int]:
    """Return sorted condition numbers [spec.matrices], and the number of rejections.

    Matrices are drawn and rejected as for the task `symmetric_inverse`.
    """
    rng = rng_for(STUDY, "conditions", distribution, spec.n)
    data = MatrixSpec(
        "symmetric_inverse", distribution, spec.n, spec.n, spec.distribution_settings
    )
    matrix, _, rejected = draw(data, rng, spec.matrices)
    magnitude = torch.linalg.eigvalsh(matrix).abs()
    return (magnitude.amax(1) / magnitude.amin(1)).sort().values, rejected
