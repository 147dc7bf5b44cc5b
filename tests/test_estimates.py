import pytest

from mathprobe.estimates import START_MINUTES, Estimates, operations, per_example

NAME = {"task": "eigenvalues", "law": "laplace", "n": 5, "recipe": "base"}


@pytest.fixture(scope="module")
def paper(books):
    return Estimates(books, "paper")


@pytest.fixture(scope="module")
def model(books):
    return books.model("paper", **NAME)


def test_hours_are_those_of_all_seeds_at_the_assumed_rate(books, paper, model):
    rate = books.compute("paper").train.flops_per_second
    assert operations(model) == 3 * 36_000_000 * per_example(model)
    assert paper.hours(model) == operations(model) / rate / 3600


def test_a_decoder_is_estimated_too(books, paper):
    decoder = books.arith_model("paper", "add_d6_l2_h3_t15K_s372001")
    assert operations(decoder) == 15_000 * 64 * per_example(decoder)
    assert 0 < paper.hours(decoder) < paper.longest


def test_every_attempt_asks_for_as_much_more(paper, model):
    asked = [paper.minutes(model, attempt) - START_MINUTES for attempt in (1, 2, 3)]
    margin = paper.train.margin * 60 * paper.hours(model)
    for attempt, minutes in enumerate(asked, 1):
        assert attempt * margin <= minutes < attempt * margin + 1


def test_the_longest_training_is_started_first(books, paper, model):
    models = [books.model("paper", **name) for name in books.all_models("paper")]
    hours = {paper.hours(one): paper.nice(one) for one in models}
    assert paper.longest == max(hours)
    assert hours[paper.longest] == "--nice=0"
    shorter = round(paper.longest - paper.hours(model))
    assert paper.nice(model) == f"--nice={shorter}" != "--nice=0"
