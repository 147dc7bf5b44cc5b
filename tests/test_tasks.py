import pytest
import torch

from mathprobe.linalg.laws import LAWS
from mathprobe.linalg.tasks import TASKS
from mathprobe.seeds import stream


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_answers_have_their_shape_and_leave_no_residual(task, law, n):
    matrix = LAWS[law](stream("test"), 30, n)
    answer = TASKS[task].solve(matrix)
    assert answer.shape == (30, *TASKS[task].shape(n))
    assert answer.dtype == torch.float64
    difference, scale = TASKS[task].residual(matrix, answer, answer)
    assert difference.abs().max() < 1e-9
    assert (scale.abs().flatten(1).sum(1) > 0).all()


def test_eigenvalues_are_largest_first():
    matrix = torch.diag_embed(torch.tensor([[3.0, -8.0, 5.0]], dtype=torch.float64))
    assert TASKS["eigenvalues"].solve(matrix).flatten().tolist() == [5.0, 3.0, -8.0]
