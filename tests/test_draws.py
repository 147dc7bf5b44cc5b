import pytest
import torch
from scipy import stats

from mathprobe.errors import InputError
from mathprobe.linalg import laws, scores
from mathprobe.linalg.draws import MOST_REDRAWS, check, draw, laws_for
from mathprobe.linalg.laws import LAWS
from mathprobe.linalg.tasks import TASKS, Task
from mathprobe.registry import UnknownName
from mathprobe.seeds import stream


@pytest.fixture
def registries(monkeypatch):
    """Registries that forget what a test adds."""
    for registry in (LAWS, TASKS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize("task", TASKS)
def test_draws_repeat_from_their_stream(task):
    law = laws_for(task)[-1]
    first, again, other = (draw(task, law, {}, stream("d", k), 9, 3, 3) for k in "aab")
    assert torch.equal(first.matrix, again.matrix)
    assert torch.equal(first.answer, again.answer)
    assert not torch.equal(first.matrix, other.matrix)


@pytest.mark.parametrize("law", laws_for("eigenvalues"))
def test_what_is_never_rejected_is_drawn_at_once(law):
    rng, plain = stream("once"), stream("once")
    matrix, answer, rejected = draw("eigenvalues", law, {}, rng, 40, 4, 4)
    assert torch.equal(matrix, LAWS[law](plain, 40, 4))
    torch.testing.assert_close(answer, TASKS["eigenvalues"].solve(matrix))
    assert rejected == 0
    assert torch.equal(rng.get_state(), plain.get_state())


@pytest.mark.parametrize("task", ["eigenvectors", "symmetric_inverse"])
def test_eigenvalues_that_a_law_chose_answer_no_other_task(task):
    matrix, answer, _ = draw(task, "uniform", {}, stream("other"), 40, 4, 4)
    assert torch.equal(answer, TASKS[task].solve(matrix))


def test_settings_are_those_of_the_law():
    settings = {"laplace": {"bound": 20.0}, "uniform": {"bound": 1.0}}
    wide = draw("eigenvalues", "laplace", settings, stream("wide"), 9, 3, 3)
    usual = draw("eigenvalues", "laplace", {}, stream("wide"), 9, 3, 3)
    torch.testing.assert_close(wide.answer, 2 * usual.answer)


def coin(share):
    """Make a law of which a share of the matrices has no inverse."""

    @laws.of_matrices(laws.WIGNER)
    def law(rng, shape, base):
        matrix = base.draw(rng, *shape[:2])
        return matrix * (torch.rand(shape[0], 1, 1, generator=rng) >= share)

    return law


def test_rejected_draws_are_counted_and_drawn_again_in_their_places(registries):
    LAWS.add("coin")(coin(0.25))
    kept = LAWS["coin"](stream("r"), 20_000, 3)
    good = kept.any(2).any(1)
    matrix, answer, rejected = draw(
        "symmetric_inverse", "coin", {}, stream("r"), 20_000, 3, 3
    )
    assert torch.equal(matrix[good], kept[good])
    assert (matrix @ answer - torch.eye(3)).abs().max() < 1e-9
    assert stats.binomtest(rejected, 20_000 + rejected, 0.25).pvalue > 1e-3
    again = draw("symmetric_inverse", "coin", {}, stream("r"), 20_000, 3, 3)
    assert torch.equal(again.matrix, matrix)
    assert again.rejected == rejected


def test_only_marchenko_pastur_is_rejected_and_about_as_often_as_measured():
    rejected = {
        law: draw("symmetric_inverse", law, {}, stream("m", law), 10_000, 5, 5).rejected
        for law in laws_for("symmetric_inverse")
    }
    often = rejected.pop("marchenko_pastur")
    assert stats.binomtest(often, 10_000 + often, 0.0039).pvalue > 1e-3
    assert set(rejected.values()) == {0}


def test_a_law_without_good_matrices_is_refused(registries):
    LAWS.add("never")(coin(1.0))
    message = "task 'inverse': 2 x 2 matrices of law 'never', .* hardly ever accepted"
    with pytest.raises(InputError, match=message):
        draw("inverse", "never", {}, stream("n"), 5, 2, 2)
    assert MOST_REDRAWS == 100


def test_a_mixture_is_trained_on_like_a_law():
    matrix, answer, rejected = draw(
        "symmetric_inverse", "laplace+uniform", {}, stream("mix"), 500, 4, 4
    )
    error = scores.relative_error("symmetric_inverse", matrix, answer, answer)
    assert (len(matrix), rejected) == (500, 0)
    assert error.max() < 1e-8


def test_operands_are_of_one_law_but_not_the_same():
    matrix, _, _ = draw(
        "matrix_sum", "uniform_coefficients", {}, stream("two"), 50, 3, 4
    )
    left, right = matrix.chunk(2, dim=2)
    assert not torch.isin(left, right).any()


def test_tasks_compare_the_laws_that_are_theirs():
    seven = [law for law in LAWS if laws.in_comparison(law)]
    for name, task in TASKS.items():
        general = ["uniform_coefficients", "gaussian_coefficients"]
        assert laws_for(name) == (seven if task.symmetric else general)


@pytest.mark.parametrize(
    ("task", "law", "size", "message"),
    [
        ("trace", "laplace", (2, 2), "unknown task 'trace'; known names are eigenv"),
        ("inverse", "cauchy", (2, 2), "unknown law 'cauchy'; known names are semic"),
        ("inverse", "laplace", (2, 3), "'inverse': 2 x 3: matrices must be square"),
        (
            "eigenvalues",
            "laplace+gaussian_coefficients",
            (2, 2),
            "'eigenvalues': law 'laplace.gaussian_coefficients': matrices of "
            "'gaussian_coefficients' are not symmetric; laws that fit are semicircle, ",
        ),
        (
            "matrix_vector",
            "laplace",
            (3, 3),
            "'matrix_vector': law 'laplace': 3 x 1: matrices of 'laplace' are symm",
        ),
        ("transpose", "uniform_coefficients", (0, 3), "0 x 3: sizes are 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(task, law, size, message):
    with pytest.raises(InputError, match=message):
        check(task, law, *size)
    with pytest.raises(InputError, match=message):
        draw(task, law, {}, stream("bad"), 5, *size)


def test_a_symmetric_law_fits_a_square_matrix_of_a_general_task():
    check("transpose", "laplace", 4, 4)
    check("inverse", "laplace+uniform_coefficients", 4, 4)


def test_a_new_task_and_a_new_law_are_one_entry_each(registries):
    trace = Task(
        shape=lambda rows, columns: (1, 1),
        solve=lambda matrix: matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None],
        square=True,
    )
    TASKS.add("trace")(trace)

    @LAWS.add("cauchy")
    @laws.of_eigenvalues
    def cauchy(rng, batch, n, base):
        return torch.randn(batch, n, generator=rng).double() ** -1

    assert laws.in_comparison("cauchy")
    assert laws_for("eigenvalues")[-1] == "cauchy"
    for law in ("cauchy", "cauchy+laplace", "uniform_coefficients"):
        matrix, answer, _ = draw("trace", law, {}, stream("new"), 20, 3, 3)
        assert answer.shape == (20, *trace.shape(3, 3))
        error = scores.relative_error("trace", matrix, answer, 1.1 * answer)
        torch.testing.assert_close(error, torch.full_like(error, 0.1))


def test_what_a_test_adds_is_forgotten():
    with pytest.raises(UnknownName):
        LAWS["cauchy"]
    with pytest.raises(UnknownName):
        TASKS["trace"]
