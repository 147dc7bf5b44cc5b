import math

import numpy as np
import pytest
import torch
from scipy import stats

from mathprobe.linalg import laws
from mathprobe.linalg.laws import LAWS
from mathprobe.registry import UnknownName
from mathprobe.seeds import stream

POSITIVE = {"abs_semicircle", "abs_laplace", "marchenko_pastur"}
COUNT, N = 20_000, 5


@pytest.fixture(scope="module")
def spectra():
    """Eigenvalues [B, n] of every law."""
    drawn = {law: LAWS[law](stream("test", law), COUNT, N) for law in LAWS}
    return {law: torch.linalg.eigvalsh(matrix).numpy() for law, matrix in drawn.items()}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_matrices_are_symmetric_float64(law, n):
    matrix = LAWS[law](stream("test"), 50, n)
    assert matrix.shape == (50, n, n)
    assert matrix.dtype == torch.float64
    assert torch.equal(matrix, matrix.mT)
    assert matrix.isfinite().all()


@pytest.mark.parametrize("law", LAWS)
def test_the_same_stream_gives_the_same_matrices(law):
    first, again, other = (LAWS[law](stream("s", k), 9, 3) for k in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("law", sorted(set(LAWS) - {"marchenko_pastur"}))
def test_all_laws_but_marchenko_have_the_wigner_second_moment(spectra, law):
    expected = math.sqrt(N) * 10 / math.sqrt(3)
    squares = (spectra[law] ** 2).mean(1)
    error = squares.std() / math.sqrt(COUNT)
    assert abs(squares.mean() - expected**2) < 4 * error


@pytest.mark.parametrize("law", LAWS)
def test_signs_are_those_of_the_law(spectra, law):
    if law in POSITIVE:
        assert (spectra[law] > -1e-9).all()
    else:
        assert abs((spectra[law] > 0).mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    ("law", "cdf"),
    [
        ("uniform", stats.uniform(-math.sqrt(N) * 10, 2 * math.sqrt(N) * 10).cdf),
        ("gaussian", stats.norm(0, math.sqrt(N) * 10 / math.sqrt(3)).cdf),
        ("laplace", stats.laplace(0, math.sqrt(N / 6) * 10).cdf),
        ("abs_laplace", stats.expon(0, math.sqrt(N / 6) * 10).cdf),
    ],
)
def test_independent_eigenvalues_follow_their_law(spectra, law, cdf):
    assert stats.kstest(spectra[law].ravel(), cdf).pvalue > 1e-3


def test_abs_semicircle_is_semicircle_made_positive(spectra):
    pair = (np.abs(spectra["semicircle"]).ravel(), spectra["abs_semicircle"].ravel())
    assert stats.ks_2samp(*pair).pvalue > 1e-3


def test_wigner_coefficients_are_gaussian_of_the_stated_deviation():
    matrix = LAWS["semicircle"](stream("test"), COUNT, N).numpy()
    upper = matrix[:, *np.triu_indices(N)].ravel()
    assert stats.kstest(upper, stats.norm(0, 10 / math.sqrt(3)).cdf).pvalue > 1e-3


@pytest.mark.parametrize("law", sorted(set(LAWS) - {"marchenko_pastur"}))
def test_uniform_coefficients_keep_the_second_moment(spectra, law):
    matrix = LAWS[law](stream("u"), COUNT, N, laws.Wigner(coefficients="uniform"))
    squares = torch.linalg.eigvalsh(matrix).square().mean(1).numpy()
    expected = (spectra[law] ** 2).mean(1)
    error = math.sqrt((squares.var() + expected.var()) / COUNT)
    assert abs(squares.mean() - expected.mean()) < 4 * error


def test_uniform_coefficients_are_bounded():
    matrix = LAWS["semicircle"](
        stream("u"), COUNT, N, laws.Wigner(coefficients="uniform")
    )
    assert 9.99 < matrix.abs().max() <= 10.0


def test_unknown_coefficients_list_the_known_ones():
    with pytest.raises(UnknownName, match="known names are gaussian, uniform"):
        LAWS["laplace"](stream("u"), 1, 2, laws.Wigner(coefficients="cauchy"))


def test_marchenko_pastur_has_the_mean_of_its_factor(spectra):
    deviation = math.sqrt(10 / math.sqrt(3))
    mean = spectra["marchenko_pastur"].mean(1)
    error = mean.std() / math.sqrt(COUNT)
    assert abs(mean.mean() - N * deviation**2) < 4 * error
    assert pytest.approx(2.4028114141347543) == laws.FACTOR.deviation


def test_marchenko_pastur_takes_the_deviation_of_the_published_code():
    narrow = LAWS["marchenko_pastur"](
        stream("test"), 100, N, laws.Factor(deviation=1.0)
    )
    wide = LAWS["marchenko_pastur"](stream("test"), 100, N, laws.Factor(deviation=2.0))
    torch.testing.assert_close(wide, 4 * narrow)


def test_a_prescribed_spectrum_is_found_again_with_its_vectors():
    vectors = torch.linalg.eigh(LAWS["semicircle"](stream("v"), 20, 4))[1]
    values = torch.tensor([[-7.0, -1.0, 2.0, 9.0]], dtype=torch.float64).expand(20, 4)
    matrix = laws.with_spectrum(vectors, values)
    torch.testing.assert_close(torch.linalg.eigvalsh(matrix), values)
    torch.testing.assert_close(matrix @ vectors, vectors * values[:, None, :])


@pytest.mark.parametrize("law", LAWS)
def test_every_law_says_what_its_settings_are(law):
    base = laws.base_of(law)
    assert base.coefficients == "gaussian"
    other = LAWS[law](stream("s"), 3, 2, base)
    assert torch.equal(other, LAWS[law](stream("s"), 3, 2))
