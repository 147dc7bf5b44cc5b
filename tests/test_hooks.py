import pytest
import torch
from networks import decoder, ids, network

from mathprobe.errors import InputError
from mathprobe.nets.hooks import HookPoint, capture, hook_names, patch

Z, MID, POST = (
    f"blocks.{name}"
    for name in ("0.attn.hook_z", "0.hook_resid_mid", "1.mlp.hook_post")
)


@pytest.fixture
def model():
    return decoder()


@pytest.fixture
def tokens():
    return ids(15, 3, 9)


def hooked(model):
    """Return the names of modules that still have hooks."""
    return [name for name, part in model.named_modules() if part._forward_hooks]


def zero(x):
    return torch.zeros_like(x)


def test_capturing_changes_nothing(model, tokens):
    before = model(tokens)
    with capture(model, *hook_names(model)):
        assert torch.equal(model(tokens), before)
    assert torch.equal(model(tokens), before)
    assert hooked(model) == []


def test_only_named_hook_points_are_captured(model, tokens):
    with capture(model, Z, MID) as cache:
        assert cache == {}
        model(tokens)
    assert list(cache) == [Z, MID]


def test_capture_returns_activations_of_the_last_forward_pass(model, tokens):
    with capture(model, Z) as cache:
        model(tokens)
        model(tokens[:1])
    assert len(cache[Z]) == 1
    model(tokens)
    assert len(cache[Z]) == 1


def test_a_patch_affects_only_its_head_its_position_and_later_ones(model, tokens):
    def without_head(z):
        z[:, 5, 1] = 0.0
        return z

    watched = ["blocks.0.attn.hook_pattern", Z, "blocks.0.hook_attn_out", POST]
    with capture(model, *watched) as unpatched:
        before = model(tokens)
    with patch(model, Z, without_head), capture(model, *watched) as patched:
        after = model(tokens)
    pattern, _, out, post = (unpatched[name] == patched[name] for name in watched)
    assert pattern.all()
    expected = unpatched[Z].clone()
    expected[:, 5, 1] = 0.0
    assert torch.equal(patched[Z], expected)
    assert not torch.equal(unpatched[Z], expected)
    assert out[:, :5].all()
    assert out[:, 6:].all()
    assert not out[:, 5].any(-1).all()
    assert post[:, :5].all()
    assert torch.equal(before[:, :5], after[:, :5])
    for place in range(5, 9):  # through attention in the second block
        assert not torch.allclose(before[:, place], after[:, place])


def test_patching_an_mlp_to_zero_equals_its_removal(model, tokens):
    with patch(model, "blocks.1.hook_mlp_out", zero):
        patched = model(tokens)
    with torch.no_grad():
        model.blocks[1].mlp.leave.weight.zero_()
        model.blocks[1].mlp.leave.bias.zero_()
    assert torch.equal(model(tokens), patched)


def test_activations_of_another_input_can_be_patched_in(model, tokens):
    other = tokens.flip(0)
    with capture(model, "blocks.1.hook_resid_post") as cache:
        expected = model(other)
    with patch(model, "blocks.1.hook_resid_post", lambda x: cache.popitem()[1]):
        assert torch.equal(model(tokens), expected)


def test_gradients_pass_through_patches(model, tokens):
    with patch(model, Z, lambda z: 2.0 * z):
        model(tokens).sum().backward()
    assert model.tokens.weight.grad.abs().sum() > 0


def test_hooks_opened_first_run_first(model, tokens):
    with capture(model, Z) as outer, patch(model, Z, zero), capture(model, Z) as inner:
        model(tokens)
    assert outer[Z].abs().min() > 0
    assert inner[Z].abs().max() == 0
    with patch(model, Z, zero), patch(model, Z, torch.exp), capture(model, Z) as cache:
        model(tokens)
    assert (cache[Z] == 1.0).all()


def test_in_place_patches_do_not_change_captured_activations(model, tokens):
    with capture(model, Z) as unpatched:
        model(tokens)
    with capture(model, Z) as cache, patch(model, Z, torch.Tensor.zero_):
        model(tokens)
    assert torch.equal(cache[Z], unpatched[Z])


def test_closing_an_inner_block_keeps_the_outer_hook(model, tokens):
    before = model(tokens)
    with patch(model, MID, zero):
        with patch(model, POST, zero):
            both = model(tokens)
        outer = model(tokens)
        assert hooked(model) == [MID]
    assert not torch.equal(both, outer)
    assert not torch.equal(outer, before)
    assert torch.equal(model(tokens), before)


def test_all_hooks_are_removed_after_an_exception(model, tokens):
    before = model(tokens)

    def fail(x):
        raise RuntimeError("in the patch")

    inside = pytest.raises(RuntimeError, match="in the patch")
    with inside, capture(model, Z, POST), patch(model, MID, fail):
        model(tokens)
    assert hooked(model) == []
    assert torch.equal(model(tokens), before)


def test_an_unknown_hook_point_raises_an_error_with_the_known_names(model):
    message = (
        r"unknown hook point 'blocks.0.attn'; known hook points are hook_embed, "
        r".*0.attn.hook_z"
    )
    with pytest.raises(InputError, match=message), capture(model, Z, "blocks.0.attn"):
        pass
    with pytest.raises(InputError, match=message), patch(model, "blocks.0.attn", zero):
        pass
    assert hooked(model) == []


def test_a_patch_that_changes_the_shape_raises_an_error(model, tokens):
    error = pytest.raises(
        ValueError, match=r"0.attn.hook_z: shape \[9, 4, 5\] instead of \[3, 9"
    )
    with error, patch(model, Z, lambda z: z.mean(0)):
        model(tokens)
    assert hooked(model) == []


def test_hook_points_of_an_encoder_decoder_have_the_names_of_transformer_lens():
    attention = ["hook_attn_scores", "hook_pattern", "hook_z"]
    own, cross = ([f"{x}.{name}" for name in attention] for x in ("attn", "cross_attn"))
    others = ["mlp.hook_post", "hook_resid_post"]
    assert hook_names(network(encoder=(1, 24, 4), decoder=(1, 16, 2))) == [
        *(f"encoder.0.{name}" for name in (*own, *others)),
        *(f"decoder.0.{name}" for name in (*own, *cross, *others)),
    ]


def test_stored_weights_of_an_encoder_decoder_keep_their_names():
    linear = ["attention.query", "attention.key_value", "attention.out"]
    linear += ["feed_forward.0", "feed_forward.2"]
    layers = [*linear, "attention_norm", "feed_forward_norm"]
    names = network(encoder=(1, 24, 4)).encoder.state_dict()
    expected = {f"0.{one}.{part}" for one in layers for part in ("weight", "bias")}
    assert names.keys() == expected


def test_hook_points_add_nothing_to_the_state_dict(model):
    assert not any("hook" in name for name in model.state_dict())
    x = torch.randn(3)
    assert HookPoint()(x) is x
