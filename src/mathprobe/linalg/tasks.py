"""What a transformer is asked about a matrix.  B: batch, n: size, [r, c]: answer.

Source: Charton 2022, section 2; metrics as its published code computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

TASKS = Registry("task")


class Residual(NamedTuple):
    """How far a prediction is off, and what that is relative to: both [B, ...]."""

    difference: Tensor
    scale: Tensor


@TASKS.add("eigenvalues")
class Eigenvalues:
    """Eigenvalues of a symmetric matrix, largest first."""

    @staticmethod
    def shape(n: int) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        return n, 1

    @staticmethod
    def solve(matrix: Tensor) -> Tensor:
        """Solve exactly: [B, n, n] to [B, n, 1], float64."""
        return torch.linalg.eigvalsh(matrix).flip(-1)[..., None]

    @staticmethod
    def residual(matrix: Tensor, target: Tensor, prediction: Tensor) -> Residual:
        """Compare the prediction with the target; the matrix is not needed."""
        return Residual(prediction - target, target)
