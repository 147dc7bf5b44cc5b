"""What a transformer is asked about a matrix.  B: batch, [r, c]: matrix, n: square.

Source: Charton 2022, section 2 and "Linear algebra with transformers" (arXiv
2112.01898); layouts and metrics as the published code has them, where it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

TASKS = Registry("task")
INVERTIBLE = 1e-10  # largest |M M^-1 - I| of a matrix that is asked about


class Residual(NamedTuple):
    """How far a prediction is off, and what that is relative to: both [B, ...]."""

    difference: Tensor
    scale: Tensor


class Task:
    """A question.  A subclass adds `shape` and `solve`, and changes what differs.

    `shape(rows, columns)` gives the answer's rows and columns;
    `solve(matrix)` answers exactly: [B, r, c] to float64, NaN where there is no answer.
    """

    square = False  # whether only square matrices can be asked about
    symmetric = False  # or, of those, only symmetric ones

    @staticmethod
    def operands(rows: int, columns: int) -> list[tuple[int, int]]:
        """Give the shapes of the matrices that the input has side by side."""
        return [(rows, columns)]

    @classmethod
    def input_shape(cls, rows: int, columns: int) -> tuple[int, int]:
        """Give the input's rows and columns."""
        return rows, sum(width for _, width in cls.operands(rows, columns))

    @classmethod
    def answer(cls, matrix: Tensor, eigenvalues: Tensor | None) -> Tensor:
        """Solve a matrix whose law may have chosen its eigenvalues [B, n]."""
        return cls.solve(matrix)

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Compare the prediction with the target; the matrix is not needed."""
        return Residual(prediction - target, target)

    @staticmethod
    def accepts(matrix: Tensor, answer: Tensor) -> Tensor:
        """Tell which draws [B] are good examples: all."""
        return torch.ones(len(matrix), dtype=torch.bool)  # no GPU is waited for


@TASKS.add("eigenvalues")
class Eigenvalues(Task):
    """Eigenvalues of a symmetric matrix, largest first."""

    square = symmetric = True

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return rows, 1

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, n, n] to [B, n, 1]."""
        return torch.linalg.eigvalsh(matrix).flip(-1)[..., None]

    @classmethod
    def answer(cls, matrix: Tensor, eigenvalues: Tensor | None) -> Tensor:
        """Give the eigenvalues that a law chose, or solve: [B, n, 1]."""
        if eigenvalues is None:
            return cls.solve(matrix)
        return eigenvalues.sort(descending=True).values[..., None]


@TASKS.add("eigenvectors")
class Eigenvectors(Task):
    """Eigenvalues, largest first, above the matrix H whose columns are their vectors.

    The signs of the vectors are those that the eigensolver gives: on another device or
    build of LAPACK targets have other signs.  The residual does not see signs.
    """

    square = symmetric = True

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return rows + 1, columns

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, n, n] to [B, n + 1, n]."""
        values, vectors = torch.linalg.eigh(matrix)
        return torch.cat([values[:, None], vectors], dim=1).flip(-1)

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Give H^T M H - diag(values), all predicted, relative to the values."""
        values, vectors = prediction[:, 0], prediction[:, 1:]
        return Residual(_off_diagonal(vectors, matrix, vectors, values), values)


@TASKS.add("inverse")
class Inverse(Task):
    """Inverse of a square matrix."""

    square = True

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return rows, columns

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, n, n] to [B, n, n]."""
        inverse, singular = torch.linalg.inv_ex(matrix)
        return inverse.masked_fill(singular[:, None, None] != 0, torch.nan)

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Give M P - I relative to I; the target is not needed."""
        one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        return Residual(matrix @ prediction - one, one.expand_as(matrix))

    @classmethod
    def accepts(cls, matrix: Tensor, answer: Tensor) -> Tensor:
        """Tell which draws [B] are numerically invertible; NaN compares false."""
        off = cls.residual(matrix, answer, answer).difference
        return off.abs().amax((1, 2)) <= INVERTIBLE


@TASKS.add("symmetric_inverse")
class SymmetricInverse(Inverse):
    """Inverse of a symmetric matrix."""

    symmetric = True


@TASKS.add("transpose")
class Transpose(Task):
    """Transpose of a matrix."""

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return columns, rows

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, c] to [B, c, r]."""
        return matrix.mT

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Compare the prediction with the matrix as it was read, not the target."""
        return Residual(prediction - matrix.mT, matrix.mT)


@TASKS.add("matrix_sum")
class MatrixSum(Task):
    """Sum of two matrices."""

    @staticmethod
    def operands(rows: int, columns: int) -> list[tuple[int, int]]:
        """Give the shapes of the matrices that the input has side by side."""
        return [(rows, columns), (rows, columns)]

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return rows, columns

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, 2 c] to [B, r, c]."""
        left, right = matrix.chunk(2, dim=-1)
        return left + right


@TASKS.add("matrix_vector")
class MatrixVector(Task):
    """Product of a matrix, transposed as in the published code, and a vector."""

    @staticmethod
    def operands(rows: int, columns: int) -> list[tuple[int, int]]:
        """Give the shapes of the matrices that the input has side by side."""
        return [(rows, columns), (rows, 1)]

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return columns, 1

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, c + 1] to [B, c, 1]."""
        return matrix[..., :-1].mT @ matrix[..., -1:]


@TASKS.add("matrix_product")
class MatrixProduct(MatrixSum):
    """Product of two matrices, the first transposed as in the published code."""

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return columns, columns

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, 2 c] to [B, c, c]."""
        left, right = matrix.chunk(2, dim=-1)
        return left.mT @ right


@TASKS.add("singular_values")
class SingularValues(Task):
    """Singular values of a matrix, largest first."""

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return min(rows, columns), 1

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, c] to [B, k, 1], where k = min(r, c)."""
        return torch.linalg.svdvals(matrix)[..., None]


@TASKS.add("singular_vectors")
class SingularVectors(Task):
    """Singular values, largest first, above the rows of U, above the rows of V.

    Their columns are the vectors, with the signs that the solver gives.
    """

    @staticmethod
    def shape(rows: int, columns: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return 1 + rows + columns, min(rows, columns)

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, r, c] to [B, 1 + r + c, k], where k = min(r, c)."""
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        return torch.cat([values[:, None], left, right.mT], dim=1)

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Give U^T X V - diag(values), all predicted, relative to the values."""
        values, vectors = prediction[:, 0], prediction[:, 1:]
        left, right = vectors.split(matrix.shape[1:], dim=1)
        return Residual(_off_diagonal(left, matrix, right, values), values)


def _off_diagonal(
    left: Tensor, matrix: Tensor, right: Tensor, values: Tensor
) -> Tensor:
    """Give left^T matrix right - diag(values): [B, k, k]."""
    return left.mT @ matrix @ right - values.diag_embed()
