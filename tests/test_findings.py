"""Verdicts on published claims, and the definition of a match."""

import pytest
from synthetic import CATALOG, SCALES, facts, synthetic_tables

from mathprobe.intervals import matches
from mathprobe.paper.naming import decoder_labels
from mathprobe.paper.verdicts import exceeds, verdict, verdicts


@pytest.mark.parametrize(
    ("ours", "published", "rounding", "expected"),
    [
        ((0.50, 0.60), (0.55, 0.55), 0.0, True),
        ((0.50, 0.60), (0.61, 0.61), 0.0, False),
        ((0.50, 0.606), (0.61, 0.61), 0.005, True),  # 0.606 is printed as 61 %
        ((0.50, 0.60), (0.61, 0.61), 0.005, False),
        ((0.50, 0.60), (0.59, 0.70), 0.0, True),
        ((0.50, 0.60), (0.40, 0.49), 0.0, False),
    ],
)
def test_a_value_matches_within_rounding_and_both_intervals(
    ours, published, rounding, expected
):
    assert matches(ours, published, rounding) is expected
    assert matches(published, ours, rounding) is expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], "---"),
        ([True, True, None], "yes"),
        ([False, False, None], "no"),
        ([True, False, None], "partly"),
        ([True, None], "undecided"),
        ([None], "undecided"),
    ],
)
def test_a_verdict_follows_from_the_outcomes(outcomes, expected):
    assert verdict(outcomes) == expected


def test_an_interval_around_the_bound_decides_nothing():
    assert exceeds(0.6, 0.7, 0.5) is True
    assert exceeds(0.3, 0.4, 0.5) is False
    assert exceeds(0.4, 0.6, 0.5) is None
    assert exceeds(None, None, 0.5) is None


@pytest.mark.parametrize("scale", SCALES)
def test_every_claim_has_a_verdict(scale):
    found = verdicts(synthetic_tables(scale), facts(scale))
    assert set(found.values()) <= {"yes", "no", "partly", "undecided", "---"}
    assert found["in_distribution"] == "no"  # most are far below the oracle's 96 %
    assert found["conditions"] == "yes"  # all quantiles are the published ones


def change(kind: str, **values) -> dict:
    tables = synthetic_tables("demo")
    tables[kind] = tables[kind].assign(**values)
    return tables


def test_no_wrong_answer_in_few_questions_shows_no_low_rate():
    none = change("arith_accuracy", fails=0, per_million=0.0, low=0.0, high=73.8)
    assert verdicts(none, facts("demo"))["decoders"] == "undecided"
    many = change("arith_accuracy", fails=0, per_million=0.0, low=0.0, high=3.7)
    assert verdicts(many, facts("demo"))["decoders"] == "yes"
    bad = change("arith_accuracy", fails=9, per_million=180.0, low=82.3, high=341.7)
    assert verdicts(bad, facts("demo"))["decoders"] == "no"


def test_differences_below_the_resolution_do_not_decide_who_learns_faster():
    for laplace, expected in (
        (150_000, "undecided"),
        (100_000, "yes"),
        (300_000, "no"),
    ):
        tables = synthetic_tables("demo")
        rows = tables["learning_speed"]
        others = rows["train"].isin(["laplace", "gaussian"])
        rows["examples"] = others.map({True: laplace, False: 160_000})
        assert verdicts(tables, facts("demo"))["speed"] == expected


def test_every_decoder_has_its_own_label():
    for scale in ("demo", "paper"):
        models = CATALOG.facts(scale)["arith"]["models"]
        labels = decoder_labels(models)
        assert len(set(labels.values())) == len(labels) == len(models)
    assert (
        decoder_labels(CATALOG.facts("demo")["arith"]["models"])[
            "ins1_mix_d3_l3_h4_t6K_s1"
        ]
        == "both, 3 digits, 3 × 4 heads, from parent"
    )
