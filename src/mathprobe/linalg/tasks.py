"""Problems of linear algebra that a transformer learns, with solutions and metrics.

B: batch, r, c: rows and columns of a matrix, n: size of a square matrix.

Source: Charton 2022 (arXiv 2211.00170), section 2, and "Linear algebra with
transformers" (arXiv 2112.01898).  The layouts of inputs and outputs and the metrics
follow the published code wherever it works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from mathprobe.spec import EigenvalueOrder, Signs

TASKS: Registry[Task] = Registry("task")
INVERSE_TOLERANCE = 1e-10  # largest |M M^-1 - I| of a matrix that is accepted
Shape = tuple[int, int]  # rows and columns


class Residual(NamedTuple):
    """Numerator and denominator [B, ...] of a relative error, before their L1 norms."""

    difference: Tensor
    scale: Tensor


def _one_operand(rows: int, columns: int) -> list[Shape]:
    return [(rows, columns)]


def _two_operands(rows: int, columns: int) -> list[Shape]:
    return [(rows, columns), (rows, columns)]


def _from_target(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    return Residual(prediction - target, target)


def _accept_all(matrix: Tensor, answer: Tensor) -> Tensor:
    # On the CPU, so that the caller does not have to synchronize with the GPU.
    return torch.ones(len(matrix), dtype=torch.bool)


@dataclass(frozen=True)
class Task:
    """A problem, its exact solution and the error of a predicted solution."""

    output_shape: Callable[[int, int], Shape]  # from the rows and columns of the input
    solve: Callable[[Tensor], Tensor]  # [B, r, c] to float64; NaN without a solution
    square: bool = False  # whether matrices must be square
    symmetric: bool = False  # whether matrices must be symmetric
    # Shapes of the matrices that are concatenated to form the input.
    operands: Callable[[int, int], list[Shape]] = _one_operand
    # From matrices, targets and predictions [B, ...].
    residual: Callable[[Tensor, Tensor, Tensor], Residual] = _from_target
    # From matrices and answers to a mask [B] of valid examples; others are redrawn.
    accepts: Callable[[Tensor, Tensor], Tensor] = _accept_all
    # Solution from known eigenvalues [B, n], if these determine it.
    from_eigenvalues: Callable[[Tensor], Tensor] | None = None
    # From matrices and answers to answers with canonical signs, if the solver chooses
    # signs.
    canonical_signs: Callable[[Tensor, Tensor], Tensor] | None = None
    # Whether the columns of answers are eigenvalues, largest first, and eigenvectors.
    has_eigenvectors: bool = False

    def input_shape(self, rows: int, columns: int) -> Shape:
        """Return the rows and columns of the input."""
        return rows, sum(width for _, width in self.operands(rows, columns))

    def answer(self, matrix: Tensor, eigenvalues: Tensor | None) -> Tensor:
        """Return the exact solution, from the eigenvalues [B, n] if possible.

        `eigenvalues` is None if the distribution does not draw them.
        """
        if eigenvalues is None or self.from_eigenvalues is None:
            return self.solve(matrix)
        return self.from_eigenvalues(eigenvalues)

    def label(
        self,
        matrix: Tensor,
        answer: Tensor,
        signs: Signs,
        eigenvalue_order: EigenvalueOrder = "descending",
    ) -> Tensor:
        """Return the labels [B, r, c] of models for answers [B, r, c].

        Vectors have the signs of the solver ("lapack"), or signs that make the largest
        coefficient of each eigenvector or left singular vector positive ("canonical").
        Eigenvectors are ordered by their eigenvalues.
        """
        if eigenvalue_order == "ascending" and self.has_eigenvectors:
            answer = answer.flip(-1)
        if signs == "lapack" or self.canonical_signs is None:
            return answer
        return self.canonical_signs(matrix, answer)


TASKS.add("eigenvalues")(
    Task(
        lambda rows, columns: (rows, 1),
        lambda matrix: torch.linalg.eigvalsh(matrix).flip(-1)[..., None],
        square=True,
        symmetric=True,
        from_eigenvalues=lambda values: values.sort(descending=True).values[..., None],
    )
)


def _eigenvectors(matrix: Tensor) -> Tensor:
    """Return [B, 1 + n, n]: a row of eigenvalues, largest first, then eigenvectors.

    Eigenvectors are columns.  The eigensolver chooses their signs, which differ between
    builds of LAPACK; the residual does not depend on them.
    """
    values, vectors = torch.linalg.eigh(matrix)
    return torch.cat([values[:, None], vectors], dim=1).flip(-1)


def _signs(vectors: Tensor) -> Tensor:
    """Return the signs [B, 1, k] of the largest coefficients of columns [B, n, k].

    The largest coefficient is the first one of largest magnitude.
    """
    largest = vectors.abs().argmax(1, keepdim=True)
    return vectors.gather(1, largest).sign()


def _canonical_eigenvectors(matrix: Tensor, answer: Tensor) -> Tensor:
    """Make the largest coefficient of each eigenvector positive."""
    values, vectors = answer[:, :1], answer[:, 1:]
    return torch.cat([values, vectors * _signs(vectors)], dim=1)


def _off_diagonal(
    left: Tensor, matrix: Tensor, right: Tensor, values: Tensor
) -> Residual:
    """Return left^T matrix right - diag(values) [B, k, k], relative to the values."""
    return Residual(left.mT @ matrix @ right - values.diag_embed(), values)


def _eigenvector_residual(
    matrix: Tensor, target: Tensor, prediction: Tensor
) -> Residual:
    """Return H^T M H - diag(values) relative to values; H and values are predicted."""
    vectors = prediction[:, 1:]
    return _off_diagonal(vectors, matrix, vectors, prediction[:, 0])


TASKS.add("eigenvectors")(
    Task(
        lambda rows, columns: (rows + 1, columns),
        _eigenvectors,
        square=True,
        symmetric=True,
        residual=_eigenvector_residual,
        canonical_signs=_canonical_eigenvectors,
        has_eigenvectors=True,
    )
)


def _inverse(matrix: Tensor) -> Tensor:
    inverse, singular = torch.linalg.inv_ex(matrix)
    return inverse.masked_fill(singular[:, None, None] != 0, torch.nan)


def _inverse_residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    """Return M P - I relative to I; it does not depend on the target."""
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return Residual(matrix @ prediction - one, one.expand_as(matrix))


def _is_invertible(matrix: Tensor, answer: Tensor) -> Tensor:
    """Return a mask [B] of the numerically invertible matrices.

    A matrix whose answer is NaN is not, since comparisons with NaN are false.
    """
    difference = _inverse_residual(matrix, answer, answer).difference
    return difference.abs().amax((1, 2)) <= INVERSE_TOLERANCE


INVERSE = TASKS.add("inverse")(
    Task(
        lambda rows, columns: (rows, columns),
        _inverse,
        square=True,
        residual=_inverse_residual,
        accepts=_is_invertible,
    )
)
TASKS.add("symmetric_inverse")(replace(INVERSE, symmetric=True))


TASKS.add("transpose")(
    Task(
        lambda rows, columns: (columns, rows),
        lambda matrix: matrix.mT,
        # Relative to the input, which may differ from the target by rounding.
        residual=lambda matrix, _, prediction: _from_target(
            matrix, matrix.mT, prediction
        ),
    )
)


def _sum(matrix: Tensor) -> Tensor:
    left, right = matrix.chunk(2, dim=-1)
    return left + right


def _product(matrix: Tensor) -> Tensor:
    left, right = matrix.chunk(2, dim=-1)
    return left.mT @ right


TASKS.add("matrix_sum")(
    Task(lambda rows, columns: (rows, columns), _sum, operands=_two_operands)
)
# The first operand of products is transposed, as in the published code.
TASKS.add("matrix_vector")(
    Task(
        lambda rows, columns: (columns, 1),
        lambda matrix: matrix[..., :-1].mT @ matrix[..., -1:],
        operands=lambda rows, columns: [(rows, columns), (rows, 1)],
    )
)
TASKS.add("matrix_product")(
    Task(lambda rows, columns: (columns, columns), _product, operands=_two_operands)
)


TASKS.add("singular_values")(
    Task(
        lambda rows, columns: (min(rows, columns), 1),
        lambda matrix: torch.linalg.svdvals(matrix)[..., None],  # largest first
    )
)


def _singular_vectors(matrix: Tensor) -> Tensor:
    """Return [B, 1 + r + c, min(r, c)]: a row of singular values, then U, then V.

    Singular values are in descending order.  The vectors are the columns of U and V,
    with the signs that the solver returns.
    """
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return torch.cat([values[:, None], left, right.mT], dim=1)


def _canonical_singular_vectors(matrix: Tensor, answer: Tensor) -> Tensor:
    """Make the largest coefficient of each column of U positive; flip V with U.

    Source: `svd_flip` of scikit-learn.
    """
    values, vectors = answer[:, :1], answer[:, 1:]
    left = vectors[:, : matrix.shape[1]]
    return torch.cat([values, vectors * _signs(left)], dim=1)


def _singular_vector_residual(
    matrix: Tensor, target: Tensor, prediction: Tensor
) -> Residual:
    """Return U^T X V - diag(values) relative to values; U, V and values predicted."""
    left, right = prediction[:, 1:].split(matrix.shape[1:], dim=1)
    return _off_diagonal(left, matrix, right, prediction[:, 0])


TASKS.add("singular_vectors")(
    Task(
        lambda rows, columns: (1 + rows + columns, min(rows, columns)),
        _singular_vectors,
        residual=_singular_vector_residual,
        canonical_signs=_canonical_singular_vectors,
    )
)
