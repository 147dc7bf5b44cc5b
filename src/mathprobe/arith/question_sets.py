"""Question sets for circuit analysis: all complexity classes, or three carry states.

B: questions, n: digits, k: column (0: units), T: tokens of `Layout`.

Source: Quirke, Neo, Barez 2024.  Their published code combines a random batch with
hand-written questions of each class; here, questions of each class are drawn.  In its
tri-case questions, the carries from lower columns are suppressed, which can change the
case, and all higher digits are 0.  Here, no carry enters the column, and all other
digits are random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.arith import columns, questions
from mathprobe.arith.complexity import CLASSES, class_indices
from mathprobe.arith.questions import GENERATE, KILL, PROPAGATE
from mathprobe.arith.tokens import Layout
from mathprobe.lazy import torch
from mathprobe.spec import Enrichment

if TYPE_CHECKING:
    from torch import Generator, Tensor

BATCH, BATCHES = 64, 1500  # enough questions for the rare classes
CASES = (KILL, PROPAGATE, GENERATE)


def classify(operation: str, digits: int, ids: Tensor) -> Tensor:
    """Return the classes of questions with token ids [B, T] as indices into CLASSES."""
    parts = Layout(digits).split(ids)
    return class_indices(operation, parts.first, parts.second)


def varied_questions(
    rng: Generator, operation: str, digits: int, enrichment: Enrichment, count: int
) -> Tensor:
    """Draw up to `count` questions of each class, with answers: token ids [B, T]."""
    settings = questions.single_operation(operation, digits, enrichment)
    ids = questions.sample(settings, rng, BATCHES, BATCH)
    level = classify(operation, digits, ids)
    return torch.cat([ids[level == index][:count] for index in range(len(CLASSES))])


def case_labels(count: int) -> Tensor:
    """Return `count` labels of each case, as indices into CASES [B]."""
    return torch.arange(len(CASES)).repeat_interleave(count)


def tri_state_questions(
    rng: Generator, operation: str, digits: int, k: int, count: int
) -> tuple[Tensor, Tensor]:
    """Draw `count` questions for each carry state of column k.

    Returns token ids [B, T] and the case of each question, an index into CASES [B].
    """
    case = case_labels(count)
    state = columns.random_states(rng, operation, len(case), digits)
    no_carry = torch.zeros(len(case), dtype=torch.bool)
    state = columns.with_carry_in(rng, state, k, no_carry)
    state = columns.with_state(state, k, torch.tensor(CASES)[case])
    operands = columns.digits_with_states(rng, operation, state)
    return questions.encode_questions(operation, *operands), case
