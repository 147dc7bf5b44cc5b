"""Effects, attributions and path patching give the numbers of TransformerLens."""

import warnings
from functools import partial

import pytest
import torch
from networks import decoder, ids
from test_lens import NOT_COVERED

from mathprobe.interp.measures import effects, logit_difference, patch_nodes
from mathprobe.interp.nodes import HEAD, KEY, MLP, QUERY, RESIDUAL, VALUE, Node
from mathprobe.interp.patching import Run
from mathprobe.interp.residual import logit_attribution, patch_paths
from mathprobe.nets.lens import to_transformer_lens
from mathprobe.seeds import rng_for

LENGTH = 4
TOLERANCE = {"atol": 1e-6, "rtol": 1e-5}  # some of its operations are in float32


@pytest.fixture
def clean():
    return Run.greedy(decoder().eval(), ids(15, 6, 9), LENGTH)


@pytest.fixture
def corrupted(clean):
    return Run.greedy(clean.model, ids(15, 6, 9, seed=1), LENGTH)


@pytest.fixture
def hooked(clean):
    with warnings.catch_warnings(action="ignore"):
        pytest.importorskip("transformer_lens", reason=NOT_COVERED)
        return to_transformer_lens(clean.model)


@pytest.fixture
def others(clean):
    return (clean.unpatched_answers + 1) % 15


def mean_difference(logits, answers, others):
    chosen = torch.stack([answers, others], -1)
    one, two = logits[:, -LENGTH:].gather(-1, chosen).unbind(-1)
    return (one - two).mean()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (HEAD, "attn_head_out_by_pos"),
        (QUERY, "attn_head_q_by_pos"),
        (KEY, "attn_head_k_by_pos"),
        (VALUE, "attn_head_v_by_pos"),
        (MLP, "mlp_out"),
    ],
)
def test_denoising_is_activation_patching(kind, name, hooked, clean, corrupted, others):
    from transformer_lens import patching

    metric = partial(mean_difference, answers=clean.unpatched_answers, others=others)
    logits, cache = hooked.run_with_cache(clean.ids[:, :-1])
    before, after = metric(hooked(corrupted.ids[:, :-1])), metric(logits)
    apply = getattr(patching, f"get_act_patch_{name}")
    expected = apply(hooked, corrupted.ids[:, :-1], cache, metric).double()
    expected = (expected - before) / (after - before)  # layer, position, head
    heads = range(expected.shape[2]) if expected.ndim == 3 else [0]
    nodes = [
        Node(position, layer, kind, head)
        for layer in range(clean.layers)
        for position in clean.positions
        for head in heads
    ]
    found = effects(
        corrupted,
        clean,
        patch_nodes([(node,) for node in nodes]),
        logit_difference(clean.unpatched_answers, others),
        rng_for("test"),
    )
    torch.testing.assert_close(found.effect.value, expected.flatten(), **TOLERANCE)


def test_attributions_are_those_of_the_cache(hooked, clean, others):
    answers = clean.unpatched_answers
    with torch.no_grad():  # directions omit the weights of the final norm
        hooked.unembed.W_U.mul_(hooked.ln_final.w[:, None])
    _, cache = hooked.run_with_cache(clean.ids[:, :-1])
    stack = cache.stack_head_results()  # layer and head, question, position, width
    nodes = [
        (layer, head) for layer in range(clean.layers) for head in range(clean.heads)
    ]
    for token in range(LENGTH):
        position = len(clean.positions) - LENGTH + token
        expected = cache.logit_attrs(
            stack[:, :, position],
            answers[:, token],
            incorrect_tokens=others[:, token],
            pos_slice=position,
        )
        found = logit_attribution(
            clean,
            [Node(position, layer, HEAD, head) for layer, head in nodes],
            answers,
            others,
        )
        torch.testing.assert_close(found[..., token], expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "hook"),
    [
        (QUERY, "attn.hook_q"),
        (KEY, "attn.hook_k"),
        (VALUE, "attn.hook_v"),
        (MLP, "mlp.hook_post"),
        (RESIDUAL, "hook_resid_post"),
    ],
)
def test_path_patching_is_that_of_hooks(kind, hook, hooked, clean, corrupted, others):
    position, sender, receiver = 5, Node(5, 0, HEAD, 1), Node(5, 1, kind)
    place = receiver.index_in_hook
    tokens, metric = (
        clean.ids[:, :-1],
        logit_difference(clean.unpatched_answers, others),
    )
    _, old = hooked.run_with_cache(tokens)
    _, new = hooked.run_with_cache(corrupted.ids[:, :-1])
    received = {}

    def freeze(x, hook):
        x = old[hook.name].clone()
        if hook.name == sender.hook_name:
            x[:, position, 1] = new[hook.name][:, position, 1]
        return x

    def record(x, hook):
        received[hook.name] = x[place].clone()

    def write(x, hook):
        x[place] = received[hook.name]
        return x

    name = f"blocks.1.{hook}"
    hooks = [(n, freeze) for n in old if n.endswith(("hook_z", "hook_post"))]
    hooked.run_with_hooks(tokens, fwd_hooks=[(name, record), *hooks])
    logits = hooked.run_with_hooks(tokens, fwd_hooks=[(name, write)])
    (patches,) = patch_paths([((sender,), (receiver,))])(clean, corrupted)
    found = clean.measure([patches], metric).mean()
    expected = mean_difference(logits, clean.unpatched_answers, others)
    torch.testing.assert_close(found, expected, **TOLERANCE)
