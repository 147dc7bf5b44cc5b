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
def test_intervals_agree_with_scipy_stats(interval, method, total, data):
    count = data.draw(st.integers(0, total))
    expected = binomtest(count, total).proportion_ci(0.95, method=method)
    assert interval(count, total) == pytest.approx(tuple(expected), abs=1e-12)


@given(st.integers(1, 10**5), st.data())
def test_the_wilson_interval_contains_the_proportion_and_stays_in_range(total, data):
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total)
    assert 0.0 <= low <= correct / total <= high <= 1.0
    assert low < high


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9])
def test_ranks_enclose_a_quantile_with_the_stated_probability(quantile):
    low, high = quantile_ranks(quantile, 400)
    sample = torch.rand(20_000, 400, generator=torch.Generator().manual_seed(1))
    ordered = sample.sort().values
    inside = (ordered[:, low] <= quantile) & (quantile <= ordered[:, high])
    assert 0.945 < inside.double().mean() < 0.975


def test_the_upper_bound_without_events_agrees_with_its_formula():
    low, high = clopper_pearson(0, 1_000_000)
    assert low == 0.0
    assert high == pytest.approx(-torch.tensor(0.025).log().item() / 1e6, rel=1e-5)


@given(st.integers(2, 10**6), st.data())
def test_each_end_of_the_exact_interval_has_a_tail_of_2_5_percent(total, data):
    count = data.draw(st.integers(1, min(total - 1, 10_000)))
    low, high = clopper_pearson(count, total)
    assert binom.sf(count - 1, total, low) == pytest.approx(0.025, rel=1e-4)
    assert binom.cdf(count, total, high) == pytest.approx(0.025, rel=1e-4)
