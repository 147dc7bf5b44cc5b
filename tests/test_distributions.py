import math

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
SYMMETRIC = [
    distribution
    for distribution in DISTRIBUTIONS
    if distributions.is_symmetric(distribution)
]
GENERAL = [
    distribution
    for distribution in DISTRIBUTIONS
    if not distributions.is_symmetric(distribution)
]
CHOSEN = {"uniform", "gaussian", "laplace", "abs_laplace"}  # the eigenvalues, not M
COUNT, N = 20_000, 5


@pytest.fixture(scope="module")
def spectra():
    """Eigenvalues [B, n] of every distribution."""
    drawn = {
        distribution: DISTRIBUTIONS[distribution](
            rng_for("test", distribution), COUNT, N
        )
        for distribution in SYMMETRIC
    }
    return {
        distribution: torch.linalg.eigvalsh(matrix).numpy()
        for distribution, matrix in drawn.items()
    }


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_matrices_are_float64_and_as_symmetric_as_their_distribution_says(
    distribution, n
):
    matrix = DISTRIBUTIONS[distribution](rng_for("test"), 50, n)
    assert matrix.shape == (50, n, n)
    assert matrix.dtype == torch.float64
    assert torch.equal(matrix, matrix.mT) == (distribution in SYMMETRIC or n == 1)
    assert matrix.isfinite().all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_same_stream_gives_the_same_matrices(distribution):
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
def test_signs_are_those_of_the_distribution(spectra, distribution):
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


def test_abs_semicircle_is_semicircle_made_positive(spectra):
    pair = (np.abs(spectra["semicircle"]).ravel(), spectra["abs_semicircle"].ravel())
    assert stats.ks_2samp(*pair).pvalue > 1e-3


def test_wigner_coefficients_are_gaussian_of_the_stated_deviation():
    matrix = DISTRIBUTIONS["semicircle"](rng_for("test"), COUNT, N).numpy()
    upper = matrix[:, *np.triu_indices(N)].ravel()
    assert stats.kstest(upper, stats.norm(0, 10 / math.sqrt(3)).cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", sorted(set(PAPER) - {"marchenko_pastur"}))
def test_uniform_coefficients_keep_the_second_moment(spectra, distribution):
    matrix = DISTRIBUTIONS[distribution](
        rng_for("u"), COUNT, N, distributions.Wigner(coefficients="uniform")
    )
    squares = torch.linalg.eigvalsh(matrix).square().mean(1).numpy()
    expected = (spectra[distribution] ** 2).mean(1)
    error = math.sqrt((squares.var() + expected.var()) / COUNT)
    assert abs(squares.mean() - expected.mean()) < 4 * error


def test_wigner_coefficients_can_be_bounded():
    matrix = DISTRIBUTIONS["semicircle"](
        rng_for("u"), COUNT, N, distributions.Wigner(coefficients="uniform")
    )
    assert 9.99 < matrix.abs().max() <= 10.0


def test_unknown_coefficients_list_the_known_ones():
    with pytest.raises(UnknownName, match="known names are gaussian, uniform"):
        DISTRIBUTIONS["laplace"](
            rng_for("u"), 1, 2, distributions.Wigner(coefficients="cauchy")
        )


def test_marchenko_pastur_has_the_mean_of_its_factor(spectra):
    deviation = math.sqrt(10 / math.sqrt(3))
    mean = spectra["marchenko_pastur"].mean(1)
    error = mean.std() / math.sqrt(COUNT)
    assert abs(mean.mean() - N * deviation**2) < 4 * error
    assert pytest.approx(2.4028114141347543) == distributions.FACTOR.deviation


def test_marchenko_pastur_takes_the_deviation_of_the_published_code():
    narrow = DISTRIBUTIONS["marchenko_pastur"](
        rng_for("test"), 100, N, distributions.Factor(deviation=1.0)
    )
    wide = DISTRIBUTIONS["marchenko_pastur"](
        rng_for("test"), 100, N, distributions.Factor(deviation=2.0)
    )
    torch.testing.assert_close(wide, 4 * narrow)


def test_a_prescribed_spectrum_is_found_again_with_its_vectors():
    vectors = torch.linalg.eigh(DISTRIBUTIONS["semicircle"](rng_for("v"), 20, 4))[1]
    values = torch.tensor([[-7.0, -1.0, 2.0, 9.0]], dtype=torch.float64).expand(20, 4)
    matrix = distributions.with_spectrum(vectors, values)
    torch.testing.assert_close(torch.linalg.eigvalsh(matrix), values)
    torch.testing.assert_close(matrix @ vectors, vectors * values[:, None, :])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_distribution_says_what_its_settings_are(distribution):
    base = distributions.default_parameters(distribution)
    other = DISTRIBUTIONS[distribution](rng_for("s"), 3, 2, base)
    assert torch.equal(other, DISTRIBUTIONS[distribution](rng_for("s"), 3, 2))


@pytest.mark.parametrize("distribution", PAPER)
def test_the_papers_coefficients_are_gaussian(distribution):
    assert distributions.default_parameters(distribution).coefficients == "gaussian"


def test_the_uniform_wigner_distribution_is_the_semicircle_of_uniform_coefficients():
    base = distributions.Wigner(coefficients="uniform")
    expected = DISTRIBUTIONS["semicircle"](rng_for("w"), 9, 4, base)
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


def test_the_comparison_is_the_papers_seven():
    assert [
        distribution
        for distribution in DISTRIBUTIONS
        if distributions.is_tabulated(distribution)
    ] == PAPER
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
def test_a_mixture_has_the_properties_that_its_distributions_share(
    name, positive, symmetric
):
    assert distributions.is_positive(name) == positive
    assert distributions.is_symmetric(name) == symmetric
    assert not distributions.is_tabulated(name)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_single_distribution_is_drawn_as_it_draws_itself(distribution):
    drawn = distributions.draw_matrices(
        distribution, {}, rng_for("one"), 20, (3, 3)
    ).matrix
    assert torch.equal(drawn, DISTRIBUTIONS[distribution](rng_for("one"), 20, 3))


def test_matrices_are_drawn_one_after_another_and_laid_side_by_side():
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
        *((distribution, distribution in CHOSEN) for distribution in DISTRIBUTIONS),
        ("laplace+uniform", True),
        ("laplace+semicircle", False),
    ],
)
def test_eigenvalues_that_a_distribution_chose_are_those_of_its_matrices(name, known):
    matrix, chosen = distributions.draw_matrices(
        name, {}, rng_for("chosen"), 500, (N, N)
    )
    assert (chosen is not None) == known
    if known:
        found = torch.linalg.eigvalsh(matrix)
        error = (found - chosen.sort().values).abs().amax(1)
        assert (error <= 1e-13 * found.abs().amax(1)).all()


def test_nobody_chose_the_eigenvalues_of_two_matrices_side_by_side():
    shapes = ((3, 3), (3, 3))
    assert (
        distributions.draw_matrices(
            "laplace", {}, rng_for("two"), 9, *shapes
        ).eigenvalues
        is None
    )


@pytest.fixture
def marked(monkeypatch):
    """Three distributions whose matrices tell of which distribution they are and when they were drawn."""
    monkeypatch.setattr(DISTRIBUTIONS, "_entries", dict(DISTRIBUTIONS._entries))
    for number, name in enumerate("abc"):

        @DISTRIBUTIONS.add(name)
        @distributions.from_matrices(distributions.WIGNER)
        def distribution(rng, shape, parameters, number=number):
            batch = shape[0]
            torch.rand(batch, generator=rng)
            first = parameters.bound * number + torch.arange(batch).double() / batch
            return first[:, None, None].expand(shape)


def test_each_example_of_a_mixture_has_its_own_distribution(marked):
    drawn = distributions.draw_matrices(
        "a+b+c", {}, rng_for("mix"), 30_000, (2, 2), (2, 2)
    ).matrix
    assert drawn.shape == (30_000, 2, 4)
    assert (drawn == drawn[:, :1, :1]).all(), "both operands are of one distribution"
    distribution = (drawn[:, 0, 0] / 10).long()
    shares = distribution.bincount().tolist()
    assert stats.chisquare(shares).pvalue > 1e-3
    for number, share in enumerate(shares):
        expected = 10.0 * number + torch.arange(share).double() / share
        assert torch.equal(drawn[distribution == number, 0, 0], expected)
    runs = 1 + int((distribution[1:] != distribution[:-1]).sum())
    assert abs(runs - 20_000) < 5 * math.sqrt(30_000 * 2 / 9), (
        "distributions are not in blocks"
    )


def test_each_distribution_of_a_mixture_has_its_own_settings(marked):
    settings = {"b": {"bound": 500.0}, "marchenko_pastur": {"deviation": 1.0}}
    drawn = distributions.draw_matrices(
        "c+b", settings, rng_for("mix"), 100, (1, 1)
    ).matrix
    assert drawn.flatten().long().unique().tolist() == [20, 500]


@pytest.mark.parametrize("batch", [0, 1, 2, 50])
def test_a_mixture_repeats_from_its_stream(batch):
    first, again, other = (
        distributions.draw_matrices(
            "laplace+marchenko_pastur", {}, rng_for("m", k), batch, (3, 3)
        ).matrix
        for k in (1, 1, 2)
    )
    assert first.shape == (batch, 3, 3)
    assert torch.equal(first, again)
    assert batch == 0 or not torch.equal(first, other)


def test_a_mixture_has_the_spectra_of_its_distributions(spectra):
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
def test_a_wrong_name_says_what_is_wrong(name, message):
    with pytest.raises(InputError, match=message):
        distributions.components(name)


@pytest.mark.parametrize("name", ["laplace", "uniform_coefficients+laplace"])
def test_a_symmetric_distribution_has_no_rectangular_matrices(name):
    allowed = "symmetric; distributions of other shapes are uniform_coefficients, gaussian_coef"
    with pytest.raises(InputError, match=f"3 x 4: matrices of 'laplace' are {allowed}"):
        distributions.draw_matrices(name, {}, rng_for("r"), 5, (3, 4))


def test_a_matrix_has_a_row_and_a_column():
    with pytest.raises(
        InputError, match="distribution 'laplace': 0 x 0: sizes are 1 or more"
    ):
        distributions.check_shape("laplace", 0, 0)
