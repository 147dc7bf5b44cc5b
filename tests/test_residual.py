"""Direct effects against their definitions, and in networks whose paths are known."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
from networks import VARIANTS, decoder, ids, network
from wired_paths import EQUALS, questions, wired_paths

from mathprobe.errors import InputError
from mathprobe.interp.measures import effects, logit_difference, patch_nodes
from mathprobe.interp.nodes import HEAD, KEY, MLP, QUERY, RESIDUAL, VALUE, Node
from mathprobe.interp.patches import Metric
from mathprobe.interp.patching import Run
from mathprobe.interp.residual import (
    logit_attribution,
    patch_paths,
    residual_contributions,
)
from mathprobe.nets.hooks import capture, patch
from mathprobe.seeds import rng_for

LENGTH = 4
RECEIVERS = [(QUERY, 1), (KEY, 0), (VALUE, 3), (MLP, 0), (RESIDUAL, 0)]


@pytest.fixture
def run():
    return Run.greedy(decoder(layers=3), ids(15, 6, 9), LENGTH)


@pytest.fixture
def source(run):
    return Run.greedy(run.model, ids(15, 6, 9, seed=1), LENGTH)


def write(node, value):
    """Return a function that replaces a node's activation."""

    def written(x):
        x[node.index_in_hook] = value
        return x

    return written


def three_passes(base, source, senders, receivers):
    """Path patching by its definition; return the logits of answer tokens.

    1. Record all activations of both runs.  2. Patch the senders, freeze all other
    heads and MLPs, record the receivers.  3. Patch the receivers only.
    """
    model, tokens = base.model, base.ids[:, :-1]
    hooks = dict.fromkeys(node.hook_name for node in base.nodes)
    with capture(model, *hooks) as new:
        model(source.ids[:, :-1])
    with capture(model, *hooks) as old:
        model(tokens)
    received = {node.hook_name for node in receivers}
    with ExitStack() as stack:
        found = stack.enter_context(capture(model, *received))  # before it is frozen
        for hook in hooks:
            stack.enter_context(patch(model, hook, lambda x, hook=hook: old[hook]))
        for node in senders:
            value = new[node.hook_name][node.index_in_hook]
            stack.enter_context(patch(model, node.hook_name, write(node, value)))
        model(tokens)
    with ExitStack() as stack:
        for node in receivers:
            value = found[node.hook_name][node.index_in_hook]
            stack.enter_context(patch(model, node.hook_name, write(node, value)))
        return model(tokens)[:, -LENGTH:]


LOGITS = [Metric(lambda logits, token=token: logits[..., token]) for token in range(15)]


@torch.inference_mode()
@pytest.mark.parametrize(("kind", "head"), RECEIVERS)
@pytest.mark.parametrize("sender", [(HEAD, 2), (MLP, 0)])
def test_path_patching_matches_three_passes(sender, kind, head, run, source):
    paths = [
        ((Node(place, layer, *sender),), (Node(place, above, kind, head),))
        for place in run.positions
        for layer, above in [(0, 1), (1, 2), (0, 2)]
    ]
    patched_runs = patch_paths(paths)(run, source)
    found = torch.stack([run.measure(patched_runs, one) for one in LOGITS], -1)
    for logits, path in zip(found, paths, strict=True):
        torch.testing.assert_close(logits, three_passes(run, source, *path))
    assert found.std(0).max() > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("others", VARIANTS)
def test_paths_can_have_several_senders_and_receivers(others):
    model = decoder(layers=3, **others)
    run, source = (Run.greedy(model, ids(15, 6, 9, seed), LENGTH) for seed in (0, 1))
    senders = [node for node in run.nodes if node.layer < 2 and node.index < 2]
    receivers = [Node(p, 1, kind, 1) for p in (3, 6) for kind in (QUERY, KEY, VALUE)]
    receivers += [Node(4, 2, VALUE, 3), Node(7, 2, RESIDUAL)]
    receivers += [Node(6, 1, MLP)] if run.has_mlps else []
    (patches,) = patch_paths([(tuple(senders), tuple(receivers))])(run, source)
    found = torch.stack([run.measure([patches], one)[0] for one in LOGITS], -1)
    expected = three_passes(run, source, senders, receivers)
    torch.testing.assert_close(found, expected)


@torch.inference_mode()
def test_path_effects_of_a_head_on_its_own_layer_reach_only_the_mlp(run, source):
    head, mlp = Node(5, 1, HEAD, 0), Node(5, 1, MLP)
    (patches,) = patch_paths([((head,), (mlp,))])(run, source)
    found = run.measure([patches], LOGITS[3])[0]
    expected = three_passes(run, source, [head], [mlp])[..., 3]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [
        ("P05L1H0", "P05L1Q0"),
        ("P05L1MLP", "P05L1MLP"),
        ("P05L0H0", "P06L1Q0"),
        ("P05L2H0", "P05L1RES"),
    ],
)
def test_a_path_must_lead_upwards_at_one_position(sender, receiver):
    nodes = Node.parse(sender), Node.parse(receiver)
    with pytest.raises(InputError, match=f"no path from {sender} to {receiver}"):
        patch_paths([((nodes[0],), (nodes[1],))])


@pytest.mark.parametrize(
    ("sender", "receiver", "role"),
    [("P05L0Q0", "P05L1Q0", "sender"), ("P05L0H0", "P05L1H0", "receiver")],
)
def test_nodes_of_other_kinds_are_an_error(sender, receiver, role):
    path = (Node.parse(sender),), (Node.parse(receiver),)
    with pytest.raises(InputError, match=f"cannot be a {role} of a path"):
        patch_paths([path])


def whole_attribution(run, tokens):
    """Decompose the logits of answer tokens with a frozen scale, by its definition."""
    model, first = run.model, len(run.positions) - LENGTH
    hook = f"blocks.{run.layers - 1}.hook_resid_post"
    stream = run.activations(hook)[hook][:, first:].double()
    scale = (stream.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    directions = model.unembed.weight[tokens] * model.ln_final.weight  # [Q, A, D]
    centred = directions - directions.mean(-1, keepdim=True)
    return lambda added: (added * centred / scale).sum(-1)


@torch.inference_mode()
def test_attributions_match_their_definition(run):
    nodes = [node for node in run.nodes if node.position >= 4]
    tokens, others = run.unpatched_answers, ids(15, 6, LENGTH, seed=2)
    attribute, attribute_other = (whole_attribution(run, t) for t in (tokens, others))
    added = residual_contributions(run, nodes)
    found = logit_attribution(run, nodes, tokens)
    difference = logit_attribution(run, nodes, tokens, others)
    for row, node in enumerate(nodes):
        token = node.position - 4
        one = added[row][:, None].expand(-1, LENGTH, -1)
        expected = torch.zeros(6, LENGTH).double()
        expected[:, token] = attribute(one)[:, token]
        torch.testing.assert_close(found[row], expected)
        expected[:, token] -= attribute_other(one)[:, token]
        torch.testing.assert_close(difference[row], expected)


@torch.inference_mode()
@pytest.mark.parametrize("others", VARIANTS)
def test_attributions_of_all_parts_sum_to_the_logits(others):
    model = decoder(layers=3, **others)
    run = Run.greedy(model, ids(15, 6, 9), LENGTH)
    first, last = "blocks.0.hook_resid_pre", "blocks.2.hook_resid_post"
    streams, tokens = run.activations(first, last), run.unpatched_answers
    rest = streams[first] + sum(block.attn.out.bias for block in model.blocks)
    if run.has_mlps:
        rest = rest + sum(block.mlp.leave.bias for block in model.blocks)
    rest = model.linear_logits(rest, streams[last]) + model.unembed.bias
    if getattr(model.ln_final, "bias", None) is not None:
        rest = rest + model.ln_final.bias @ model.unembed.weight.T
    total = logit_attribution(run, run.nodes, tokens).sum(0)
    total += rest[:, -LENGTH:].gather(-1, tokens[..., None])[..., 0]
    logits = model(run.ids[:, :-1])[:, -LENGTH:]
    torch.testing.assert_close(total, logits.gather(-1, tokens[..., None])[..., 0])


def test_nodes_at_positions_of_the_question_add_nothing_directly(run):
    found = logit_attribution(run, [Node(3, 2, HEAD, 0)], run.unpatched_answers)
    assert found.abs().max() == 0.0


def test_only_heads_and_mlps_contribute(run):
    with pytest.raises(InputError, match="P03L0Q1 is neither a head nor an MLP"):
        residual_contributions(run, [Node.parse("P03L0Q1")])


def test_direct_effects_need_a_pre_norm_network():
    run = SimpleNamespace(model=network())
    with pytest.raises(InputError, match="not defined for Seq2Seq: it normalises"):
        logit_attribution(run, [], torch.zeros(1, 1).long())


@pytest.fixture(params=[False, True], ids=["straight", "crossed"])
def crossed(request):
    return request.param


def wired_runs(crossed):
    """Return two runs with opposite bits and the measure of the base answer."""
    model, bits = wired_paths(crossed), torch.tensor([0, 1, 1, 0])
    base, source = (Run(model, questions(one), 1) for one in (bits, 1 - bits))
    return base, source, logit_difference(bits[:, None], 1 - bits[:, None])


def test_wired_paths_answer_correctly(crossed):
    base, _, _ = wired_runs(crossed)
    found = Run.greedy(base.model, base.ids, 1)
    assert torch.equal(found.ids, base.ids)


def test_activation_patching_of_heads_cannot_separate_the_two_circuits(crossed):
    base, source, metric = wired_runs(crossed)
    heads = [node for node in base.nodes if node.kind == HEAD]
    sets = [(node,) for node in heads]
    found = effects(base, source, patch_nodes(sets), metric, rng_for("test"))
    half = torch.full((4,), 0.5).double()
    expected = torch.cat([torch.zeros(4).double(), half])  # at P0, at P1
    torch.testing.assert_close(found.effect.value, expected, atol=1e-5, rtol=0)


def test_path_patching_finds_which_head_feeds_which(crossed):
    base, source, metric = wired_runs(crossed)
    pairs = [(sender, receiver) for sender in (0, 1) for receiver in (0, 1)]
    paths = [
        ((Node(EQUALS, 0, HEAD, one),), (Node(EQUALS, 1, VALUE, other),))
        for one, other in pairs
    ]
    found = effects(base, source, patch_paths(paths), metric, rng_for("test"))
    expected = [0.5 * ((one == other) != crossed) for one, other in pairs]
    torch.testing.assert_close(
        found.effect.value, torch.tensor(expected).double(), atol=1e-5, rtol=0
    )
    queries = [
        (senders, (Node(EQUALS, 1, QUERY, node.index),)) for senders, (node,) in paths
    ]
    found = effects(base, source, patch_paths(queries), metric, rng_for("test"))
    assert found.effect.value.abs().max() < 1e-5
