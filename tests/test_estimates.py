import pytest

from mathprobe.estimates import (
    START_MINUTES,
    Estimates,
    flops_per_example,
    training_flops,
)

NAME = {"task": "eigenvalues", "distribution": "laplace", "n": 5, "recipe": "base"}


@pytest.fixture(scope="module")
def paper(catalog):
    return Estimates(catalog, "paper")


@pytest.fixture(scope="module")
def model(catalog):
    return catalog.model("paper", **NAME)


def test_hours_are_the_flops_of_all_seeds_at_the_configured_rate(catalog, paper, model):
    rate = catalog.compute("paper").train.flops_per_second
    assert training_flops(model) == 3 * 36_000_000 * flops_per_example(model)
    assert paper.hours(model) == training_flops(model) / rate / 3600


def test_a_decoder_has_an_estimate(catalog, paper):
    decoder = catalog.arith_model("paper", "add_d6_l2_h3_t15K_s372001")
    assert training_flops(decoder) == 15_000 * 64 * flops_per_example(decoder)
    assert 0 < paper.hours(decoder) < paper.longest_hours


def test_the_requested_runtime_grows_with_each_attempt(paper, model):
    requested = [paper.runtime(model, attempt) - START_MINUTES for attempt in (1, 2, 3)]
    margin = paper.train.margin * 60 * paper.hours(model)
    for attempt, minutes in enumerate(requested, 1):
        assert attempt * margin <= minutes < attempt * margin + 1


def test_the_longest_training_has_the_lowest_nice_value(catalog, paper, model):
    models = [catalog.model("paper", **name) for name in catalog.all_models("paper")]
    hours = {paper.hours(one): paper.slurm_nice(one) for one in models}
    assert paper.longest_hours == max(hours)
    assert hours[paper.longest_hours] == "--nice=0"
    shorter = round(paper.longest_hours - paper.hours(model))
    assert paper.slurm_nice(model) == f"--nice={shorter}" != "--nice=0"
