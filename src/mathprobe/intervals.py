"""95 % confidence intervals of shares, and of quantiles of a sample."""

from __future__ import annotations

import math

CONFIDENCE = 0.95


TAIL = (1.0 - CONFIDENCE) / 2.0

# With scipy's functions alone: its statistics take half a second to load, in every job.


def wilson(count: int, total: int) -> tuple[float, float]:
    """Give the Wilson interval of a share."""
    from scipy.special import ndtri

    z = float(ndtri(1.0 - TAIL))
    share, spread = count / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return (middle - half if count else 0.0), (middle + half if count < total else 1.0)


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Give the exact interval of a share, which is right for rare events too."""
    from scipy.special import betaincinv

    low = float(betaincinv(count, total - count + 1, TAIL)) if count else 0.0
    right = total - count
    high = float(betaincinv(count + 1, right, 1.0 - TAIL)) if right else 1.0
    return low, high


def quantile_ranks(quantile: float, total: int) -> tuple[int, int]:
    """Give the ranks, from 0, of a sorted sample that enclose a quantile.

    Free of the distribution: the number of values below a quantile is binomial.
    """
    from scipy.stats import binom

    low, high = binom.ppf([TAIL, 1.0 - TAIL], total, quantile)
    return max(0, int(low) - 1), min(total - 1, int(high))
