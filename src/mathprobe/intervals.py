"""95 % confidence intervals of shares, and of quantiles of a sample."""

from __future__ import annotations

CONFIDENCE = 0.95


def wilson(count: int, total: int) -> tuple[float, float]:
    """Give the Wilson interval of a share."""
    return _of_share(count, total, "wilson")


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Give the exact interval of a share, which is right for rare events too."""
    return _of_share(count, total, "exact")


def _of_share(count: int, total: int, method: str) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method=method)
    return float(interval.low), float(interval.high)


def quantile_ranks(quantile: float, total: int) -> tuple[int, int]:
    """Give the ranks, from 0, of a sorted sample that enclose a quantile.

    Free of the distribution: the number of values below a quantile is binomial.
    """
    from scipy.stats import binom

    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = binom.ppf([tail, 1.0 - tail], total, quantile)
    return max(0, int(low) - 1), min(total - 1, int(high))
