"""Questions for a closer look: of every class, and of three cases of a column.

B: questions, n: digits, T: tokens of `Layout`.

Source: Quirke, Neo, Barez 2024.  Their published code takes a random batch and lists of
questions written by hand; here those of every class are drawn.  Its questions of three
cases change the case when they keep lower columns from carrying, and have no digits
above the column; here the lower columns do not carry, and all others are random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.arith import columns, questions
from mathprobe.arith.columns import GENERATE, KILL, PROPAGATE
from mathprobe.arith.complexity import CLASSES, class_indices
from mathprobe.arith.tokens import Layout
from mathprobe.lazy import torch
from mathprobe.spec import Enrichment

if TYPE_CHECKING:
    from torch import Generator, Tensor

BATCH, BATCHES = 64, 1500  # enough to meet the rare classes
CASES = (KILL, PROPAGATE, GENERATE)


def classify(operation: str, digits: int, ids: Tensor) -> Tensor:
    """Give the classes of questions [B, T], as places in CLASSES [B]."""
    parts = Layout(digits).split(ids)
    return class_indices(operation, parts.first, parts.second)


def varied_questions(
    rng: Generator, operation: str, digits: int, enrichment: Enrichment, count: int
) -> Tensor:
    """Draw questions with answers [B, T]: up to so many of every class."""
    asked = questions.single_operation(operation, digits, enrichment)
    ids = questions.sample(asked, rng, BATCHES, BATCH)
    level = classify(operation, digits, ids)
    return torch.cat([ids[level == kind][:count] for kind in range(len(CLASSES))])


def cases(count: int) -> Tensor:
    """Name so many questions of each state: places in CASES [B]."""
    return torch.arange(len(CASES)).repeat_interleave(count)


def tri_state_questions(
    rng: Generator, operation: str, digits: int, k: int, count: int
) -> tuple[Tensor, Tensor]:
    """Draw so many questions [B, T] of each state of column k, and their case [B]."""
    case = cases(count)
    state = columns.states(rng, operation, len(case), digits)
    nothing = torch.zeros(len(case), dtype=torch.bool)
    state = columns.bring(rng, state, k, nothing)
    state = columns.put(state, k, torch.tensor(CASES)[case])
    return questions.encode_questions(
        operation, *columns.digits(rng, operation, state)
    ), case
