"""The baseline does the same work as mathprobe, so that the two can be compared."""

from functools import cache

import baseline
import pytest
import run
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe.linalg.encodings import ENCODINGS

encoding = cache(lambda name: ENCODINGS[name](digits=3))
NUMBERS = st.floats(1e-6, 1e6).flatmap(lambda x: st.sampled_from([x, -x]))


@pytest.mark.parametrize("name", ["fp15", "p1000"])
@settings(deadline=None)
@given(x=NUMBERS)
def test_the_baseline_has_the_same_tokens(name, x):
    assert getattr(baseline, name)(x) == encoding(name).tokens(x)


def test_the_baseline_has_the_published_vocabulary():
    tokens = baseline.vocabulary()
    assert set(ENCODINGS["fp15"](digits=3).vocabulary) <= set(tokens)
    assert set(ENCODINGS["p1000"](digits=3).vocabulary) <= set(tokens)
    unused = 20 + 3  # special tokens except the two ends; `10^`, the point and the bar
    assert len(tokens) == 30_329 - unused


def test_the_baseline_learns():
    torch.manual_seed(0)
    model = baseline.Model((1, 1), 16, 2)
    batch = baseline.Data(2).batch(8)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = [p.clone() for p in model.parameters()]
    baseline.step(model, adam, batch)
    assert any(
        not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)
    )
    decoded = baseline.decode(model, batch[0], 5)
    assert decoded.shape == (8, 5)


def test_the_table_compares_with_the_baseline_and_an_earlier_release():
    machine = {
        "device": "cpu",
        "cpu": "C",
        "threads": 2,
        "matrix_rates": {"float32": 1e11},
    }
    machine["versions"] = {"torch": "2.13.0"}
    row = {"ours": {"best": 300.0}, "plain": {"best": 100.0}, "share_of_floor": 0.5}
    row["memory"] = 7.4
    now = {"machine": machine, "results": {"training, n=5": row}}
    old = {"results": {"training, n=5": {"ours": {"best": 150.0}}}}
    assert run.table(now, old).splitlines()[-1] == (
        "| training, n=5 | 300 | 100.0 | 3.0 | 50% | 150 | 7 |  |"
    )


def test_the_training_benchmark_measures_flops_rates_and_memory(smoke_model):
    result = run.training(smoke_model, matmul_rate=1e9)
    again = run.example_flops(smoke_model, batch=4)
    assert result["flops"] == pytest.approx(again, rel=1e-3)  # zeros have fewer tokens
    assert result["memory"] > 100.0 < result["plain_memory"]
    assert result["share_of_floor"] == result["flops"] * result["ours"]["best"] / 1e9


def idle(model):
    return lambda: None


def test_memory_excludes_the_parent_process(smoke_model):
    large = torch.ones(375_000_000)  # 1500 MB
    assert 50.0 < run.peak_memory(idle, smoke_model) < large.nbytes / 1e6 - 400.0


def test_a_rate_counts_examples_per_second():
    result = run.rate(lambda: None, 10)
    assert result["best"] >= result["median"] > 0
