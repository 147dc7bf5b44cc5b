"""Patched runs of encoder-decoders, and the protocol that both kinds of runs fulfil."""

from inspect import signature

import pytest
import torch
from networks import decoder, ids, network

from mathprobe.decoding import greedy_decode
from mathprobe.interp.ablation import ABLATIONS, ablate_nodes, ablation_values
from mathprobe.interp.attention import attention_patterns, knock_out
from mathprobe.interp.measures import effects, logit_difference, patch_nodes
from mathprobe.interp.patches import Metric, node_patch
from mathprobe.interp.patching import Run
from mathprobe.interp.protocol import Network, PatchableRun
from mathprobe.interp.seq2seq import Seq2SeqRun
from mathprobe.nets.hooks import hook_names, patch

START, LENGTH = 0, 7


def decoder_run():
    return Run.greedy(decoder(), ids(15, 6, 9), 4)


def seq2seq_run():
    """Return a run of a network whose predictions depend on the tokens."""
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return Seq2SeqRun.greedy(model, ids(23, 6, 9), START, LENGTH)


RUNS = {"decoder": decoder_run, "encoder-decoder": seq2seq_run}


@pytest.fixture(params=RUNS.values(), ids=RUNS)
def run(request):
    return request.param()


def test_both_runs_fulfil_the_protocol(run):
    for protocol, value in ((PatchableRun, run), (Network, run.model)):
        for name in (name for name in vars(protocol) if name[0] != "_"):
            found, declared = getattr(value, name), vars(protocol)[name]
            if callable(declared):
                _, *expected = signature(declared).parameters
                assert list(signature(found).parameters) == expected


def test_nodes_are_those_of_the_activations(run):
    """Every head and MLP at every position is a node, and its patch has its width."""
    hooks = [
        n for n in hook_names(run.model) if n.endswith(("hook_z", "mlp.hook_post"))
    ]
    nodes = run.nodes
    assert nodes == sorted(set(nodes))
    for hook, value in run.activations(*hooks).items():
        own = [node for node in nodes if node.hook_name == hook]
        assert len(own) == value[0, ..., 0].numel()
        assert {value[node.index_in_hook].shape for node in own} == {
            (len(value), value.shape[-1])
        }
        weights = run.model.output_weights(hook)
        assert weights[own[0].head_index].shape[0] == value.shape[-1]


def test_a_patch_with_the_own_activations_changes_no_answer(run):
    nodes = run.nodes + run.residual_nodes
    own = run.activations(*{node.hook_name for node in nodes})
    patches = [[node_patch(node, own) for node in nodes], []]
    for teacher_forced in (True, False):
        answers = run.answers(patches, teacher_forced)
        assert (answers == run.unpatched_answers).all()


def test_the_whole_residual_stream_of_other_questions_gives_their_answers(run):
    nodes = run.residual_nodes
    other = {
        hook: value.roll(1, 0)
        for hook, value in run.activations(*{n.hook_name for n in nodes}).items()
    }
    patches = [node_patch(node, other) for node in nodes]
    expected = run.unpatched_answers.roll(1, 0)
    assert torch.equal(run.answers([patches])[0], expected)
    assert not torch.equal(expected, run.unpatched_answers)


def test_answers_with_patches_equal_those_of_hooks(run):
    """Runs with one node set to zero equal forward passes with a plain hook."""
    zeros = ablation_values(run, "zero", torch.Generator())
    nodes = run.nodes[:: len(run.nodes) // 12]
    answers = run.answers([[node_patch(node, zeros)] for node in nodes])
    for node, answer in zip(nodes, answers, strict=True):

        def clear(x, node=node):
            x[node.index_in_hook] = 0.0
            return x

        with patch(run.model, node.hook_name, clear), torch.inference_mode():
            if isinstance(run, Run):
                logits = run.model(run.ids[:, :-1])[:, -run.answer_length :]
            else:
                logits = run.model(run.source, run.ids[:, :-1])
        assert torch.equal(answer, logits.argmax(-1))


def test_a_metric_of_an_unpatched_run_is_that_of_its_logits(run):
    metric = Metric(
        lambda logits, token: logits.gather(-1, token[..., None])[..., 0],
        (run.unpatched_answers,),
    )
    highest = Metric(lambda logits: logits.max(-1).values)
    torch.testing.assert_close(run.measure([[]], metric), run.measure([[]], highest))


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_ablations_need_only_the_protocol(run, ablation):
    values = ablation_values(run, ablation, torch.Generator().manual_seed(1))
    changed = ablate_nodes(run, values, run.nodes)
    assert changed.shape == (len(run.nodes), *run.unpatched_answers.shape)
    assert changed.any()
    assert not changed.all()


def test_a_knocked_out_edge_has_no_weight(run):
    heads = [node for node in run.nodes if node.is_head and node.position == 3]
    with torch.no_grad():
        for pattern in attention_patterns(run, heads):
            torch.testing.assert_close(pattern.sum(-1), torch.ones(6).double())
    all_but_first = {head: range(1, 4) for head in heads}
    assert (run.answers([knock_out(all_but_first)]) != run.unpatched_answers).any()


def test_denoising_the_whole_residual_stream_has_the_effect_one(run):
    clean = run.select(torch.arange(5))
    corrupted = run.select(torch.arange(1, 6))
    metric = logit_difference(clean.unpatched_answers, corrupted.unpatched_answers)
    each = patch_nodes([run.residual_nodes, []])
    found = effects(corrupted, clean, each, metric, torch.Generator().manual_seed(0))
    assert found.effect[0].tolist() == pytest.approx([1.0, 0.0])


def test_a_selected_run_has_the_answers_of_its_questions(run):
    chosen = torch.tensor([True, False, True, True, False, False])
    assert torch.equal(
        run.select(chosen).unpatched_answers, run.unpatched_answers[chosen]
    )


def test_patched_encoder_decoders_decode_their_own_answers():
    """Parallel decoding gives the greedy answers, token by token, of the same patch."""
    run = seq2seq_run()
    zeros = ablation_values(run, "zero", torch.Generator())
    hook, head = "encoder.1.attn.hook_z", 2
    nodes = [node for node in run.nodes if (node.hook_name, node.index) == (hook, head)]
    assert len(nodes) == 9

    def clear(z):
        z[:, :, head] = 0.0
        return z

    with patch(run.model, hook, clear):
        expected = greedy_decode(run.model, run.source, START, LENGTH)[:, 1:]
    patches = [[node_patch(node, zeros) for node in nodes]]
    assert torch.equal(run.answers(patches, teacher_forced=False)[0], expected)
    assert not torch.equal(run.answers(patches)[0], expected)


def test_answers_do_not_depend_on_the_batches(monkeypatch):
    run = seq2seq_run()
    values = ablation_values(run, "resample", torch.Generator().manual_seed(0))
    patches = [[node_patch(node, values)] for node in run.nodes[::40]]
    whole = run.answers(patches, teacher_forced=False)
    monkeypatch.setattr("mathprobe.interp.seq2seq.BATCH_ROWS", 4)
    assert torch.equal(run.answers(patches, teacher_forced=False), whole)
