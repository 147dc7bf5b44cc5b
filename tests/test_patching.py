import pytest
import torch
from networks import decoder, ids

from mathprobe.decoding import greedy_answers
from mathprobe.interp import patching
from mathprobe.interp.nodes import NODE_HOOKS
from mathprobe.interp.patching import Run, node_patch, residual_patches
from mathprobe.nets.hooks import patch

LENGTH = 4


@pytest.fixture
def run():
    return Run.greedy(decoder(), ids(15, 6, 9), LENGTH)


@pytest.fixture
def other(run):
    """What passes at other questions, at every tap."""
    layers = range(run.layers)
    names = [*NODE_HOOKS.values(), patching.RESIDUAL]
    taps = [f"blocks.{layer}.{name}" for layer in layers for name in names]
    return Run(run.model, ids(15, 6, 9, seed=1), LENGTH).activations(*taps)


def patched(node, values):
    def write(x):
        x[node.index_in_hook] = values[node.hook_name][node.index_in_hook]
        return x

    return write


def test_there_is_a_node_for_every_part_at_every_token_that_is_read(run):
    assert len(run.nodes) == 8 * 2 * (4 + 1)
    assert max(node.position for node in run.nodes) == 7


def word_by_word(model, ids):
    ids = ids.clone()
    for place in range(-LENGTH, 0):
        ids[:, place] = model(ids[:, :-1])[:, place].argmax(-1)
    return ids[:, -LENGTH:]


def test_starting_at_the_change_gives_what_the_whole_run_gives(run, other):
    found = run.answers([[node_patch(node, other)] for node in run.nodes])
    for node, answer in zip(run.nodes, found, strict=True):
        with patch(run.model, node.hook_name, patched(node, other)):
            whole = run.model(run.ids[:, :-1]).argmax(-1)[:, -LENGTH:]
        assert torch.equal(answer, whole), node.name


def test_free_answers_are_the_greedy_ones_of_the_changed_network(run, other):
    differ = 0
    for node in run.nodes:
        free = run.answers([[node_patch(node, other)]], teacher_forced=False)[0]
        with patch(run.model, node.hook_name, patched(node, other)):
            assert torch.equal(free, word_by_word(run.model, run.ids))
        differ += (free != run.answers([[node_patch(node, other)]])[0]).sum()
    assert differ > 0


@pytest.mark.parametrize("forced", [True, False])
def test_variants_do_not_mix(forced, run, other, monkeypatch):
    nodes = [[node_patch(node, other)] for node in run.nodes]
    both = [[*one, *two] for one, two in zip(nodes, reversed(nodes), strict=True)]
    together = run.answers(nodes + both, forced)
    monkeypatch.setattr(patching, "BATCH_ROWS", 1)
    assert torch.equal(run.answers(nodes + both, forced), together)


def test_a_position_is_replaced_after_every_layer(run, other):
    changes = residual_patches(5, run.layers, other)
    found = run.answers([changes])[0]
    with (
        patch(
            run.model,
            changes[0].hook_name,
            lambda x: at(x, other[changes[0].hook_name], 5),
        ),
        patch(
            run.model,
            changes[1].hook_name,
            lambda x: at(x, other[changes[1].hook_name], 5),
        ),
    ):
        whole = run.model(run.ids[:, :-1]).argmax(-1)[:, -LENGTH:]
    assert torch.equal(found, whole)


def at(x, values, position):
    x[:, position] = values[:, position]
    return x


def test_without_a_change_the_answers_are_the_decoders_own(run):
    assert torch.equal(run.answers([[]])[0], run.unpatched_answers)
    assert torch.equal(
        run.unpatched_answers, greedy_answers(run.model, ids(15, 6, 9), LENGTH)
    )


def test_some_questions_can_be_kept(run):
    kept = run.select(torch.tensor([4, 1]))
    assert torch.equal(kept.ids, run.ids[[4, 1]])
    assert kept.nodes == run.nodes
