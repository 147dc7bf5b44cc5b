"""What a transformer is asked about a matrix.  B: batch, [r, c]: matrix, n: square.

Source: Charton 2022, section 2 and "Linear algebra with transformers" (arXiv
2112.01898); layouts and metrics as the published code has them, where it works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

TASKS: Registry[Task] = Registry("task")
INVERSE_TOLERANCE = 1e-10  # largest |M M^-1 - I| of a matrix that is asked about
Shape = tuple[int, int]  # rows and columns


class Residual(NamedTuple):
    """How far a prediction is off, and what that is relative to: both [B, ...]."""

    difference: Tensor
    scale: Tensor


def _alone(rows: int, columns: int) -> list[Shape]:
    return [(rows, columns)]


def _pair(rows: int, columns: int) -> list[Shape]:
    return [(rows, columns), (rows, columns)]


def _from_target(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    return Residual(prediction - target, target)


def _all(matrix: Tensor, answer: Tensor) -> Tensor:
    return torch.ones(len(matrix), dtype=torch.bool)  # no GPU is waited for


@dataclass(frozen=True)
class Task:
    """A question about matrices, and what makes an answer right."""

    output_shape: Callable[[int, int], Shape]  # of the answer, from the matrix's
    solve: Callable[[Tensor], Tensor]  # exactly: [B, r, c] to float64, or NaN
    square: bool = False  # whether only square matrices can be asked about
    symmetric: bool = False  # or, of those, only symmetric ones
    operands: Callable[[int, int], list[Shape]] = _alone  # side by side in the input
    # of matrix, target and prediction
    residual: Callable[[Tensor, Tensor, Tensor], Residual] = _from_target
    accepts: Callable[[Tensor, Tensor], Tensor] = _all  # which draws are examples [B]
    from_eigenvalues: Callable[[Tensor], Tensor] | None = None  # [B, n] to the answer

    def input_shape(self, rows: int, columns: int) -> Shape:
        """Return the input's rows and columns."""
        return rows, sum(width for _, width in self.operands(rows, columns))

    def answer(self, matrix: Tensor, eigenvalues: Tensor | None) -> Tensor:
        """Solve a matrix whose distribution may have chosen its eigenvalues [B, n]."""
        if eigenvalues is None or self.from_eigenvalues is None:
            return self.solve(matrix)
        return self.from_eigenvalues(eigenvalues)


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
    """Return eigenvalues, largest first, above the matrix of their column vectors.

    The signs of the vectors are those that the eigensolver gives: on another device or
    build of LAPACK targets have other signs.  The residual does not see signs.
    """
    values, vectors = torch.linalg.eigh(matrix)
    return torch.cat([values[:, None], vectors], dim=1).flip(-1)


def _off_diagonal(
    left: Tensor, matrix: Tensor, right: Tensor, values: Tensor
) -> Residual:
    """Return left^T matrix right - diag(values) [B, k, k], relative to the values."""
    return Residual(left.mT @ matrix @ right - values.diag_embed(), values)


def _of_vectors(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    """Return H^T M H - diag(values), all predicted, relative to the values."""
    vectors = prediction[:, 1:]
    return _off_diagonal(vectors, matrix, vectors, prediction[:, 0])


TASKS.add("eigenvectors")(
    Task(
        lambda rows, columns: (rows + 1, columns),
        _eigenvectors,
        square=True,
        symmetric=True,
        residual=_of_vectors,
    )
)


def _inverse(matrix: Tensor) -> Tensor:
    inverse, singular = torch.linalg.inv_ex(matrix)
    return inverse.masked_fill(singular[:, None, None] != 0, torch.nan)


def _of_inverse(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    """Return M P - I relative to I; the target is not needed."""
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return Residual(matrix @ prediction - one, one.expand_as(matrix))


def _invertible(matrix: Tensor, answer: Tensor) -> Tensor:
    """Return which draws [B] are numerically invertible; NaN compares false."""
    off = _of_inverse(matrix, answer, answer).difference
    return off.abs().amax((1, 2)) <= INVERSE_TOLERANCE


INVERSE = TASKS.add("inverse")(
    Task(
        lambda rows, columns: (rows, columns),
        _inverse,
        square=True,
        residual=_of_inverse,
        accepts=_invertible,
    )
)
TASKS.add("symmetric_inverse")(replace(INVERSE, symmetric=True))


TASKS.add("transpose")(
    Task(
        lambda rows, columns: (columns, rows),
        lambda matrix: matrix.mT,
        # Compared with the matrix as it was read, not with the target.
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
    Task(lambda rows, columns: (rows, columns), _sum, operands=_pair)
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
    Task(lambda rows, columns: (columns, columns), _product, operands=_pair)
)


TASKS.add("singular_values")(
    Task(
        lambda rows, columns: (min(rows, columns), 1),
        lambda matrix: torch.linalg.svdvals(matrix)[..., None],  # largest first
    )
)


def _singular_vectors(matrix: Tensor) -> Tensor:
    """Return singular values, largest first, above the rows of U, and those of V.

    Their columns are the vectors, with the signs that the solver gives.
    """
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return torch.cat([values[:, None], left, right.mT], dim=1)


def _of_two_bases(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
    """Return U^T X V - diag(values), all predicted, relative to the values."""
    left, right = prediction[:, 1:].split(matrix.shape[1:], dim=1)
    return _off_diagonal(left, matrix, right, prediction[:, 0])


TASKS.add("singular_vectors")(
    Task(
        lambda rows, columns: (1 + rows + columns, min(rows, columns)),
        _singular_vectors,
        residual=_of_two_bases,
    )
)
