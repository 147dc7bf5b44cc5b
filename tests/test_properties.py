import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe.linalg import properties
from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.distributions import COEFFICIENTS, Wigner
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.properties import PROPERTIES, THRESHOLDS
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for

EXAMPLES = 20_000
quick = settings(deadline=None, max_examples=40)
tensor = partial(torch.tensor, dtype=torch.float64)
SIZES = st.integers(2, 6)
NAN, INF = math.nan, math.inf


def columns_at(angle):
    """Return two unit columns [1, 2, 2] at an angle."""
    pair = [[1.0, math.cos(angle)], [0.0, math.sin(angle)]]
    return tensor([pair])


def random(seed, batch, *shape):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *shape, generator=rng, dtype=torch.float64)


def measure(vectors):
    """Return the properties of eigenvectors whose eigenvalues are correct."""
    prediction = torch.cat([torch.ones_like(vectors[:, :1]), vectors], 1)
    return PROPERTIES["eigenvectors"](vectors, prediction, prediction)


def rounded(encoding, matrix):
    """Return matrices, rounded by an encoding with three digits."""
    codec = MatrixCodec(ENCODINGS[encoding](digits=3))
    return codec.decode(codec.encode(matrix), *matrix.shape[1:])[0]


def rows_of(values, correct, name="vectors_condition"):
    rows = properties.summary({name: values}, {0.05: correct})
    return {(row["group"], row["statistic"], row["at"]): row for row in rows}


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.0, math.pi / 2, 3.0])
def test_the_angle_between_two_columns(angle):
    measured = measure(columns_at(angle))
    deviation = abs(math.pi / 2 - angle)
    assert measured["column_angle"].item() == pytest.approx(deviation)
    assert measured["angle"].item() >= measured["column_angle"].item()
    swapped = measure(columns_at(angle).mT)
    assert swapped["row_angle"].item() == pytest.approx(deviation)


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.0, math.pi / 2])
def test_the_condition_number_of_two_unit_columns(angle):
    cosine = math.cos(angle)  # their Gram matrix has eigenvalues 1 ± cosine
    expected = math.sqrt((1 + cosine) / (1 - cosine))
    condition = properties.condition_number(columns_at(angle))
    assert condition.item() == pytest.approx(expected)


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0])
def test_rotations_are_orthonormal_by_all_properties(angle):
    c, s = math.cos(angle), math.sin(angle)
    rotation = tensor([[[c, -s], [s, c]]])
    measured = measure(rotation)
    assert measured["norm_deviation"].item() == pytest.approx(0.0, abs=1e-15)
    assert measured["angle"].item() == pytest.approx(0.0, abs=1e-15)
    assert measured["vectors_condition"].item() == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [0.5, 0.98, 1.25])
def test_a_scaled_row_changes_norms_and_condition_number_but_no_angle(factor):
    scaled = torch.diag_embed(tensor([[1.0, factor, 1.0]]))
    measured = measure(scaled)
    assert measured["norm_deviation"].item() == pytest.approx(abs(factor - 1.0))
    assert measured["angle"].item() == 0.0
    expected = max(factor, 1.0 / factor)
    assert measured["vectors_condition"].item() == pytest.approx(expected)


def test_rows_can_be_orthogonal_when_columns_are_not():
    measured = measure(tensor([[[1.0, 1.0], [0.1, -0.1]]]))
    assert measured["row_angle"].item() == 0.0
    assert measured["column_angle"].item() == pytest.approx(math.asin(0.99 / 1.01))
    assert measured["angle"].item() == measured["column_angle"].item()


def test_successive_rows_are_cyclic_neighbours():
    first, second, third, fourth = torch.eye(4).double()
    ring = torch.stack([first, second, third, first + fourth])[None]
    assert properties.max_cosine(ring).item() == pytest.approx(math.sqrt(0.5))
    across = torch.stack([first, second, first + third, fourth])[None]
    assert properties.max_cosine(across).item() == 0.0


def test_parallel_rows_deviate_by_a_right_angle():
    rows = torch.full((1, 2, 2), 0.1, dtype=torch.float64)
    assert properties.max_cosine(rows).item() <= 1.0
    angle = properties.max_angle_deviation(rows).item()
    assert angle == pytest.approx(math.pi / 2, abs=1e-7)


@quick
@given(st.integers(0, 99), SIZES)
def test_eigenvector_properties_agree_with_loops(seed, n):
    vectors = random(seed, 3, n, n)
    measured = measure(vectors)
    for i, h in enumerate(vectors.numpy()):
        norms = [np.linalg.norm(v) for v in (*h, *h.T)]
        assert measured["norm_deviation"][i].item() == pytest.approx(
            max(abs(norm - 1) for norm in norms)
        )
        for name, rows in (("row_angle", h), ("column_angle", h.T)):
            cosines = [
                rows[k] @ rows[k - 1] / math.hypot(*rows[k]) / math.hypot(*rows[k - 1])
                for k in range(n)
            ]
            expected = math.asin(max(abs(cosine) for cosine in cosines))
            assert measured[name][i].item() == pytest.approx(expected)
        expected = np.linalg.cond(h)
        assert measured["vectors_condition"][i].item() == pytest.approx(expected)


@quick
@given(st.integers(0, 99), SIZES)
def test_inverse_properties_agree_with_loops(seed, n):
    matrix, target, prediction = random(seed, 3, 3, n, n).unbind(1)
    measured = PROPERTIES["inverse"](matrix, target, prediction)
    for i, (m, t, p) in enumerate(
        zip(matrix.numpy(), target.numpy(), prediction.numpy(), strict=True)
    ):
        distance = sum(map(abs, (t - p).flat)) / sum(map(abs, t.flat))
        assert measured["inverse_error"][i].item() == pytest.approx(distance)
        assert measured["matrix_condition"][i].item() == pytest.approx(
            np.linalg.cond(m)
        )
        assert measured["matrix_norm"][i].item() == pytest.approx(np.linalg.norm(m, 2))
        norm = np.linalg.norm(p, 2)
        assert measured["prediction_norm"][i].item() == pytest.approx(norm)


def test_the_eigenvalue_error_depends_on_the_eigenvalues_only():
    target = tensor([[[4.0, -1.0], [1.0, 0.0], [0.0, 1.0]]])
    prediction = target.clone()
    prediction[:, 0] += torch.tensor([0.5, -0.25])
    prediction[:, 1:] *= 7.0
    measured = PROPERTIES["eigenvectors"](target[:, 1:], target, prediction)
    assert measured["eigenvalue_error"].item() == pytest.approx(0.15)


@quick
@given(st.integers(0, 99), SIZES, st.data())
def test_properties_do_not_depend_on_signs_of_columns(seed, n, data):
    signs = data.draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=n, max_size=n))
    vectors = random(seed, 4, n, n)
    turned = measure(vectors * tensor(signs))
    for name, values in measure(vectors).items():
        torch.testing.assert_close(turned[name], values)


@quick
@given(st.integers(0, 99), SIZES)
def test_rotations_preserve_condition_number_and_cosines_of_rows(seed, n):
    vectors, square = random(seed, 2, 4, n, n)
    rotated = vectors @ torch.linalg.qr(square).Q
    for measured in (properties.condition_number, properties.max_cosine):
        torch.testing.assert_close(measured(rotated), measured(vectors))


def test_malformed_predictions_are_nan_and_do_not_affect_others():
    vectors = torch.eye(3).double().repeat(2, 1, 1)
    vectors[0] = NAN
    for values in measure(vectors).values():
        assert values[1:].isfinite().all()
    prediction = torch.full((1, 4, 3), NAN).double()
    target = torch.ones_like(prediction)
    measured = PROPERTIES["eigenvectors"](vectors[1:], target, prediction)
    assert all(values.isnan().all() for values in measured.values())


def test_a_malformed_inverse_does_not_affect_the_matrix_condition():
    matrix = 2.0 * torch.eye(3).double()[None]
    measured = PROPERTIES["inverse"](matrix, matrix.inverse(), NAN * matrix)
    assert measured["inverse_error"].isnan()
    assert measured["prediction_norm"].isnan()
    assert measured["matrix_condition"].item() == pytest.approx(1.0)
    assert measured["matrix_norm"].item() == pytest.approx(2.0)


def test_a_singular_matrix_has_an_infinite_condition_number():
    singular = torch.diag_embed(tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert properties.condition_number(singular).tolist() == [INF, INF]


def test_the_largest_encoded_numbers_do_not_overflow():
    vectors = torch.diag_embed(tensor([[999e100, 1e-100]]))
    measured = measure(vectors)
    assert measured["vectors_condition"].item() == pytest.approx(9.99e202)
    assert measured["norm_deviation"].item() == pytest.approx(9.99e102)
    assert measured["angle"].item() == 0.0


def test_the_angle_of_a_zero_vector_is_nan_and_below_no_threshold():
    vectors = torch.eye(3).double()[None].clone()
    vectors[0, 0] = 0.0
    angle = measure(vectors)["angle"]
    assert angle.isnan()
    rows = rows_of(angle, torch.tensor([False]), "angle")
    assert all(row["count"] == 0 for row in rows.values())


def test_proportions_are_computed_by_success():
    angle = tensor([0.01, 0.02, 0.04, 0.03, 0.5, NAN])
    correct = torch.tensor([True, True, True, False, False, False])
    rows = rows_of(angle, correct, "angle")
    assert {key: row["count"] for key, row in rows.items() if key[2] == 0.03} == {
        ("all", "below", 0.03): 2,
        ("success", "below", 0.03): 2,
        ("failure", "below", 0.03): 0,
    }
    assert rows["failure", "below", 0.05]["value"] == pytest.approx(1 / 3)
    assert rows["all", "below", 0.1]["examples"] == 6
    assert rows["failure", "below", 0.1]["examples"] == 3
    for row in rows.values():
        assert tuple(row) == properties.COLUMNS
        assert row["low"] <= row["value"] <= row["high"]


def test_thresholds_agree_with_the_paper():
    assert THRESHOLDS["angle"] == (0.1, 0.05, 0.03)
    listed = (0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25)
    for name in ("error", "eigenvalue_error", "norm_deviation", "row_cosine"):
        assert THRESHOLDS[name] == listed
    assert THRESHOLDS["inverse_error"] == (0.05, 0.25)


def test_moments_and_quantiles_use_finite_values():
    values = tensor([4.0, 1.0, INF, 3.0, 2.0, NAN])
    rows = rows_of(values, torch.ones(6, dtype=torch.bool))
    infinite, mean = rows["all", "infinite", None], rows["all", "mean", None]
    assert (infinite["count"], infinite["examples"]) == (1, 6)
    assert (mean["value"], mean["examples"]) == (2.5, 4)
    assert rows["all", "deviation", None]["value"] == pytest.approx(math.sqrt(1.25))
    median = rows["all", "quantile", 0.5]
    assert (median["low"], median["value"], median["high"]) == (1.0, 2.5, 4.0)
    ends = [rows["all", name, None]["value"] for name in ("least", "largest")]
    assert ends == [1.0, 4.0]
    assert all(tuple(row) == properties.COLUMNS for row in rows.values())


def test_all_statistics_of_an_empty_group_are_none():
    rows = rows_of(torch.ones(3).double(), torch.ones(3, dtype=torch.bool))
    failures = {key[1:]: row for key, row in rows.items() if key[0] == "failure"}
    assert failures.keys() == {key[1:] for key in rows if key[0] == "success"}
    assert failures["infinite", None]["count"] == 0
    for row in failures.values():
        assert row["examples"] == 0
        assert (row["value"], row["low"], row["high"]) == (None, None, None)


def test_groups_depend_on_the_tolerance_except_for_all_examples():
    angle = tensor([0.01, 0.02, 0.2])
    correct = {
        0.05: torch.tensor([True, True, False]),
        0.01: torch.tensor([True, False, False]),
    }
    found = {
        (row["group"], row["tolerance"]): row["examples"]
        for row in properties.summary({"angle": angle}, correct)
    }
    assert found == {
        ("all", None): 3,
        ("success", 0.05): 2,
        ("failure", 0.05): 1,
        ("success", 0.01): 1,
        ("failure", 0.01): 2,
    }
    rows = list(properties.summary({"angle": angle}, correct))
    assert len(rows) == len(found) * len(THRESHOLDS["angle"])


def test_a_single_outlier_changes_the_mean_but_not_the_median():
    """The paper's mean of 1.28 is the notebook's 1.28e108."""
    values = torch.full((4020,), 1.1, dtype=torch.float64)
    values[0] = 5.2e111
    rows = rows_of(values, torch.zeros(4020, dtype=torch.bool))
    assert rows["failure", "mean", None]["value"] > 1e108
    assert rows["failure", "quantile", 0.5]["value"] == 1.1


def test_properties_of_rounded_exact_eigenvectors():
    wigner = Wigner(coefficients="uniform")
    matrix = rounded("fp15", wigner.draw(rng_for("properties"), EXAMPLES, 5))
    values, vectors = torch.linalg.eigh(matrix)
    exact = torch.cat([values[:, None], vectors], 1)
    measured = PROPERTIES["eigenvectors"](matrix, exact, rounded("p1000", exact))
    condition = measured["vectors_condition"]
    assert condition.mean().item() == pytest.approx(1.0013, abs=5e-5)
    assert condition.std().item() == pytest.approx(0.0002, abs=5e-5)
    assert condition.max().item() == pytest.approx(1.0022, abs=2e-4)
    assert measured["norm_deviation"].max() < 0.005
    assert measured["angle"].sin().max().item() == pytest.approx(0.0016, abs=2e-4)
    assert measured["eigenvalue_error"].max() < 0.005


def test_rounded_exact_inverses_are_close_to_the_inverse_of_the_rounded_matrix():
    rng = rng_for("properties")
    matrix = COEFFICIENTS["uniform"](rng, (EXAMPLES, 5, 5), 10 / math.sqrt(3))
    prediction, matrix = rounded("p1000", matrix.inverse()), rounded("fp15", matrix)
    measured = PROPERTIES["inverse"](matrix, matrix.inverse(), prediction)
    close = (measured["inverse_error"] < 0.05).double().mean().item()
    assert close == pytest.approx(0.986, abs=4 * math.sqrt(0.986 * 0.014 / EXAMPLES))


def test_a_task_without_properties_raises_an_error():
    with pytest.raises(UnknownName, match="eigenvectors, inverse, symmetric_inverse"):
        PROPERTIES["eigenvalues"]
