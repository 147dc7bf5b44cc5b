"""Examples of a task: random matrices and their exact solutions.

B: batch, [r, c]: matrix, [r', c']: answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.errors import InputError
from mathprobe.linalg import distributions
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Generator, Tensor

MAX_REDRAWS = 100  # per example; then `draw` fails


class Examples(NamedTuple):
    """Matrices [B, r, c], answers [B, r', c'] and the number of rejected matrices."""

    matrix: Tensor
    answer: Tensor
    rejected: int


def distributions_for(task: str) -> list[str]:
    """Return the distributions that a task's tables compare, in order of registration.

    They are the symmetric distributions of the paper if the task requires symmetric
    matrices, and all nonsymmetric distributions otherwise.
    """
    if TASKS[task].symmetric:
        return [name for name in DISTRIBUTIONS if distributions.is_tabulated(name)]
    return [name for name in DISTRIBUTIONS if not distributions.is_symmetric(name)]


def check(task: str, distribution: str, rows: int, columns: int) -> None:
    """Raise InputError if a task is undefined for this distribution or shape."""
    problem = TASKS[task]
    if problem.square and rows != columns:
        raise InputError(f"task {task!r}: {rows} x {columns}: matrices must be square")
    for component in distributions.components(distribution):
        if problem.symmetric and not distributions.is_symmetric(component):
            symmetric = filter(distributions.is_symmetric, DISTRIBUTIONS)
            raise InputError(
                f"task {task!r}: distribution {distribution!r}: matrices of "
                f"{component!r} are not symmetric; symmetric distributions are "
                f"{', '.join(symmetric)}"
            )
    try:
        for shape in problem.operands(rows, columns):
            distributions.check_shape(distribution, *shape)
    except InputError as error:
        raise InputError(f"task {task!r}: {error}") from error


def draw(
    task: str,
    distribution: str,
    settings: Mapping[str, distributions.Settings],
    rng: Generator,
    count: int,
    rows: int,
    columns: int,
) -> Examples:
    """Draw `count` examples of a task.

    Matrices that the task rejects are drawn again.  `settings` maps distributions to
    parameters that replace their defaults.  Raises InputError if the task is undefined
    for the distribution or shape, or if a matrix is rejected MAX_REDRAWS times.
    """
    check(task, distribution, rows, columns)
    problem = TASKS[task]
    shapes = problem.operands(rows, columns)

    def draw_batch(batch: int) -> tuple[Tensor, Tensor]:
        matrix, eigenvalues = distributions.draw_matrices(
            distribution, settings, rng, batch, *shapes
        )
        return matrix, problem.answer(matrix, eigenvalues)

    matrix, answer = draw_batch(count)
    bad, rejected = (~problem.accepts(matrix, answer)).nonzero()[:, 0], 0
    for _ in range(MAX_REDRAWS):
        if not len(bad):
            return Examples(matrix, answer, rejected)
        rejected += len(bad)
        redrawn = draw_batch(len(bad))
        matrix[bad], answer[bad] = redrawn
        bad = bad[~problem.accepts(*redrawn)]
    raise InputError(
        f"task {task!r}: {rows} x {columns} matrices of distribution {distribution!r} "
        f"were rejected {MAX_REDRAWS} times in a row; change its settings"
    )
