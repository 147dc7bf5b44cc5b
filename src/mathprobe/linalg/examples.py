"""Examples: matrices of a distribution beside their exact answers.  B: batch, [r, c]: matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.errors import InputError
from mathprobe.linalg import distributions
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Generator, Tensor

MAX_REDRAWS = 100  # of one example, before the distribution is held to have no good one


class Examples(NamedTuple):
    """Matrices [B, r, c], answers [B, r', c'], and how many draws were not kept."""

    matrix: Tensor
    answer: Tensor
    rejected: int


def distributions_for(task: str) -> list[str]:
    """Name the distributions that a task's tables compare, in their order.

    Where a matrix need not be symmetric, these are the distributions that are not.
    """
    if TASKS[task].symmetric:
        return [
            distribution
            for distribution in DISTRIBUTIONS
            if distributions.is_tabulated(distribution)
        ]
    return [
        distribution
        for distribution in DISTRIBUTIONS
        if not distributions.is_symmetric(distribution)
    ]


def check(task: str, distribution: str, rows: int, columns: int) -> None:
    """Refuse a task that cannot be asked about matrices of a distribution and a size."""
    question = TASKS[task]
    if question.square and rows != columns:
        raise InputError(f"task {task!r}: {rows} x {columns}: matrices must be square")
    for part in distributions.components(distribution):
        if question.symmetric and not distributions.is_symmetric(part):
            allowed = ", ".join(
                name for name in DISTRIBUTIONS if distributions.is_symmetric(name)
            )
            raise InputError(
                f"task {task!r}: distribution {distribution!r}: matrices of {part!r} are not symmetric; "
                f"distributions that fit are {allowed}"
            )
    try:
        for shape in question.operands(rows, columns):
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
    """Draw `count` examples; those that the task does not accept are drawn again.

    `settings` are those of the distributions, by name; what they leave out is the paper's.
    """
    check(task, distribution, rows, columns)
    question = TASKS[task]
    shapes = question.operands(rows, columns)

    def ask(batch: int) -> tuple[Tensor, Tensor]:
        matrix, eigenvalues = distributions.draw_matrices(
            distribution, settings, rng, batch, *shapes
        )
        return matrix, question.answer(matrix, eigenvalues)

    matrix, answer = ask(count)
    bad, rejected = (~question.accepts(matrix, answer)).nonzero()[:, 0], 0
    for _ in range(MAX_REDRAWS):
        if not len(bad):
            return Examples(matrix, answer, rejected)
        rejected += len(bad)
        again = ask(len(bad))
        matrix[bad], answer[bad] = again
        bad = bad[~question.accepts(*again)]
    raise InputError(
        f"task {task!r}: {rows} x {columns} matrices of distribution {distribution!r}, with these "
        "settings, are hardly ever accepted"
    )
