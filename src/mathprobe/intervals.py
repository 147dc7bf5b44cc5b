"""95 % confidence intervals of proportions and of quantiles.

`wilson` and `clopper_pearson` need only scipy.special: loading scipy.stats takes half a
second in every job.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
TAIL = (1.0 - CONFIDENCE) / 2.0


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the Wilson interval of the proportion `count / total`."""
    from scipy.special import ndtri

    z = float(ndtri(1.0 - TAIL))
    p, z2 = count / total, z * z / total
    center = (p + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2)
    return (center - half if count else 0.0), (center + half if count < total else 1.0)


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of the proportion `count / total`.

    It is valid for rare events too.
    """
    from scipy.special import betaincinv

    low = float(betaincinv(count, total - count + 1, TAIL)) if count else 0.0
    rest = total - count
    high = float(betaincinv(count + 1, rest, 1.0 - TAIL)) if rest else 1.0
    return low, high


def matches(
    ours: tuple[float, float], published: tuple[float, float], rounding: float = 0.0
) -> bool:
    """Return whether our interval and the published one have a number in common.

    `rounding` is half a unit of the last published digit.  A published value without
    an interval is a pair of equal ends.
    """
    return published[0] - rounding <= ours[1] and ours[0] <= published[1] + rounding


def quantile_ranks(quantile: float, total: int) -> tuple[int, int]:
    """Return the ranks, from 0, of the sample values that enclose a quantile.

    This is the distribution-free interval: the number of the `total` values below the
    quantile is binomial.
    """
    from scipy.stats import binom

    low, high = binom.ppf([TAIL, 1.0 - TAIL], total, quantile)
    return max(0, int(low) - 1), min(total - 1, int(high))
