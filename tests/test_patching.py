import pytest
import torch
from networks import decoder, ids, parts

from mathprobe.decoding import greedy_answers
from mathprobe.errors import InputError
from mathprobe.interp import patching
from mathprobe.interp.patches import Patch, node_patch
from mathprobe.interp.patching import Run
from mathprobe.nets.hooks import patch

LENGTH = 4


@pytest.fixture
def run():
    return Run.greedy(decoder(), ids(15, 6, 9), LENGTH)


@pytest.fixture
def values(run):
    """Return activations of other questions, at every hook point that is patched."""
    hooks = dict.fromkeys(n.hook_name for n in parts(run))
    return Run(run.model, ids(15, 6, 9, seed=1), LENGTH).activations(*hooks)


def patched(node, values):
    def write(x):
        x[node.index_in_hook] = values[node.hook_name][node.index_in_hook]
        return x

    return write


def test_nodes_cover_every_component_at_every_input_position(run):
    assert len(run.nodes) == 8 * 2 * (4 + 1)
    assert max(node.position for node in run.nodes) == 7


def token_by_token(model, ids):
    ids = ids.clone()
    for place in range(-LENGTH, 0):
        ids[:, place] = model(ids[:, :-1])[:, place].argmax(-1)
    return ids[:, -LENGTH:]


def test_partial_recomputation_matches_the_full_patched_run(run, values):
    nodes = parts(run)
    found = run.answers([[node_patch(node, values)] for node in nodes])
    for node, answer in zip(nodes, found, strict=True):
        with patch(run.model, node.hook_name, patched(node, values)):
            expected = run.model(run.ids[:, :-1]).argmax(-1)[:, -LENGTH:]
        assert torch.equal(answer, expected), node.name


def test_answers_without_teacher_forcing_are_greedy(run, values):
    differ = 0
    for node in parts(run):
        free = run.answers([[node_patch(node, values)]], teacher_forced=False)[0]
        with patch(run.model, node.hook_name, patched(node, values)):
            assert torch.equal(free, token_by_token(run.model, run.ids))
        differ += (free != run.answers([[node_patch(node, values)]])[0]).sum()
    assert differ > 0


@pytest.mark.parametrize("teacher_forced", [True, False])
def test_patched_runs_are_independent(teacher_forced, run, values, monkeypatch):
    nodes = [[node_patch(node, values)] for node in run.nodes]
    both = [[*one, *two] for one, two in zip(nodes, reversed(nodes), strict=True)]
    together = run.answers(nodes + both, teacher_forced)
    monkeypatch.setattr(patching, "CPU_ROWS", 1)
    assert torch.equal(run.answers(nodes + both, teacher_forced), together)


def test_residual_patches_replace_a_position_after_every_layer(run, values):
    nodes = [node for node in run.residual_nodes if node.position == 5]
    patches = [node_patch(node, values) for node in nodes]
    found = run.answers([patches])[0]
    first, second = (one.hook_name for one in patches)
    with (
        patch(run.model, first, lambda x: replaced_at(x, values[first], 5)),
        patch(run.model, second, lambda x: replaced_at(x, values[second], 5)),
    ):
        expected = run.model(run.ids[:, :-1]).argmax(-1)[:, -LENGTH:]
    assert torch.equal(found, expected)


def replaced_at(x, values, position):
    x[:, position] = values[:, position]
    return x


def test_without_patches_answers_are_greedy(run):
    assert torch.equal(run.answers([[]])[0], run.unpatched_answers)
    assert torch.equal(
        run.unpatched_answers, greedy_answers(run.model, ids(15, 6, 9), LENGTH)
    )


def test_select_keeps_the_chosen_questions(run):
    selected = run.select(torch.tensor([4, 1]))
    assert torch.equal(selected.ids, run.ids[[4, 1]])
    assert selected.nodes == run.nodes


def test_a_patch_outside_the_layers_is_an_error(run):
    patches = [Patch("hook_embed", 0, 3, (), torch.zeros(1, 12))]
    with pytest.raises(InputError, match="patch the input of the model"):
        run.answers([patches])
