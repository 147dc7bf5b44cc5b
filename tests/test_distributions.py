import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mathprobe.errors import InputError
from mathprobe.linalg import distributions
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for

PAPER = [
    "semicircle",
    "uniform",
    "gaussian",
    "laplace",
    "abs_semicircle",
    "abs_laplace",
    "marchenko_pastur",
]
POSITIVE = {"abs_semicircle", "abs_laplace", "marchenko_pastur"}
SYMMETRIC = [name for name in DISTRIBUTIONS if distributions.is_symmetric(name)]
GENERAL = [name for name in DISTRIBUTIONS if not distributions.is_symmetric(name)]
WITH_EIGENVALUES = {"uniform", "gaussian", "laplace", "abs_semicircle", "abs_laplace"}
COUNT, N = 20_000, 5


def draw_with(distribution, stream, count, n=N, **parameters):
    """Return matrices [B, n, n] of a distribution with some parameters replaced."""
    defaults = distributions.default_parameters(distribution)
    return DISTRIBUTIONS[distribution](
        rng_for(stream), count, n, replace(defaults, **parameters)
    )


@pytest.fixture(scope="module")
def spectra():
    """Return eigenvalues [B, n] of every symmetric distribution."""
    matrices = {
        name: DISTRIBUTIONS[name](rng_for("test", name), COUNT, N) for name in SYMMETRIC
    }
    return {k: torch.linalg.eigvalsh(matrix).numpy() for k, matrix in matrices.items()}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_matrices_are_float64_and_symmetric_if_registered_as_symmetric(distribution, n):
    matrix = DISTRIBUTIONS[distribution](rng_for("test"), 50, n)
    assert matrix.shape == (50, n, n)
    assert matrix.dtype == torch.float64
    assert torch.equal(matrix, matrix.mT) == (distribution in SYMMETRIC or n == 1)
    assert matrix.isfinite().all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_equal_seeds_give_equal_matrices(distribution):
    first, again, other = (
        DISTRIBUTIONS[distribution](rng_for("s", k), 9, 3) for k in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("distribution", sorted(set(SYMMETRIC) - {"marchenko_pastur"}))
def test_all_distributions_but_marchenko_have_the_wigner_second_moment(
    spectra, distribution
):
    expected = math.sqrt(N) * 10 / math.sqrt(3)
    squares = (spectra[distribution] ** 2).mean(1)
    error = squares.std() / math.sqrt(COUNT)
    assert abs(squares.mean() - expected**2) < 4 * error


@pytest.mark.parametrize("distribution", SYMMETRIC)
def test_positive_distributions_have_nonnegative_eigenvalues(spectra, distribution):
    assert distributions.is_positive(distribution) == (distribution in POSITIVE)
    if distribution in POSITIVE:
        assert (spectra[distribution] > -1e-9).all()
    else:
        assert abs((spectra[distribution] > 0).mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    ("distribution", "cdf"),
    [
        ("uniform", stats.uniform(-math.sqrt(N) * 10, 2 * math.sqrt(N) * 10).cdf),
        ("gaussian", stats.norm(0, math.sqrt(N) * 10 / math.sqrt(3)).cdf),
        ("laplace", stats.laplace(0, math.sqrt(N / 6) * 10).cdf),
        ("abs_laplace", stats.expon(0, math.sqrt(N / 6) * 10).cdf),
    ],
)
def test_independent_eigenvalues_follow_their_distribution(spectra, distribution, cdf):
    assert stats.kstest(spectra[distribution].ravel(), cdf).pvalue > 1e-3


def test_abs_semicircle_has_the_absolute_values_of_semicircle(spectra):
    pair = (np.abs(spectra["semicircle"]).ravel(), spectra["abs_semicircle"].ravel())
    assert stats.ks_2samp(*pair).pvalue > 1e-3


def test_wigner_coefficients_are_gaussian_with_the_stated_std():
    matrix = DISTRIBUTIONS["semicircle"](rng_for("test"), COUNT, N).numpy()
    upper = matrix[:, *np.triu_indices(N)].ravel()
    assert stats.kstest(upper, stats.norm(0, 10 / math.sqrt(3)).cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", sorted(set(PAPER) - {"marchenko_pastur"}))
def test_uniform_and_gaussian_coefficients_give_equal_second_moments(
    spectra, distribution
):
    matrix = draw_with(distribution, "u", COUNT, coefficients="uniform")
    squares = torch.linalg.eigvalsh(matrix).square().mean(1).numpy()
    expected = (spectra[distribution] ** 2).mean(1)
    error = math.sqrt((squares.var() + expected.var()) / COUNT)
    assert abs(squares.mean() - expected.mean()) < 4 * error


def test_uniform_wigner_coefficients_are_bounded():
    matrix = DISTRIBUTIONS["semicircle"](
        rng_for("u"), COUNT, N, distributions.Wigner(coefficients="uniform")
    )
    assert 9.99 < matrix.abs().max() <= 10.0


def test_unknown_coefficients_raise_an_error_with_the_known_names():
    with pytest.raises(UnknownName, match="known names are gaussian, uniform"):
        draw_with("laplace", "u", 1, coefficients="cauchy")


def test_unknown_orientations_raise_an_error_with_the_known_names():
    with pytest.raises(UnknownName, match="known names are columns, rows"):
        draw_with("laplace", "u", 1, eigenvectors="diagonal")


def test_marchenko_pastur_mean_eigenvalue_follows_from_the_factor(spectra):
    deviation = math.sqrt(10 / math.sqrt(3))
    mean = spectra["marchenko_pastur"].mean(1)
    error = mean.std() / math.sqrt(COUNT)
    assert abs(mean.mean() - N * deviation**2) < 4 * error
    assert pytest.approx(2.4028114141347543) == distributions.FACTOR.deviation


def test_marchenko_pastur_scales_with_the_deviation_of_the_factor():
    narrow = DISTRIBUTIONS["marchenko_pastur"](
        rng_for("test"), 100, N, distributions.Factor(deviation=1.0)
    )
    wide = DISTRIBUTIONS["marchenko_pastur"](
        rng_for("test"), 100, N, distributions.Factor(deviation=2.0)
    )
    torch.testing.assert_close(wide, 4 * narrow)


def test_with_spectrum_has_the_given_eigenvalues_and_eigenvectors():
    vectors = torch.linalg.eigh(DISTRIBUTIONS["semicircle"](rng_for("v"), 20, 4))[1]
    values = torch.tensor([[-7.0, -1.0, 2.0, 9.0]], dtype=torch.float64).expand(20, 4)
    matrix = distributions.with_spectrum(vectors, values)
    torch.testing.assert_close(torch.linalg.eigvalsh(matrix), values)
    torch.testing.assert_close(matrix @ vectors, vectors * values[:, None, :])


def test_eigenvectors_are_columns_or_rows_of_h():
    values = torch.randn(10, N, generator=rng_for("values"), dtype=torch.float64)
    wigner = DISTRIBUTIONS["semicircle"](rng_for("h"), 10, N)
    h = torch.linalg.eigh(wigner)[1]
    given = distributions.from_eigensystem(lambda *_: (values, h))
    for orientation in ("columns", "rows"):
        parameters = distributions.Spectrum(eigenvectors=orientation)
        sample = given.draw(rng_for("none"), (10, N, N), parameters)
        assert torch.equal(sample.eigenvalues, values)
        for matrix, one, spectrum in zip(sample.matrix, h, values, strict=True):
            left = one if orientation == "columns" else one.T
            expected = left.numpy() @ np.diag(spectrum) @ left.T.numpy()
            np.testing.assert_allclose(matrix, expected, atol=1e-13)
            np.testing.assert_array_equal(matrix, matrix.T)


@pytest.mark.parametrize("distribution", sorted(WITH_EIGENVALUES))
def test_orientation_changes_matrices_but_not_their_eigenvalues(distribution):
    columns, rows = (
        draw_with(distribution, "turn", 100, eigenvectors=orientation)
        for orientation in ("columns", "rows")
    )
    assert not torch.isclose(columns, rows).all(1).all(1).any()
    torch.testing.assert_close(*map(torch.linalg.eigvalsh, (columns, rows)))


def deviations(distribution, **parameters):
    """Return the standard deviations [n, n] of coefficients by position."""
    return draw_with(distribution, "position", 60_000, **parameters).std(0).numpy()


def test_coefficients_depend_on_their_position_only_if_eigenvectors_are_rows():
    """Expected values are from the published code, and from a sample of our own."""
    code, text = (
        deviations("laplace", eigenvectors=place) for place in ("rows", "columns")
    )
    np.testing.assert_allclose([code[0, 1], code[0, 4]], [4.73, 5.57], rtol=0.02)
    np.testing.assert_allclose([code[0, 0], code[2, 2]], [7.99, 8.46], rtol=0.02)
    np.testing.assert_allclose([text[0, 1], text[0, 4]], [4.98, 4.99], rtol=0.02)
    np.testing.assert_allclose([text[0, 0], text[2, 2]], [8.15, 8.11], rtol=0.02)


@pytest.mark.parametrize(
    ("orientation", "on", "off"), [("rows", 3.41, 2.87), ("columns", 2.83, 3.03)]
)
def test_orientation_changes_the_diagonal_of_absolute_spectra(orientation, on, off):
    """Expected values are from the published code, and from a sample of our own."""
    uniform = {"coefficients": "uniform", "eigenvectors": orientation}
    matrix = draw_with("abs_semicircle", "diagonal", 40_000, **uniform)
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    others = matrix[:, *torch.tril_indices(N, N, -1)]
    assert float(diagonal.std()) == pytest.approx(on, rel=0.01)
    assert float(others.std()) == pytest.approx(off, rel=0.01)


def test_only_distributions_with_given_eigenvalues_have_an_orientation():
    oriented = {
        name
        for name in DISTRIBUTIONS
        if hasattr(distributions.default_parameters(name), "eigenvectors")
    }
    assert oriented == WITH_EIGENVALUES


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_default_parameters_are_used_by_default(distribution):
    parameters = distributions.default_parameters(distribution)
    explicit = DISTRIBUTIONS[distribution](rng_for("s"), 3, 2, parameters)
    assert torch.equal(explicit, DISTRIBUTIONS[distribution](rng_for("s"), 3, 2))


@pytest.mark.parametrize("distribution", PAPER)
def test_default_coefficients_are_gaussian(distribution):
    assert distributions.default_parameters(distribution).coefficients == "gaussian"


def test_uniform_wigner_equals_semicircle_with_uniform_coefficients():
    wigner = distributions.Wigner(coefficients="uniform")
    expected = DISTRIBUTIONS["semicircle"](rng_for("w"), 9, 4, wigner)
    assert torch.equal(DISTRIBUTIONS["uniform_wigner"](rng_for("w"), 9, 4), expected)


@pytest.mark.parametrize(
    ("distribution", "cdf"),
    [
        ("uniform_coefficients", stats.uniform(-10, 20).cdf),
        ("gaussian_coefficients", stats.norm(0, 10 / math.sqrt(3)).cdf),
    ],
)
@pytest.mark.parametrize("columns", [4, 7])
def test_independent_coefficients_follow_their_distribution(distribution, cdf, columns):
    matrix = distributions.draw_matrices(
        distribution, {}, rng_for("c"), 500, (4, columns)
    ).matrix
    assert matrix.shape == (500, 4, columns)
    assert stats.kstest(matrix.flatten().numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", [*GENERAL, "uniform_wigner"])
def test_the_bound_of_independent_coefficients_can_be_set(distribution):
    wide = DISTRIBUTIONS[distribution](
        rng_for("b"), 9, 3, distributions.Iid(bound=20.0)
    )
    torch.testing.assert_close(
        wide, 2 * DISTRIBUTIONS[distribution](rng_for("b"), 9, 3)
    )


def test_the_seven_distributions_of_the_paper_are_tabulated():
    assert [name for name in DISTRIBUTIONS if distributions.is_tabulated(name)] == PAPER
    assert GENERAL == ["uniform_coefficients", "gaussian_coefficients"]


@pytest.mark.parametrize(
    ("name", "positive", "symmetric"),
    [
        ("laplace+uniform", False, True),
        ("abs_laplace+marchenko_pastur", True, True),
        ("abs_laplace+laplace", False, True),
        ("laplace+uniform_coefficients", False, False),
    ],
)
def test_a_mixture_has_the_common_properties_of_its_components(
    name, positive, symmetric
):
    assert distributions.is_positive(name) == positive
    assert distributions.is_symmetric(name) == symmetric
    assert not distributions.is_tabulated(name)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_draw_matrices_agrees_with_the_single_distribution(distribution):
    drawn = distributions.draw_matrices(
        distribution, {}, rng_for("one"), 20, (3, 3)
    ).matrix
    assert torch.equal(drawn, DISTRIBUTIONS[distribution](rng_for("one"), 20, 3))


def test_several_shapes_are_drawn_in_order_and_concatenated():
    rng = rng_for("side")
    distribution, shapes = "gaussian_coefficients", ((4, 2), (4, 3))
    left, right = (
        distributions.draw_matrices(distribution, {}, rng, 5, shape).matrix
        for shape in shapes
    )
    both = distributions.draw_matrices(
        distribution, {}, rng_for("side"), 5, *shapes
    ).matrix
    assert torch.equal(both, torch.cat([left, right], dim=2))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *(
            (distribution, distribution in WITH_EIGENVALUES)
            for distribution in DISTRIBUTIONS
        ),
        ("laplace+uniform", True),
        ("laplace+semicircle", False),
    ],
)
def test_returned_eigenvalues_belong_to_the_matrices(name, known):
    matrix, eigenvalues = distributions.draw_matrices(
        name, {}, rng_for("chosen"), 500, (N, N)
    )
    assert (eigenvalues is not None) == known
    if known:
        expected = torch.linalg.eigvalsh(matrix)
        error = (expected - eigenvalues.sort().values).abs().amax(1)
        assert (error <= 1e-13 * expected.abs().amax(1)).all()


def test_concatenated_matrices_have_no_eigenvalues():
    shapes = ((3, 3), (3, 3))
    sample = distributions.draw_matrices("laplace", {}, rng_for("two"), 9, *shapes)
    assert sample.eigenvalues is None


@pytest.fixture
def numbered(monkeypatch):
    """Register distributions a, b and c, whose matrices encode component and order."""
    monkeypatch.setattr(DISTRIBUTIONS, "_entries", dict(DISTRIBUTIONS._entries))
    for number, name in enumerate("abc"):

        @DISTRIBUTIONS.add(name)
        @distributions.from_matrices(distributions.WIGNER)
        def distribution(rng, shape, parameters, number=number):
            batch = shape[0]
            torch.rand(batch, generator=rng)
            first = parameters.bound * number + torch.arange(batch).double() / batch
            return first[:, None, None].expand(shape)


def test_each_example_of_a_mixture_has_a_random_component(numbered):
    drawn = distributions.draw_matrices(
        "a+b+c", {}, rng_for("mix"), 30_000, (2, 2), (2, 2)
    ).matrix
    assert drawn.shape == (30_000, 2, 4)
    assert (drawn == drawn[:, :1, :1]).all(), "operands have different components"
    component = (drawn[:, 0, 0] / 10).long()
    counts = component.bincount().tolist()
    assert stats.chisquare(counts).pvalue > 1e-3
    for number, count in enumerate(counts):
        expected = 10.0 * number + torch.arange(count).double() / count
        assert torch.equal(drawn[component == number, 0, 0], expected)
    runs = 1 + int((component[1:] != component[:-1]).sum())
    assert abs(runs - 20_000) < 5 * math.sqrt(30_000 * 2 / 9), "components form blocks"


def test_each_component_of_a_mixture_has_its_own_settings(numbered):
    settings = {"b": {"bound": 500.0}, "marchenko_pastur": {"deviation": 1.0}}
    drawn = distributions.draw_matrices(
        "c+b", settings, rng_for("mix"), 100, (1, 1)
    ).matrix
    assert drawn.flatten().long().unique().tolist() == [20, 500]


@pytest.mark.parametrize("batch", [0, 1, 2, 50])
def test_equal_seeds_give_equal_mixtures(batch):
    first, again, other = (
        distributions.draw_matrices(
            "laplace+marchenko_pastur", {}, rng_for("m", k), batch, (3, 3)
        ).matrix
        for k in (1, 1, 2)
    )
    assert first.shape == (batch, 3, 3)
    assert torch.equal(first, again)
    assert batch == 0 or not torch.equal(first, other)


def test_a_mixture_has_the_spectra_of_its_components(spectra):
    matrix = distributions.draw_matrices(
        "semicircle+abs_laplace", {}, rng_for("m"), COUNT, (N, N)
    ).matrix
    values = torch.linalg.eigvalsh(matrix).ravel().numpy()
    halves = [
        spectra[distribution][: COUNT // 2].ravel()
        for distribution in ("semicircle", "abs_laplace")
    ]
    assert stats.ks_2samp(values, np.concatenate(halves)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "cauchy",
            "unknown distribution 'cauchy'; known names are semicircle, uniform",
        ),
        (
            "laplace+cauchy",
            r"mixture 'laplace\+cauchy': unknown distribution 'cauchy'; known",
        ),
        ("laplace+", r"mixture 'laplace\+': unknown distribution ''; known names are"),
        ("laplace+laplace", r"mixture 'laplace\+laplace': 'laplace' is repeated"),
    ],
)
def test_invalid_names_raise_an_error(name, message):
    with pytest.raises(InputError, match=message):
        distributions.components(name)


@pytest.mark.parametrize("name", ["laplace", "uniform_coefficients+laplace"])
def test_symmetric_distributions_reject_rectangular_shapes(name):
    message = (
        "3 x 4: matrices of 'laplace' are symmetric; distributions of rectangular "
    )
    message += "matrices are uniform_coefficients, gaussian_coefficients"
    with pytest.raises(InputError, match=message):
        distributions.draw_matrices(name, {}, rng_for("r"), 5, (3, 4))


def test_shapes_have_at_least_one_row_and_column():
    message = "distribution 'laplace': 0 x 0: rows and columns must be at least 1"
    with pytest.raises(InputError, match=message):
        distributions.check_shape("laplace", 0, 0)
