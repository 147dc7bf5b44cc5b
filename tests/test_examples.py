import pytest
import torch
from scipy import stats

from mathprobe.errors import InputError
from mathprobe.linalg import distributions, scores
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.linalg.examples import MAX_REDRAWS, check, distributions_for, draw
from mathprobe.linalg.tasks import TASKS, Task
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for


@pytest.fixture
def registries(monkeypatch):
    """Registries that forget what a test adds."""
    for registry in (DISTRIBUTIONS, TASKS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize("task", TASKS)
def test_draws_repeat_from_their_stream(task):
    distribution = distributions_for(task)[-1]
    first, again, other = (
        draw(task, distribution, {}, rng_for("d", k), 9, 3, 3) for k in "aab"
    )
    assert torch.equal(first.matrix, again.matrix)
    assert torch.equal(first.answer, again.answer)
    assert not torch.equal(first.matrix, other.matrix)


@pytest.mark.parametrize("distribution", distributions_for("eigenvalues"))
def test_what_is_never_rejected_is_drawn_at_once(distribution):
    rng, plain = rng_for("once"), rng_for("once")
    matrix, answer, rejected = draw("eigenvalues", distribution, {}, rng, 40, 4, 4)
    assert torch.equal(matrix, DISTRIBUTIONS[distribution](plain, 40, 4))
    torch.testing.assert_close(answer, TASKS["eigenvalues"].solve(matrix))
    assert rejected == 0
    assert torch.equal(rng.get_state(), plain.get_state())


@pytest.mark.parametrize("task", ["eigenvectors", "symmetric_inverse"])
def test_eigenvalues_that_a_distribution_chose_answer_no_other_task(task):
    matrix, answer, _ = draw(task, "uniform", {}, rng_for("other"), 40, 4, 4)
    assert torch.equal(answer, TASKS[task].solve(matrix))


def test_settings_are_those_of_the_distribution():
    settings = {"laplace": {"bound": 20.0}, "uniform": {"bound": 1.0}}
    wide = draw("eigenvalues", "laplace", settings, rng_for("wide"), 9, 3, 3)
    usual = draw("eigenvalues", "laplace", {}, rng_for("wide"), 9, 3, 3)
    torch.testing.assert_close(wide.answer, 2 * usual.answer)


def coin(share):
    """Make a distribution of which a share of the matrices has no inverse."""

    @distributions.from_matrices(distributions.WIGNER)
    def distribution(rng, shape, parameters):
        matrix = parameters.draw(rng, *shape[:2])
        return matrix * (torch.rand(shape[0], 1, 1, generator=rng) >= share)

    return distribution


def test_rejected_draws_are_counted_and_drawn_again_in_their_places(registries):
    DISTRIBUTIONS.add("coin")(coin(0.25))
    kept = DISTRIBUTIONS["coin"](rng_for("r"), 20_000, 3)
    good = kept.any(2).any(1)
    matrix, answer, rejected = draw(
        "symmetric_inverse", "coin", {}, rng_for("r"), 20_000, 3, 3
    )
    assert torch.equal(matrix[good], kept[good])
    assert (matrix @ answer - torch.eye(3)).abs().max() < 1e-9
    assert stats.binomtest(rejected, 20_000 + rejected, 0.25).pvalue > 1e-3
    again = draw("symmetric_inverse", "coin", {}, rng_for("r"), 20_000, 3, 3)
    assert torch.equal(again.matrix, matrix)
    assert again.rejected == rejected


def test_only_marchenko_pastur_is_rejected_and_about_as_often_as_measured():
    rejected = {
        distribution: draw(
            "symmetric_inverse",
            distribution,
            {},
            rng_for("m", distribution),
            10_000,
            5,
            5,
        ).rejected
        for distribution in distributions_for("symmetric_inverse")
    }
    often = rejected.pop("marchenko_pastur")
    assert stats.binomtest(often, 10_000 + often, 0.0039).pvalue > 1e-3
    assert set(rejected.values()) == {0}


def test_a_distribution_without_good_matrices_is_refused(registries):
    DISTRIBUTIONS.add("never")(coin(1.0))
    message = "task 'inverse': 2 x 2 matrices of distribution 'never', .* hardly ever accepted"
    with pytest.raises(InputError, match=message):
        draw("inverse", "never", {}, rng_for("n"), 5, 2, 2)
    assert MAX_REDRAWS == 100


def test_a_mixture_is_trained_on_like_a_distribution():
    matrix, answer, rejected = draw(
        "symmetric_inverse", "laplace+uniform", {}, rng_for("mix"), 500, 4, 4
    )
    error = scores.relative_error("symmetric_inverse", matrix, answer, answer)
    assert (len(matrix), rejected) == (500, 0)
    assert error.max() < 1e-8


def test_operands_are_of_one_distribution_but_not_the_same():
    matrix, _, _ = draw(
        "matrix_sum", "uniform_coefficients", {}, rng_for("two"), 50, 3, 4
    )
    left, right = matrix.chunk(2, dim=2)
    assert not torch.isin(left, right).any()


def test_tasks_compare_the_distributions_that_are_theirs():
    seven = [
        distribution
        for distribution in DISTRIBUTIONS
        if distributions.is_tabulated(distribution)
    ]
    for name, task in TASKS.items():
        general = ["uniform_coefficients", "gaussian_coefficients"]
        assert distributions_for(name) == (seven if task.symmetric else general)


@pytest.mark.parametrize(
    ("task", "distribution", "size", "message"),
    [
        ("trace", "laplace", (2, 2), "unknown task 'trace'; known names are eigenv"),
        (
            "inverse",
            "cauchy",
            (2, 2),
            "unknown distribution 'cauchy'; known names are semic",
        ),
        ("inverse", "laplace", (2, 3), "'inverse': 2 x 3: matrices must be square"),
        (
            "eigenvalues",
            "laplace+gaussian_coefficients",
            (2, 2),
            "'eigenvalues': distribution 'laplace.gaussian_coefficients': matrices of "
            "'gaussian_coefficients' are not symmetric; distributions that fit are semicircle, ",
        ),
        (
            "matrix_vector",
            "laplace",
            (3, 3),
            "'matrix_vector': distribution 'laplace': 3 x 1: matrices of 'laplace' are symm",
        ),
        ("transpose", "uniform_coefficients", (0, 3), "0 x 3: sizes are 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(
    task, distribution, size, message
):
    with pytest.raises(InputError, match=message):
        check(task, distribution, *size)
    with pytest.raises(InputError, match=message):
        draw(task, distribution, {}, rng_for("bad"), 5, *size)


def test_a_symmetric_distribution_fits_a_square_matrix_of_a_general_task():
    check("transpose", "laplace", 4, 4)
    check("inverse", "laplace+uniform_coefficients", 4, 4)


def test_a_new_task_and_a_new_distribution_are_one_entry_each(registries):
    trace = Task(
        output_shape=lambda rows, columns: (1, 1),
        solve=lambda matrix: matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None],
        square=True,
    )
    TASKS.add("trace")(trace)

    @DISTRIBUTIONS.add("cauchy")
    @distributions.from_eigenvalues
    def cauchy(rng, batch, n, parameters):
        return torch.randn(batch, n, generator=rng).double() ** -1

    assert distributions.is_tabulated("cauchy")
    assert distributions_for("eigenvalues")[-1] == "cauchy"
    for distribution in ("cauchy", "cauchy+laplace", "uniform_coefficients"):
        matrix, answer, _ = draw("trace", distribution, {}, rng_for("new"), 20, 3, 3)
        assert answer.shape == (20, *trace.output_shape(3, 3))
        error = scores.relative_error("trace", matrix, answer, 1.1 * answer)
        torch.testing.assert_close(error, torch.full_like(error, 0.1))


def test_what_a_test_adds_is_forgotten():
    with pytest.raises(UnknownName):
        DISTRIBUTIONS["cauchy"]
    with pytest.raises(UnknownName):
        TASKS["trace"]
