import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from mathprobe.intervals import clopper_pearson, quantile_ranks, wilson


@given(st.integers(1, 10**5), st.data())
@pytest.mark.parametrize(
    ("interval", "method"), [(wilson, "wilson"), (clopper_pearson, "exact")]
)
def test_intervals_are_those_of_scipys_statistics(interval, method, total, data):
    count = data.draw(st.integers(0, total))
    expected = binomtest(count, total).proportion_ci(0.95, method=method)
    assert interval(count, total) == pytest.approx(tuple(expected), abs=1e-12)


@given(st.integers(1, 10**5), st.data())
def test_wilson_holds_the_share_and_stays_a_share(total, data):
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total)
    assert 0.0 <= low <= correct / total <= high <= 1.0
    assert low < high


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9])
def test_ranks_enclose_a_quantile_as_often_as_promised(quantile):
    low, high = quantile_ranks(quantile, 400)
    sample = torch.rand(20_000, 400, generator=torch.Generator().manual_seed(1))
    ordered = sample.sort().values
    inside = (ordered[:, low] <= quantile) & (quantile <= ordered[:, high])
    assert 0.945 < inside.double().mean() < 0.975


def test_no_event_in_a_million_bounds_the_rate_as_published():
    low, high = clopper_pearson(0, 1_000_000)
    assert low == 0.0
    assert high == pytest.approx(-torch.tensor(0.025).log().item() / 1e6, rel=1e-5)


@given(st.integers(2, 10**6), st.data())
def test_ends_of_the_exact_interval_leave_a_fortieth_outside(total, data):
    count = data.draw(st.integers(1, min(total - 1, 10_000)))
    low, high = clopper_pearson(count, total)
    assert binom.sf(count - 1, total, low) == pytest.approx(0.025, rel=1e-4)
    assert binom.cdf(count, total, high) == pytest.approx(0.025, rel=1e-4)
