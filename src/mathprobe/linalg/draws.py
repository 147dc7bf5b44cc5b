"""Examples: matrices of a law beside their exact answers.  B: batch, [r, c]: matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mathprobe.errors import InputError
from mathprobe.linalg import laws
from mathprobe.linalg.laws import LAWS
from mathprobe.linalg.tasks import TASKS

if TYPE_CHECKING:
    from torch import Generator, Tensor

MOST_REDRAWS = 100  # of one example, before the law is held to have no good one


class Examples(NamedTuple):
    """Matrices [B, r, c], answers [B, r', c'], and how many draws were not kept."""

    matrix: Tensor
    answer: Tensor
    rejected: int


def laws_for(task: str) -> list[str]:
    """Name the laws that a task's tables compare, in their order.

    Where a matrix need not be symmetric, these are the laws that are not.
    """
    if TASKS[task].symmetric:
        return [law for law in LAWS if laws.in_comparison(law)]
    return [law for law in LAWS if not laws.is_symmetric(law)]


def check(task: str, law: str, rows: int, columns: int) -> None:
    """Refuse a task that cannot be asked about matrices of a law and a size."""
    question = TASKS[task]
    if question.square and rows != columns:
        raise InputError(f"task {task!r}: {rows} x {columns}: matrices must be square")
    for part in laws.parts(law):
        if question.symmetric and not laws.is_symmetric(part):
            allowed = ", ".join(name for name in LAWS if laws.is_symmetric(name))
            raise InputError(
                f"task {task!r}: law {law!r}: matrices of {part!r} are not symmetric; "
                f"laws that fit are {allowed}"
            )
    try:
        for shape in question.operands(rows, columns):
            laws.check_shape(law, *shape)
    except InputError as error:
        raise InputError(f"task {task!r}: {error}") from error


def draw(
    task: str,
    law: str,
    settings: Mapping[str, laws.Settings],
    rng: Generator,
    count: int,
    rows: int,
    columns: int,
) -> Examples:
    """Draw `count` examples; those that the task does not accept are drawn again.

    `settings` are those of the laws, by name; what they leave out is the paper's.
    """
    check(task, law, rows, columns)
    question = TASKS[task]
    shapes = question.operands(rows, columns)

    def ask(batch: int) -> tuple[Tensor, Tensor]:
        matrix, eigenvalues = laws.matrices(law, settings, rng, batch, *shapes)
        return matrix, question.answer(matrix, eigenvalues)

    matrix, answer = ask(count)
    bad, rejected = (~question.accepts(matrix, answer)).nonzero()[:, 0], 0
    for _ in range(MOST_REDRAWS):
        if not len(bad):
            return Examples(matrix, answer, rejected)
        rejected += len(bad)
        again = ask(len(bad))
        matrix[bad], answer[bad] = again
        bad = bad[~question.accepts(*again)]
    raise InputError(
        f"task {task!r}: {rows} x {columns} matrices of law {law!r}, with these "
        "settings, are hardly ever accepted"
    )
