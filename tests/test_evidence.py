"""Evidence: printed numbers against each other and against samples."""

import pytest
from synthetic import PUBLISHED

from mathprobe.linalg.distributions import WIGNER
from mathprobe.spec import Evidence
from mathprobe.studies import evidence


@pytest.fixture(scope="module")
def spec(catalog):
    return catalog.evidence()


@pytest.fixture(scope="module")
def found(spec):
    rows = list(evidence.table(PUBLISHED, spec))
    assert len({(row["evidence"], row["quantity"]) for row in rows}) == len(rows)
    return rows


def of(found, name):
    return [row for row in found if row["evidence"] == name]


def values(found, name):
    return [row["value"] for row in of(found, name)]


def test_every_row_has_the_columns(found):
    assert all(tuple(row) == evidence.COLUMNS for row in found)


def test_the_specification_survives_its_text(spec):
    assert Evidence.from_json(spec.to_json()) == spec


def test_table_4_was_made_with_gaussian_coefficients(found):
    rows = [row for row in of(found, "coefficients") if row["printed"] is None]
    inside = {row["quantity"].split(":")[0]: row["value"] for row in rows}
    assert inside["gaussian"] >= 8
    assert inside["uniform"] <= 1


def test_one_huge_value_makes_the_mean_and_the_deviation(found):
    mean, mantissa, *rest = values(found, "mantissa")
    assert mean > 1e108
    assert mantissa == pytest.approx(1.285, abs=0.001)
    at_5, huge, all_5, at_1, same, all_1 = rest
    assert (at_5, at_1) == pytest.approx((4020, 45403), abs=0.01)
    assert huge == pytest.approx(same, rel=1e-9)
    assert (all_5, all_1) == pytest.approx((50_000, 50_000), abs=0.1)


def test_a_mean_of_many_alike_is_not_taken_for_one_huge_value(spec):
    failures = PUBLISHED["failures"].copy()
    deviations = failures["statistic"] == "deviation"
    failures.loc[deviations, "stored"] /= 10
    other = {**PUBLISHED, "failures": failures}
    cases = [row["value"] for row in evidence.mantissa(other, spec)]
    assert cases[2] < 100
    assert cases[3] != pytest.approx(cases[6], rel=0.01)


def test_rates_of_the_rule_of_eigenvectors_do_not_fit_together(found):
    vectors, inverse, close = of(found, "rule_arithmetic")
    assert vectors["value"] == pytest.approx(0.92 * 99.94 + 0.08 * 96.7)
    assert vectors["value"] - vectors["printed"] > 0.3
    assert inverse["value"] == pytest.approx(inverse["printed"], abs=0.05)
    assert close["value"] == pytest.approx(close["printed"], abs=0.5)


def test_a_third_is_what_another_pair_saves(found):
    abs_laplace, laplace, gaussian = of(found, "saving")
    assert abs_laplace["value"] == pytest.approx(100 * (4.5 - 3.9) / 4.5)
    assert laplace["value"] == pytest.approx(25.0)
    assert gaussian["value"] == pytest.approx(abs_laplace["printed"], abs=0.5)


def test_exact_inverses_fail_as_the_model_does(found):
    rows = {row["quantity"]: row for row in of(found, "inverse_oracle")}
    assert rows["training labels: right"]["value"] == pytest.approx(91.9, abs=1.0)
    for who in ("exact answers", "training labels"):
        rule = rows[f"{who}: condition number, right"]
        assert rule["value"] == pytest.approx(96.7, abs=1.0)
        assert rule["low"] < rule["value"] < rule["high"] < rule["printed"]


def test_the_order_of_the_product_does_not_matter_to_the_share(found):
    code, text = of(found, "product_order")
    assert code["low"] < text["value"] < code["high"]
    assert code["value"] != text["value"]


def test_answers_that_equal_the_label_only_add(found):
    by_error, with_equal, missed = values(found, "exact_tokens")
    assert by_error <= with_equal
    labels = values(found, "product_order")[0]
    assert missed == pytest.approx(100 - labels)


def test_absolute_values_are_right_more_often_than_spectra_are_positive(found):
    rows = {row["quantity"]: row["value"] for row in of(found, "positive_spectra")}
    for distribution in ("Laplace", "Gaussian", "Uniform"):
        positive = rows[f"{distribution}: all eigenvalues positive"]
        assert positive == pytest.approx(100 / 2**5, abs=0.6)
        assert positive < rows[f"{distribution}: |λ| right within 5 %"] < 5.5
    assert rows["Semi-circle: |λ| right within 5 %"] < 0.2


def test_eigenvectors_are_less_concentrated_than_uniform_directions(found):
    uniform, gaussian, other = of(found, "directions")
    assert uniform["value"] == 3 / 35
    assert other["high"] < gaussian["low"] < gaussian["high"] < uniform["value"]


def test_both_orientations_spread_coefficients_alike(found):
    on, off, on_turned, off_turned = values(found, "orientation")
    assert on == pytest.approx(on_turned, rel=0.01)
    assert off == pytest.approx(off_turned, rel=0.01)


def test_the_readings_of_the_factor_differ_by_the_root_of_three(found):
    deviation, mean, code, code_mean, ratio, other = values(found, "marchenko_factor")
    assert ratio == pytest.approx(3**0.5) == pytest.approx(mean / code_mean)
    assert (deviation, code) == pytest.approx((2.403, 1.826), abs=0.001)
    assert other == WIGNER.rms_eigenvalue(5)


def test_printed_counts_are_whole_epochs(found):
    (row,) = of(found, "steps")
    assert row["quantity"].endswith(f"of {row['value']}")


def test_every_number_of_the_text_stands_beside_what_the_tables_have(found):
    said = PUBLISHED["in_text"]
    counts = said[said["statement"] == "learning_speed"]["millions"]
    others = said[said["statement"] != "learning_speed"]["percent"]
    assert sorted(counts) == sorted(
        row["printed"] for row in of(found, "counts_in_text")
    )
    assert set(others) <= {row["printed"] for row in found}


def test_each_text_is_set_against_the_cell_that_it_sums_up(found):
    rows = {row["quantity"]: row for row in of(found, "in_text")}
    home = rows["Table 2, Semi-circle on Semi-circle"]
    assert (home["printed"], home["value"]) == (0.5, 0)
    worst = rows["Table 3, minimum of the Gaussian and Laplace models"]
    assert (worst["printed"], worst["value"]) == (80, 69)
