"""Decoders converted to TransformerLens: same logits, activations and names."""

import builtins
import warnings

import pytest
import torch
from networks import decoder, ids

from mathprobe.errors import InputError
from mathprobe.nets import hooks
from mathprobe.nets.lens import to_transformer_lens, weights

NOT_COVERED = "TransformerLens is not installed: the conversion is not tested"


@pytest.fixture
def model():
    return decoder().eval()


@pytest.fixture
def hooked(model):
    # Libraries that it imports warn about versions of others.
    with warnings.catch_warnings(action="ignore"):
        pytest.importorskip("transformer_lens", reason=NOT_COVERED)
        return to_transformer_lens(model)


def test_logits_are_the_same(model, hooked):
    tokens = ids(15, 3, 9)
    torch.testing.assert_close(hooked(tokens), model(tokens))


def test_activations_at_hook_points_are_the_same(model, hooked):
    tokens = ids(15, 3, 9)
    _, cache = hooked.run_with_cache(tokens)
    named = [name for name in hooks.hook_names(model) if name in cache]
    assert len(named) >= 2 * 10
    with hooks.capture(model, *named) as ours:
        model(tokens)
    for name in named:
        torch.testing.assert_close(ours[name].expand_as(cache[name]), cache[name])


def test_every_weight_is_converted(model):
    converted = sum(weight.numel() for _, weight in weights(model))
    assert converted == sum(parameter.numel() for parameter in model.parameters())


def test_missing_transformer_lens_raises_an_error_with_the_install_command(
    model, monkeypatch
):
    plain = builtins.__import__

    def without(name, *rest):
        if name.startswith("transformer_lens"):
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'mathprobe\[lens\]'"):
        to_transformer_lens(model)
