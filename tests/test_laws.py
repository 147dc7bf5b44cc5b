import math

import numpy as np
import pytest
import torch
from scipy import stats

from mathprobe.errors import InputError
from mathprobe.linalg import laws
from mathprobe.linalg.laws import LAWS
from mathprobe.registry import UnknownName
from mathprobe.seeds import stream

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
SYMMETRIC = [law for law in LAWS if laws.is_symmetric(law)]
GENERAL = [law for law in LAWS if not laws.is_symmetric(law)]
CHOSEN = {"uniform", "gaussian", "laplace", "abs_laplace"}  # the eigenvalues, not M
COUNT, N = 20_000, 5


@pytest.fixture(scope="module")
def spectra():
    """Eigenvalues [B, n] of every law."""
    drawn = {law: LAWS[law](stream("test", law), COUNT, N) for law in SYMMETRIC}
    return {law: torch.linalg.eigvalsh(matrix).numpy() for law, matrix in drawn.items()}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_matrices_are_float64_and_as_symmetric_as_their_law_says(law, n):
    matrix = LAWS[law](stream("test"), 50, n)
    assert matrix.shape == (50, n, n)
    assert matrix.dtype == torch.float64
    assert torch.equal(matrix, matrix.mT) == (law in SYMMETRIC or n == 1)
    assert matrix.isfinite().all()


@pytest.mark.parametrize("law", LAWS)
def test_the_same_stream_gives_the_same_matrices(law):
    first, again, other = (LAWS[law](stream("s", k), 9, 3) for k in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("law", sorted(set(SYMMETRIC) - {"marchenko_pastur"}))
def test_all_laws_but_marchenko_have_the_wigner_second_moment(spectra, law):
    expected = math.sqrt(N) * 10 / math.sqrt(3)
    squares = (spectra[law] ** 2).mean(1)
    error = squares.std() / math.sqrt(COUNT)
    assert abs(squares.mean() - expected**2) < 4 * error


@pytest.mark.parametrize("law", SYMMETRIC)
def test_signs_are_those_of_the_law(spectra, law):
    assert laws.is_positive(law) == (law in POSITIVE)
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


@pytest.mark.parametrize("law", sorted(set(PAPER) - {"marchenko_pastur"}))
def test_uniform_coefficients_keep_the_second_moment(spectra, law):
    matrix = LAWS[law](stream("u"), COUNT, N, laws.Wigner(coefficients="uniform"))
    squares = torch.linalg.eigvalsh(matrix).square().mean(1).numpy()
    expected = (spectra[law] ** 2).mean(1)
    error = math.sqrt((squares.var() + expected.var()) / COUNT)
    assert abs(squares.mean() - expected.mean()) < 4 * error


def test_wigner_coefficients_can_be_bounded():
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
    other = LAWS[law](stream("s"), 3, 2, base)
    assert torch.equal(other, LAWS[law](stream("s"), 3, 2))


@pytest.mark.parametrize("law", PAPER)
def test_the_papers_coefficients_are_gaussian(law):
    assert laws.base_of(law).coefficients == "gaussian"


def test_the_uniform_wigner_law_is_the_semicircle_of_uniform_coefficients():
    base = laws.Wigner(coefficients="uniform")
    expected = LAWS["semicircle"](stream("w"), 9, 4, base)
    assert torch.equal(LAWS["uniform_wigner"](stream("w"), 9, 4), expected)


@pytest.mark.parametrize(
    ("law", "cdf"),
    [
        ("uniform_coefficients", stats.uniform(-10, 20).cdf),
        ("gaussian_coefficients", stats.norm(0, 10 / math.sqrt(3)).cdf),
    ],
)
@pytest.mark.parametrize("columns", [4, 7])
def test_independent_coefficients_follow_their_law(law, cdf, columns):
    matrix = laws.matrices(law, {}, stream("c"), 500, (4, columns)).matrix
    assert matrix.shape == (500, 4, columns)
    assert stats.kstest(matrix.flatten().numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("law", [*GENERAL, "uniform_wigner"])
def test_the_bound_of_independent_coefficients_can_be_set(law):
    wide = LAWS[law](stream("b"), 9, 3, laws.Iid(bound=20.0))
    torch.testing.assert_close(wide, 2 * LAWS[law](stream("b"), 9, 3))


def test_the_comparison_is_the_papers_seven():
    assert [law for law in LAWS if laws.in_comparison(law)] == PAPER
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
def test_a_mixture_has_the_properties_that_its_laws_share(name, positive, symmetric):
    assert laws.is_positive(name) == positive
    assert laws.is_symmetric(name) == symmetric
    assert not laws.in_comparison(name)


@pytest.mark.parametrize("law", LAWS)
def test_a_single_law_is_drawn_as_it_draws_itself(law):
    drawn = laws.matrices(law, {}, stream("one"), 20, (3, 3)).matrix
    assert torch.equal(drawn, LAWS[law](stream("one"), 20, 3))


def test_matrices_are_drawn_one_after_another_and_laid_side_by_side():
    rng = stream("side")
    law, shapes = "gaussian_coefficients", ((4, 2), (4, 3))
    left, right = (laws.matrices(law, {}, rng, 5, shape).matrix for shape in shapes)
    both = laws.matrices(law, {}, stream("side"), 5, *shapes).matrix
    assert torch.equal(both, torch.cat([left, right], dim=2))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((law, law in CHOSEN) for law in LAWS),
        ("laplace+uniform", True),
        ("laplace+semicircle", False),
    ],
)
def test_eigenvalues_that_a_law_chose_are_those_of_its_matrices(name, known):
    matrix, chosen = laws.matrices(name, {}, stream("chosen"), 500, (N, N))
    assert (chosen is not None) == known
    if known:
        found = torch.linalg.eigvalsh(matrix)
        error = (found - chosen.sort().values).abs().amax(1)
        assert (error <= 1e-13 * found.abs().amax(1)).all()


def test_nobody_chose_the_eigenvalues_of_two_matrices_side_by_side():
    shapes = ((3, 3), (3, 3))
    assert laws.matrices("laplace", {}, stream("two"), 9, *shapes).eigenvalues is None


@pytest.fixture
def marked(monkeypatch):
    """Three laws whose matrices tell of which law they are and when they were drawn."""
    monkeypatch.setattr(LAWS, "_entries", dict(LAWS._entries))
    for number, name in enumerate("abc"):

        @LAWS.add(name)
        @laws.of_matrices(laws.WIGNER)
        def law(rng, shape, base, number=number):
            batch = shape[0]
            torch.rand(batch, generator=rng)
            first = base.bound * number + torch.arange(batch).double() / batch
            return first[:, None, None].expand(shape)


def test_each_example_of_a_mixture_has_its_own_law(marked):
    drawn = laws.matrices("a+b+c", {}, stream("mix"), 30_000, (2, 2), (2, 2)).matrix
    assert drawn.shape == (30_000, 2, 4)
    assert (drawn == drawn[:, :1, :1]).all(), "both operands are of one law"
    law = (drawn[:, 0, 0] / 10).long()
    shares = law.bincount().tolist()
    assert stats.chisquare(shares).pvalue > 1e-3
    for number, share in enumerate(shares):
        expected = 10.0 * number + torch.arange(share).double() / share
        assert torch.equal(drawn[law == number, 0, 0], expected)
    runs = 1 + int((law[1:] != law[:-1]).sum())
    assert abs(runs - 20_000) < 5 * math.sqrt(30_000 * 2 / 9), "laws are not in blocks"


def test_each_law_of_a_mixture_has_its_own_settings(marked):
    settings = {"b": {"bound": 500.0}, "marchenko_pastur": {"deviation": 1.0}}
    drawn = laws.matrices("c+b", settings, stream("mix"), 100, (1, 1)).matrix
    assert drawn.flatten().long().unique().tolist() == [20, 500]


@pytest.mark.parametrize("batch", [0, 1, 2, 50])
def test_a_mixture_repeats_from_its_stream(batch):
    first, again, other = (
        laws.matrices(
            "laplace+marchenko_pastur", {}, stream("m", k), batch, (3, 3)
        ).matrix
        for k in (1, 1, 2)
    )
    assert first.shape == (batch, 3, 3)
    assert torch.equal(first, again)
    assert batch == 0 or not torch.equal(first, other)


def test_a_mixture_has_the_spectra_of_its_laws(spectra):
    matrix = laws.matrices(
        "semicircle+abs_laplace", {}, stream("m"), COUNT, (N, N)
    ).matrix
    values = torch.linalg.eigvalsh(matrix).ravel().numpy()
    halves = [
        spectra[law][: COUNT // 2].ravel() for law in ("semicircle", "abs_laplace")
    ]
    assert stats.ks_2samp(values, np.concatenate(halves)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cauchy", "unknown law 'cauchy'; known names are semicircle, uniform"),
        ("laplace+cauchy", r"mixture 'laplace\+cauchy': unknown law 'cauchy'; known"),
        ("laplace+", r"mixture 'laplace\+': unknown law ''; known names are"),
        ("laplace+laplace", r"mixture 'laplace\+laplace': 'laplace' is repeated"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name, message):
    with pytest.raises(InputError, match=message):
        laws.parts(name)


@pytest.mark.parametrize("name", ["laplace", "uniform_coefficients+laplace"])
def test_a_symmetric_law_has_no_rectangular_matrices(name):
    allowed = "symmetric; laws of other shapes are uniform_coefficients, gaussian_coef"
    with pytest.raises(InputError, match=f"3 x 4: matrices of 'laplace' are {allowed}"):
        laws.matrices(name, {}, stream("r"), 5, (3, 4))


def test_a_matrix_has_a_row_and_a_column():
    with pytest.raises(InputError, match="law 'laplace': 0 x 0: sizes are 1 or more"):
        laws.check_shape("laplace", 0, 0)
