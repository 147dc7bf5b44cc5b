import pytest
import torch

from mathprobe.arith import question_sets
from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.questions import OPERATIONS, encode_questions
from mathprobe.arith.tokens import Layout
from mathprobe.seeds import rng_for
from mathprobe.spec import Enrichment

ENRICHED = Enrichment(0.4, 0.4, 0.01)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_class_has_the_requested_number_of_questions(operation):
    ids = question_sets.varied_questions(rng_for("test"), operation, 6, ENRICHED, 20)
    counts = torch.bincount(
        question_sets.classify(operation, 6, ids), minlength=len(CLASSES)
    )
    letters = {"addition": "S", "subtraction": "MN"}[operation]
    for name, count in zip(CLASSES, counts.tolist(), strict=True):
        assert count == (20 if name[0] in letters else 0), name


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("k", [0, 1, 3])
def test_tri_state_questions_have_the_state_of_their_case(operation, k):
    n, operator = 4, OPERATIONS[operation]
    ids, case = question_sets.tri_state_questions(rng_for("test"), operation, n, k, 30)
    parts = Layout(n).split(ids)
    state = operator.state(parts.first, parts.second)
    assert torch.equal(state[:, -1 - k], case - 1)
    assert torch.equal(case.bincount(), torch.tensor([30, 30, 30]))
    assert torch.equal(encode_questions(operation, parts.first, parts.second), ids)


def test_no_carry_enters_the_column_and_other_digits_are_random():
    n, k = 4, 2
    ids, _ = question_sets.tri_state_questions(rng_for("test"), "addition", n, k, 200)
    parts = Layout(n).split(ids)
    lower = (parts.first + parts.second)[:, -k:]
    assert (lower[:, 0] * 10 + lower[:, 1] < 100).all()
    digits = torch.cat([parts.first, parts.second], 1).T
    for column in digits:
        assert len(column.unique()) == 10
