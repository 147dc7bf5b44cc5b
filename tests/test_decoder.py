import math

import numpy as np
import pytest
import torch
from networks import decoder, ids, stack
from torch.nn import functional

from mathprobe.decoding import greedy_answers
from mathprobe.nets.decoder import Decoder, FeedForward
from mathprobe.nets.hooks import capture, hook_names
from mathprobe.nets.layers import KeyValues

VOCAB_SIZE, LENGTH = 15, 9


@pytest.fixture
def model():
    return decoder()


@pytest.fixture
def tokens():
    return ids(VOCAB_SIZE, 3, LENGTH)


def plain_norm(x, part):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * weights(part.weight) + weights(part.bias)


def weights(parameter):
    return parameter.detach().numpy()


def linear(x, part):
    return x @ weights(part.weight).T + weights(part.bias)


def plain_attention(x, attention, heads):
    """Compute attention from its definition, token by token and head by head."""
    queries, keys, values = (
        np.split(part, heads, axis=-1)
        for part in np.split(linear(x, attention.query_key_value), 3, axis=-1)
    )
    outputs = [np.zeros_like(query) for query in queries]
    for head, query in enumerate(queries):
        for row in range(x.shape[0]):
            for here in range(x.shape[1]):
                visible = keys[head][row, : here + 1]
                scores = np.exp(visible @ query[row, here] / math.sqrt(query.shape[-1]))
                pattern = scores / scores.sum()
                outputs[head][row, here] = pattern @ values[head][row, : here + 1]
    return linear(np.concatenate(outputs, axis=-1), attention.out)


def plain_decoder(model, tokens, heads):
    """Compute logits in numpy, from the definition of the network."""
    x = weights(model.tokens.weight)[tokens.numpy()]
    x = x + weights(model.positions.weight)[: tokens.shape[1]]
    for block in model.blocks:
        x = x + plain_attention(plain_norm(x, block.ln1), block.attn, heads)
        hidden = np.maximum(linear(plain_norm(x, block.ln2), block.mlp.enter), 0.0)
        x = x + linear(hidden, block.mlp.leave)
    return linear(plain_norm(x, model.ln_final), model.unembed)


@pytest.mark.parametrize(
    ("layers", "width", "heads", "head_width"), [(1, 12, 3, 4), (2, 12, 4, 5)]
)
@pytest.mark.parametrize("length", [LENGTH, 4])
def test_logits_equal_their_definition(layers, width, heads, head_width, length):
    model = decoder(layers, width, heads, head_width)
    tokens = ids(VOCAB_SIZE, 3, length)
    expected = plain_decoder(model, tokens, heads)
    torch.testing.assert_close(model(tokens), torch.from_numpy(expected))


def test_a_later_token_changes_no_earlier_logit(model, tokens):
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % VOCAB_SIZE
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    for position in range(5, LENGTH):
        assert not torch.allclose(before[:, position], after[:, position])


def test_logits_depend_on_the_position_of_a_token(model):
    logits = model(torch.full((1, LENGTH), 7))
    assert not torch.allclose(logits[:, 0], logits[:, 1])


@pytest.mark.parametrize(
    ("n", "layers", "heads", "parameters"),
    [
        (5, 1, 3, 3_153_855),
        (5, 2, 3, 6_281_685),
        (6, 2, 3, 6_283_215),
        (15, 2, 3, 6_296_985),
        (6, 3, 3, 9_411_045),
        (6, 3, 4, 10_452_975),
        (13, 3, 4, 10_463_685),
        (6, 4, 3, 12_538_875),
        (6, 4, 4, 13_928_115),
    ],
)
def test_decoders_have_the_published_number_of_parameters(n, layers, heads, parameters):
    with torch.device("meta"):
        model = Decoder(stack(layers, 510, heads, 170), 15, 3 * n + 4)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_weights_are_initialised_as_published():
    torch.manual_seed(0)
    model = Decoder(stack(1, 510, 3, 170), 15, 22)
    for name, parameter in model.state_dict().items():
        if parameter.ndim == 2:
            normalised = parameter * math.sqrt(510) / 0.8
            error = 5.0 / math.sqrt(parameter.numel())
            assert float(normalised.std()) == pytest.approx(1.0, abs=error), name
            assert float(normalised.mean()) == pytest.approx(0.0, abs=error), name
        else:
            is_scale = name.endswith("weight")  # of a norm
            assert (parameter == (1.0 if is_scale else 0.0)).all(), name


def test_the_output_layer_is_not_tied_to_the_token_embedding(model):
    assert model.unembed.weight is not model.tokens.weight
    assert model.unembed.weight.shape == model.tokens.weight.shape


def test_the_hidden_layer_has_four_times_the_width():
    layer = FeedForward(stack(1, 8, 2, 4))
    assert (layer.enter.out_features, layer.leave.in_features) == (32, 32)


def test_hook_points_have_the_names_and_shapes_of_transformer_lens(model, tokens):
    with capture(model, *hook_names(model)) as activations:
        model(tokens)
    rows, per_head = (3, LENGTH, 12), (3, LENGTH, 4, 5)
    block = {
        "hook_resid_pre": rows,
        "attn.hook_q": per_head,
        "attn.hook_k": per_head,
        "attn.hook_v": per_head,
        "attn.hook_attn_scores": (3, 4, LENGTH, LENGTH),
        "attn.hook_pattern": (3, 4, LENGTH, LENGTH),
        "attn.hook_z": per_head,
        "hook_attn_out": rows,
        "hook_resid_mid": rows,
        "mlp.hook_pre": (3, LENGTH, 48),
        "mlp.hook_post": (3, LENGTH, 48),
        "hook_mlp_out": rows,
        "hook_resid_post": rows,
    }
    expected = {f"blocks.{k}.{name}": block[name] for k in range(2) for name in block}
    expected |= {"hook_embed": rows, "hook_pos_embed": (LENGTH, 12)}
    assert {name: tuple(x.shape) for name, x in activations.items()} == expected


def test_hook_points_capture_the_activations_of_their_names(model, tokens):
    with capture(model, *hook_names(model)) as activations:
        logits = model(tokens)
    residual = activations["hook_embed"] + activations["hook_pos_embed"]
    for k, block in enumerate(model.blocks):
        here = {
            name.removeprefix(f"blocks.{k}."): x
            for name, x in activations.items()
            if name.startswith(f"blocks.{k}.")
        }
        assert torch.equal(here["hook_resid_pre"], residual)
        query, key = (here[f"attn.hook_{x}"].transpose(1, 2) for x in "qk")
        scores = query @ key.mT / math.sqrt(5)
        masked = torch.ones(LENGTH, LENGTH).triu(1).bool()
        pattern = scores.masked_fill(masked, -torch.inf).softmax(-1)
        torch.testing.assert_close(here["attn.hook_pattern"], pattern)
        z = torch.einsum("bhqk,bkhd->bqhd", pattern, here["attn.hook_v"])
        torch.testing.assert_close(here["attn.hook_z"], z)
        torch.testing.assert_close(block.attn.out(z.flatten(2)), here["hook_attn_out"])
        residual = residual + here["hook_attn_out"]
        assert torch.equal(here["hook_resid_mid"], residual)
        assert torch.equal(here["mlp.hook_post"], here["mlp.hook_pre"].relu())
        mlp_out = block.mlp.leave(here["mlp.hook_post"])
        torch.testing.assert_close(mlp_out, here["hook_mlp_out"])
        residual = residual + here["hook_mlp_out"]
        assert torch.equal(here["hook_resid_post"], residual)
    assert torch.equal(model.unembed(model.ln_final(residual)), logits)


def test_a_decoder_overfits_eight_sequences():
    torch.manual_seed(0)
    model = Decoder(stack(2, 12, 4, 5), VOCAB_SIZE, LENGTH)
    tokens = ids(VOCAB_SIZE, 8, LENGTH)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        logits = model(tokens[:, :-1])[:, -3:]
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, -3:].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert torch.equal(greedy_answers(model, tokens, 3), tokens[:, -3:])


@pytest.mark.parametrize("start", [1, 4, LENGTH - 1])
def test_a_kv_cache_gives_the_same_logits(model, tokens, start):
    shape = len(tokens), LENGTH, 4, 5
    kv_cache = [
        KeyValues(torch.zeros(shape).double(), torch.zeros(shape).double())
        for _ in model.blocks
    ]
    whole = model(tokens)
    parts = (
        model(tokens[:, :start], kv_cache),
        model(tokens[:, start:], kv_cache, start),
    )
    torch.testing.assert_close(torch.cat(parts, 1), whole)


@pytest.mark.parametrize("first", [0, 5, LENGTH - 1, LENGTH])
def test_the_output_may_begin_at_a_later_position(model, tokens, first):
    found = model(tokens, output_from=first)
    torch.testing.assert_close(found, model(tokens)[:, first:])
