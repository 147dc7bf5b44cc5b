"""Verdicts on published claims, and the definition of a match."""

import pandas as pd
import pytest
from synthetic import (
    CATALOG,
    EMPTY_TABLES,
    PUBLISHED,
    PUBLISHED_ARITH,
    SCALES,
    facts,
    findings_of,
    synthetic_tables,
)

from mathprobe.intervals import matches
from mathprobe.paper.findings import Source, build, exceeds, verdict
from mathprobe.paper.naming import decoder_labels


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


def source(tables, scale="demo", recorded=False):
    context = facts(scale)
    context["published"] = PUBLISHED | PUBLISHED_ARITH
    return Source(scale, recorded, tables, context)


def verdicts(tables, scale="demo"):
    """Return the verdicts on all claims by their names."""
    return build([source(tables, scale)]).set_index("claim")["verdict"].to_dict()


@pytest.mark.parametrize("scale", SCALES)
def test_every_claim_has_a_verdict(scale):
    found = verdicts(synthetic_tables(scale), scale)
    assert set(found.values()) <= {"yes", "no", "partly", "undecided", "–"}
    assert found["in_distribution"] == "no"  # most are far below the oracle's 96 %
    assert found["conditions"] == "yes"  # all quantiles are the published ones


def change(kind: str, **values) -> dict:
    tables = synthetic_tables("demo")
    tables[kind] = tables[kind].assign(**values)
    return tables


def test_no_wrong_answer_in_few_questions_shows_no_low_rate():
    none = change("arith_accuracy", fails=0, per_million=0.0, low=0.0, high=73.8)
    assert verdicts(none)["decoders"] == "undecided"
    many = change("arith_accuracy", fails=0, per_million=0.0, low=0.0, high=3.7)
    assert verdicts(many)["decoders"] == "yes"
    bad = change("arith_accuracy", fails=9, per_million=180.0, low=82.3, high=341.7)
    assert verdicts(bad)["decoders"] == "no"


def test_a_decoder_with_many_published_errors_decides_nothing():
    tables = synthetic_tables("paper")
    rates = tables["arith_accuracy"].query("model == 'add_d5_l1_h3_t30K_s372001'")
    for rate, low, high in ((6670.0, 6511.4, 6831.5), (2.0, 0.2, 7.2)):
        values = {"per_million": rate, "low": low, "high": high}
        tables["arith_accuracy"] = rates.assign(**values)
        found = findings_of(tables, "paper").set_index("claim").loc["decoders"]
        assert found["verdict"] == "undecided"
        assert found["published"] == "29 of 49 models; 0 of the 1 measured here"


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
        assert verdicts(tables)["speed"] == expected


def test_of_several_targets_the_highest_decides_who_learns_faster():
    tables = synthetic_tables("demo")
    lower = tables["learning_speed"].assign(target=0.5, examples=1)
    tables["learning_speed"] = pd.concat([lower, tables["learning_speed"]])
    found = build([source(tables)]).set_index("claim").loc["speed"]
    assert found["verdict"] == verdicts(synthetic_tables("demo"))["speed"]
    assert found["published"].endswith("(to 99 %) (5 × 5)")
    assert found["ours"].endswith("(to 80 %)")


def test_the_interval_of_a_mean_is_that_of_independent_tests():
    tables = change("ood", accuracy=0.9, low=0.88, high=0.92)
    found = build([source(tables)]).set_index("claim").loc["robust"]
    assert found["ours"] == "90.0, 90.0; 90.0 % (± 0.8)"  # 2 / sqrt(7)
    assert found["verdict"] == "undecided"


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


def test_recorded_and_own_results_have_their_own_rows():
    tables = synthetic_tables("demo")
    worse = change("arith_accuracy", fails=9, per_million=180.0, low=82.3, high=341.7)
    found = build([source(worse, "demo", True), source(tables)])
    rows = found[found["claim"] == "decoders"]
    assert rows["recorded"].tolist() == [True, False]
    assert rows["verdict"].tolist() == ["no", "yes"]
    assert rows["size"].tolist() == ["3 digits"] * 2


def test_a_model_of_two_recorded_scales_is_shown_once():
    tables = synthetic_tables("demo")
    found = build([source(tables, "demo", True), source(tables, "demo", True)])
    assert found["claim"].is_unique


def test_a_claim_that_is_not_measured_has_its_published_value_and_a_dash():
    found = build([source(EMPTY_TABLES)]).set_index("claim")
    decoders = found.loc["decoders"]
    assert (decoders["ours"], decoders["verdict"]) == ("", "–")
    assert decoders["published"] == "29 of 49 models"
    assert found.loc["reuse", "published"] == "42 of 48 for addition"


def test_a_finding_is_that_of_the_first_size_which_is_measured():
    tables = synthetic_tables("paper")
    large = (tables["ood"]["task"] == "eigenvalues") & (tables["ood"]["n"] == 5)
    tables["ood"].loc[large, ["accuracy", "low", "high"]] = None
    found = build([source(tables, "paper")]).set_index("claim")
    assert found.loc["in_distribution", "size"] == "8 × 8"
