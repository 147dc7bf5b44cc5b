import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.extmath import svd_flip

from mathprobe.linalg import distributions, scores
from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.examples import distributions_for, draw
from mathprobe.linalg.tasks import TASKS
from mathprobe.seeds import rng_for

TOLERANCES = (0.05, 0.02, 0.01, 0.005)
SQUARE = {"eigenvalues", "eigenvectors", "inverse", "symmetric_inverse"}
SYMMETRIC = SQUARE - {"inverse"}
COMBINATIONS = [
    (task, distribution) for task in TASKS for distribution in distributions_for(task)
]
every_task = pytest.mark.parametrize("task", TASKS)


def relative_error(task, matrix, prediction):
    return scores.relative_error(task, matrix, TASKS[task].solve(matrix), prediction)


def solve(task, *rows):
    """Return a matrix and its exact answer as NumPy arrays."""
    matrix = torch.tensor([rows], dtype=torch.float64)
    return matrix[0].numpy(), TASKS[task].solve(matrix)[0].numpy()


@pytest.mark.parametrize(("task", "distribution"), COMBINATIONS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_answers_have_the_output_shape_and_no_error(task, distribution, n):
    matrix, answer, _ = draw(task, distribution, {}, rng_for("test"), 30, n, n)
    assert matrix.shape == (30, *TASKS[task].input_shape(n, n))
    assert answer.shape == (30, *TASKS[task].output_shape(n, n))
    assert answer.dtype == torch.float64
    assert relative_error(task, matrix, answer).max() < 1e-9


@pytest.mark.parametrize("task", sorted(set(TASKS) - SQUARE))
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 7), columns=st.integers(1, 7), seed=st.integers(0, 99))
def test_rectangular_answers_have_the_output_shape(task, rows, columns, seed):
    rng = rng_for("shape", seed)
    distribution = "uniform_coefficients"
    matrix, answer, _ = draw(task, distribution, {}, rng, 3, rows, columns)
    assert matrix.shape == (3, *TASKS[task].input_shape(rows, columns))
    assert answer.shape == (3, *TASKS[task].output_shape(rows, columns))
    assert relative_error(task, matrix, answer).max() < 1e-9


def test_tasks_that_require_square_or_symmetric_matrices():
    assert {name for name, task in TASKS.items() if task.square} == SQUARE
    assert {name for name, task in TASKS.items() if task.symmetric} == SYMMETRIC


@pytest.mark.parametrize(
    ("task", "operands", "input_shape", "output_shape"),
    [
        ("transpose", [(3, 2)], (3, 2), (2, 3)),
        ("matrix_sum", [(3, 2), (3, 2)], (3, 4), (3, 2)),
        ("matrix_vector", [(3, 2), (3, 1)], (3, 3), (2, 1)),
        ("matrix_product", [(3, 2), (3, 2)], (3, 4), (2, 2)),
        ("singular_values", [(3, 2)], (3, 2), (2, 1)),
        ("singular_vectors", [(3, 2)], (3, 2), (6, 2)),
    ],
)
def test_layouts_agree_with_the_published_code(
    task, operands, input_shape, output_shape
):
    assert TASKS[task].operands(3, 2) == operands
    assert TASKS[task].input_shape(3, 2) == input_shape
    assert TASKS[task].output_shape(3, 2) == output_shape


def test_eigenvalues_are_largest_first():
    _, answer = solve("eigenvalues", [3.0, 0.0, 0.0], [0.0, -8.0, 0.0], [0.0, 0.0, 5.0])
    assert answer.tolist() == [[5.0], [3.0], [-8.0]]


def test_eigenvectors_are_columns_below_their_eigenvalues():
    _, answer = solve("eigenvectors", [1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 2.0, 3.0])
    fifth = 1 / np.sqrt(5)
    expected = [
        [4, 1, 1],
        [0, 1, 0],
        [fifth, 0, 2 * fifth],
        [2 * fifth, 0, fifth],
    ]
    np.testing.assert_allclose(np.abs(answer), expected, atol=1e-15)
    np.testing.assert_allclose(answer[0], [4, 1, -1], 1e-14)


def test_eigenvectors_agree_with_numpy_up_to_signs():
    matrix = distributions.DISTRIBUTIONS["laplace"](rng_for("numpy"), 20, 5)
    values, vectors = np.linalg.eigh(matrix.numpy())
    answer = TASKS["eigenvectors"].solve(matrix).numpy()
    np.testing.assert_allclose(answer[:, 0], values[:, ::-1], atol=1e-10)
    np.testing.assert_allclose(
        np.abs(answer[:, 1:]), np.abs(vectors[..., ::-1]), atol=1e-9
    )


@pytest.mark.parametrize("task", ["inverse", "symmetric_inverse"])
def test_inverses_agree_with_numpy(task):
    matrix, answer = solve(task, [2.0, 1.0], [1.0, -3.0])
    np.testing.assert_allclose(answer, np.linalg.inv(matrix), 1e-14)


@pytest.mark.parametrize("task", ["inverse", "symmetric_inverse"])
def test_singular_matrices_are_not_accepted(task):
    matrix = torch.tensor(
        [
            [[1.0, 2.0], [2.0, 4.0]],
            [[0.0, 0.0], [0.0, 0.0]],
            [[1.1, 3.3], [3.3, 9.9]],  # singular, except for rounding
            [[2.0, 1.0], [1.0, 3.0]],
        ],
        dtype=torch.float64,
    )
    answer = TASKS[task].solve(matrix)
    assert answer.isnan().all((1, 2)).tolist() == [True, True, False, False]
    assert TASKS[task].accepts(matrix, answer).tolist() == [False, False, False, True]


def test_the_first_operand_is_transposed():
    _, answer = solve("matrix_vector", [1.0, 2.0, 7.0], [3.0, 4.0, -5.0])
    assert answer.tolist() == [[7 - 15], [14 - 20]]
    _, answer = solve("matrix_product", [1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0])
    assert answer.tolist() == [[5 + 21, 6 + 24], [10 + 28, 12 + 32]]


def test_sums_are_of_the_two_halves():
    assert solve("matrix_sum", [1.0, 2.0, 10.0, 20.0])[1].tolist() == [[11.0, 22.0]]


def test_transpose():
    assert solve("transpose", [1.0, 2.0, 3.0])[1].tolist() == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_singular_vectors_are_columns_and_reconstruct_the_matrix(shape):
    matrix, answer, _ = draw(
        "singular_vectors", "gaussian_coefficients", {}, rng_for("svd"), 20, *shape
    )
    matrix, answer, rows = matrix.numpy(), answer.numpy(), shape[0]
    values, left, right = answer[:, :1], answer[:, 1 : 1 + rows], answer[:, 1 + rows :]
    np.testing.assert_allclose((left * values) @ right.transpose(0, 2, 1), matrix, 1e-9)
    np.testing.assert_allclose(values[:, 0], np.linalg.svd(matrix)[1], 1e-12)
    alone = TASKS["singular_values"].solve(torch.from_numpy(matrix))
    np.testing.assert_allclose(alone[..., 0], values[:, 0], 1e-12)


def by_numpy(task, matrix, target, prediction):
    """Return the published metric of one example."""
    if task == "transpose":
        return np.abs(prediction - matrix.T).sum() / np.abs(matrix).sum()
    if task in ("inverse", "symmetric_inverse"):
        return np.abs(matrix @ prediction - np.eye(len(matrix))).sum() / len(matrix)
    if task == "eigenvectors":
        values, h = prediction[0], prediction[1:]
        return np.abs(h.T @ matrix @ h - np.diag(values)).sum() / np.abs(values).sum()
    if task == "singular_vectors":
        values, u, v = np.split(prediction, [1, 1 + len(matrix)])
        off = u.T @ matrix @ v - np.diag(values[0])
        return np.abs(off).sum() / np.abs(values).sum()
    return np.abs(prediction - target).sum() / np.abs(target).sum()


@every_task
def test_errors_agree_with_numpy(task):
    n = (3, 3) if TASKS[task].square else (4, 3)
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("metric"), 10, *n
    )
    prediction = answer * (
        1 + 0.1 * torch.randn(answer.shape, generator=rng_for("off"))
    )
    error = scores.relative_error(task, matrix, answer, prediction)
    triples = zip(matrix.numpy(), answer.numpy(), prediction.numpy(), strict=True)
    np.testing.assert_allclose(error, [by_numpy(task, *t) for t in triples], 1e-12)
    assert (error > 1e-4).all()


@pytest.mark.parametrize("task", ["eigenvectors", "singular_vectors"])
def test_errors_do_not_depend_on_signs_of_vectors(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("sign"), 10, 4, 4
    )
    sign = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    prediction = torch.cat([answer[:, :1], sign * answer[:, 1:]], dim=1)
    assert relative_error(task, matrix, prediction).max() < 1e-12


@pytest.mark.parametrize(
    ("task", "shape"),
    [
        ("eigenvectors", (4, 4)),
        ("singular_vectors", (5, 3)),
        ("singular_vectors", (3, 5)),
    ],
)
def test_canonical_labels_agree_with_scikit_learn(task, shape):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("flip"), 20, *shape
    )
    label = TASKS[task].label(matrix, answer, "canonical")
    for solution, found in zip(answer.numpy(), label.numpy(), strict=True):
        values, left, right = np.split(solution.copy(), [1, 1 + shape[0]])
        # svd_flip changes its arguments; eigenvectors are their own right vectors.
        left, right = svd_flip(left, (right if len(right) else left).T.copy())
        expected = [left, right.T] if task == "singular_vectors" else [left]
        np.testing.assert_array_equal(found, np.vstack([values, *expected]))
    assert not torch.equal(label, answer)
    assert relative_error(task, matrix, label).max() < 1e-9


@every_task
def test_labels_have_the_signs_of_the_solver_unless_they_are_canonical(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("label"), 50, 3, 3
    )
    assert TASKS[task].label(matrix, answer, "lapack") is answer
    changed = not torch.equal(TASKS[task].label(matrix, answer, "canonical"), answer)
    assert changed == (task in ("eigenvectors", "singular_vectors"))


@every_task
def test_only_labels_with_eigenvectors_have_an_order(task):
    matrix, answer, _ = draw(
        task, distributions_for(task)[0], {}, rng_for("order"), 50, 3, 3
    )
    label = TASKS[task].label(matrix, answer, "lapack", "ascending")
    if task != "eigenvectors":
        assert label is answer
        return
    values, vectors = np.linalg.eigh(matrix)  # in ascending order
    np.testing.assert_allclose(label[:, 0], values, 1e-9)
    np.testing.assert_allclose(label[:, 1:].abs(), abs(vectors), 1e-6)


def test_canonical_labels_do_not_depend_on_the_eigensolver():
    matrix = distributions.DISTRIBUTIONS["laplace"](rng_for("solver"), 200, 5)
    task = TASKS["eigenvectors"]
    flipped = matrix.flip(1, 2)  # LAPACK returns other signs for it
    values, vectors = torch.linalg.eigh(flipped)
    other = torch.cat([values[:, None], vectors.flip(1)], dim=1).flip(-1)
    ours = task.solve(matrix)
    assert not torch.allclose(ours, other)
    torch.testing.assert_close(
        *(task.label(matrix, answer, "canonical") for answer in (ours, other))
    )


P1000 = MatrixCodec(ENCODINGS["p1000"](digits=3))


def rounded_accuracies(task, distribution):
    """Return accuracies of rounded exact answers in percent, one per tolerance."""
    matrix, answer, _ = draw(
        task, distribution, {}, rng_for("oracle", distribution), 10_000, 5, 5
    )
    matrix, answer = P1000.round_trip(matrix), P1000.round_trip(answer)
    error = scores.relative_error(task, matrix, answer, answer)
    return [100.0 * float((error < t).double().mean()) for t in TOLERANCES]


def sampling_error(percent, examples=10_000):
    return (percent * (100.0 - percent) / examples) ** 0.5


@pytest.mark.parametrize(
    ("task", "distribution", "percent"),
    [
        ("inverse", "uniform_coefficients", 91.9),
        ("symmetric_inverse", "semicircle", 93.8),
        ("symmetric_inverse", "uniform", 94.7),
        ("symmetric_inverse", "gaussian", 93.4),
        ("symmetric_inverse", "laplace", 88.7),
        ("symmetric_inverse", "abs_semicircle", 93.2),
        ("symmetric_inverse", "abs_laplace", 88.5),
        ("symmetric_inverse", "marchenko_pastur", 34.8),
    ],
)
def test_accuracy_of_exact_inverses_rounded_to_three_digits(
    task, distribution, percent
):
    """Expected values are from another sample, so the error is sqrt(2) times larger."""
    difference = rounded_accuracies(task, distribution)[0] - percent
    assert abs(difference) < 3.5 * 2**0.5 * sampling_error(percent)


def test_accuracy_of_exact_eigenvectors_rounded_to_three_digits():
    *others, smallest = rounded_accuracies("eigenvectors", "semicircle")
    assert min(others) > 99.9
    assert abs(smallest - 83.0) < 3.5 * 2**0.5 * sampling_error(83.0)
