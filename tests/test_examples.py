import pytest
import torch
from scipy import stats

from mathprobe.errors import InputError
from mathprobe.linalg import distributions, scores
from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.examples import MAX_REDRAWS, check, distributions_for, draw
from mathprobe.linalg.tasks import TASKS, Task
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for


@pytest.fixture
def registries(monkeypatch):
    """Restore the registries after the test."""
    for registry in (DISTRIBUTIONS, TASKS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize("task", TASKS)
def test_equal_seeds_give_equal_examples(task):
    distribution = distributions_for(task)[-1]
    first, again, other = (
        draw(task, distribution, {}, rng_for("d", k), 9, 3, 3) for k in "aab"
    )
    assert torch.equal(first.matrix, again.matrix)
    assert torch.equal(first.answer, again.answer)
    assert not torch.equal(first.matrix, other.matrix)


@pytest.mark.parametrize("distribution", distributions_for("eigenvalues"))
def test_without_rejections_matrices_are_drawn_once(distribution):
    rng, same = rng_for("once"), rng_for("once")
    matrix, answer, rejected = draw("eigenvalues", distribution, {}, rng, 40, 4, 4)
    assert torch.equal(matrix, DISTRIBUTIONS[distribution](same, 40, 4))
    torch.testing.assert_close(answer, TASKS["eigenvalues"].solve(matrix))
    assert rejected == 0
    assert torch.equal(rng.get_state(), same.get_state())


@pytest.mark.parametrize("encoding", ["p1000", "fp15"])
@pytest.mark.parametrize("distribution", ["laplace", "abs_semicircle"])
def test_known_eigenvalues_have_the_tokens_of_computed_ones(distribution, encoding):
    matrix, answer, _ = draw(
        "eigenvalues", distribution, {}, rng_for("tokens"), 5000, 5, 5
    )
    codec = MatrixCodec(ENCODINGS[encoding](digits=3))
    computed = TASKS["eigenvalues"].solve(matrix)
    assert not torch.equal(answer, computed)
    assert torch.equal(codec.encode(answer), codec.encode(computed))


@pytest.mark.parametrize("task", ["eigenvectors", "symmetric_inverse"])
def test_drawn_eigenvalues_do_not_affect_other_tasks(task):
    matrix, answer, _ = draw(task, "uniform", {}, rng_for("other"), 40, 4, 4)
    assert torch.equal(answer, TASKS[task].solve(matrix))


def test_settings_apply_to_their_distribution():
    settings = {"laplace": {"bound": 20.0}, "uniform": {"bound": 1.0}}
    wide = draw("eigenvalues", "laplace", settings, rng_for("wide"), 9, 3, 3)
    default = draw("eigenvalues", "laplace", {}, rng_for("wide"), 9, 3, 3)
    torch.testing.assert_close(wide.answer, 2 * default.answer)


def singular_at_random(probability):
    """Return a distribution whose matrices are zero with a probability."""

    @distributions.from_matrices(distributions.WIGNER)
    def distribution(rng, shape, parameters):
        matrix = parameters.draw(rng, *shape[:2])
        return matrix * (torch.rand(shape[0], 1, 1, generator=rng) >= probability)

    return distribution


def test_rejected_matrices_are_counted_and_redrawn_in_place(registries):
    DISTRIBUTIONS.add("coin")(singular_at_random(0.25))
    first = DISTRIBUTIONS["coin"](rng_for("r"), 20_000, 3)
    good = first.any(2).any(1)
    matrix, answer, rejected = draw(
        "symmetric_inverse", "coin", {}, rng_for("r"), 20_000, 3, 3
    )
    assert torch.equal(matrix[good], first[good])
    assert (matrix @ answer - torch.eye(3)).abs().max() < 1e-9
    assert stats.binomtest(rejected, 20_000 + rejected, 0.25).pvalue > 1e-3
    again = draw("symmetric_inverse", "coin", {}, rng_for("r"), 20_000, 3, 3)
    assert torch.equal(again.matrix, matrix)
    assert again.rejected == rejected


def test_only_marchenko_pastur_is_rejected_at_the_known_rate():
    task = "symmetric_inverse"
    rejected = {
        name: draw(task, name, {}, rng_for("m", name), 10_000, 5, 5).rejected
        for name in distributions_for(task)
    }
    count = rejected.pop("marchenko_pastur")
    assert stats.binomtest(count, 10_000 + count, 0.0039).pvalue > 1e-3
    assert set(rejected.values()) == {0}


def test_a_distribution_without_accepted_matrices_raises_an_error(registries):
    DISTRIBUTIONS.add("never")(singular_at_random(1.0))
    message = "task 'inverse': 2 x 2 matrices of distribution 'never' were rejected "
    with pytest.raises(InputError, match=f"{message}{MAX_REDRAWS} times in a row"):
        draw("inverse", "never", {}, rng_for("n"), 5, 2, 2)
    assert MAX_REDRAWS == 100


def test_examples_of_a_mixture_are_exact():
    matrix, answer, rejected = draw(
        "symmetric_inverse", "laplace+uniform", {}, rng_for("mix"), 500, 4, 4
    )
    error = scores.relative_error("symmetric_inverse", matrix, answer, answer)
    assert (len(matrix), rejected) == (500, 0)
    assert error.max() < 1e-8


def test_operands_are_independent():
    matrix, _, _ = draw(
        "matrix_sum", "uniform_coefficients", {}, rng_for("two"), 50, 3, 4
    )
    left, right = matrix.chunk(2, dim=2)
    assert not torch.isin(left, right).any()


def test_distributions_for_tasks():
    symmetric = [name for name in DISTRIBUTIONS if distributions.is_tabulated(name)]
    general = ["uniform_coefficients", "gaussian_coefficients"]
    for name, task in TASKS.items():
        assert distributions_for(name) == (symmetric if task.symmetric else general)


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
            "'gaussian_coefficients' are not symmetric; symmetric distributions are ",
        ),
        (
            "matrix_vector",
            "laplace",
            (3, 3),
            "'matrix_vector': distribution 'laplace': 3 x 1: matrices of 'laplace'",
        ),
        ("transpose", "uniform_coefficients", (0, 3), "0 x 3: rows and columns must"),
    ],
)
def test_invalid_combinations_raise_an_error_with_valid_names(
    task, distribution, size, message
):
    with pytest.raises(InputError, match=message):
        check(task, distribution, *size)
    with pytest.raises(InputError, match=message):
        draw(task, distribution, {}, rng_for("bad"), 5, *size)


def test_general_tasks_accept_square_symmetric_matrices():
    check("transpose", "laplace", 4, 4)
    check("inverse", "laplace+uniform_coefficients", 4, 4)


def test_a_new_task_and_distribution_need_one_registration_each(registries):
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


def test_the_registries_fixture_restores_the_registries():
    with pytest.raises(UnknownName):
        DISTRIBUTIONS["cauchy"]
    with pytest.raises(UnknownName):
        TASKS["trace"]
