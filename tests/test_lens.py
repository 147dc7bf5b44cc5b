"""Decoders from and to TransformerLens: same logits, activations and names.

`reference` follows the definitions, not the code of either side.
"""

import builtins
import dataclasses
import json
import math
import warnings

import msgspec
import pytest
import torch
from networks import decoder, ids
from safetensors.torch import save_file

from mathprobe.errors import InputError
from mathprobe.nets import hooks, lens
from mathprobe.nets.lens import (
    from_state_dict,
    from_transformer_lens,
    to_transformer_lens,
    weights,
)

NOT_COVERED = "TransformerLens is not installed: the conversion is not tested"
COMMON = {
    **{"d_model": 12, "d_head": 5, "n_heads": 4, "n_layers": 2},
    **{"n_ctx": 9, "d_vocab": 15},
}
ARCHITECTURES = {
    "of the paper": {"act_fn": "relu"},
    "GELU": {"act_fn": "gelu"},
    "GELU of GPT-2": {"act_fn": "gelu_new"},
    "fast GELU": {"act_fn": "gelu_fast"},
    "GELU by tanh": {"act_fn": "gelu_pytorch_tanh"},
    "SiLU": {"act_fn": "silu"},
    "norms without weights": {"normalization_type": "LNPre"},
    "RMS norms": {"normalization_type": "RMS", "final_rms": True},
    "RMS norms without weights": {"normalization_type": "RMSPre"},
    "no norms": {"normalization_type": None},
    "epsilon": {"eps": 0.2},
    "width of MLPs": {"d_mlp": 7},
    "attention only": {"attn_only": True, "act_fn": None},
    "scores divided by 2": {"attn_scale": 2.0},
    "scores not divided": {"use_attn_scale": False},
    "wide heads": {"d_head": 9, "n_heads": 3},
    "number of heads by width": {"d_head": 4, "n_heads": -1},
    "output vocabulary": {"d_vocab_out": 4},
}
REFUSED = {
    **{"act_fn": "solu_ln", "normalization_type": "BN", "final_rms": True},
    **{"positional_embedding_type": "rotary", "attention_dir": "bidirectional"},
    **{"gated_mlp": True, "parallel_attn_mlp": True, "n_key_value_heads": 2},
    **{"attn_scale": 0.0, "attn_scores_soft_cap": 5.0, "use_qk_norm": True},
    **{"scale_attn_by_inverse_layer_idx": True, "use_local_attn": True},
    **{"num_experts": 4, "dtype": "torch.bfloat16", "post_embedding_ln": True},
    "original_architecture": "Olmo2ForCausalLM",
}


def activate(name, x):
    if name == "relu":
        return x.clamp(min=0.0)
    if name == "silu":
        return x / (1.0 + (-x).exp())
    if name == "gelu":
        return 0.5 * x * (1.0 + (x / math.sqrt(2.0)).erf())
    return 0.5 * x * (1.0 + (math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)).tanh())


def reference(fields, tensors, tokens):
    """Return the logits of a transformer with the weights of TransformerLens."""
    kind = fields.get("normalization_type", "LN") or ""
    divisor = fields.get("attn_scale", math.sqrt(fields["d_head"]))
    length = tokens.shape[1]
    future = torch.ones(length, length).triu(1).bool()

    def norm(name, x):
        if kind.startswith("LN"):
            x = x - x.mean(-1, keepdim=True)
        if kind:
            x = x / (x.square().mean(-1, keepdim=True) + fields.get("eps", 1e-5)).sqrt()
        if kind in ("LN", "RMS"):
            x = x * tensors[f"{name}.w"]
        return x + tensors[f"{name}.b"] if kind == "LN" else x

    x = tensors["embed.W_E"][tokens] + tensors["pos_embed.W_pos"][:length]
    for layer in range(fields["n_layers"]):
        here = f"blocks.{layer}"
        y = norm(f"{here}.ln1", x)
        query, key, value = (
            torch.einsum("btd,hde->bhte", y, tensors[f"{here}.attn.W_{one}"])
            + tensors[f"{here}.attn.b_{one}"][:, None]
            for one in "QKV"
        )
        scores = query @ key.mT
        if fields.get("use_attn_scale", True):
            scores = scores / divisor
        z = scores.masked_fill(future, -math.inf).softmax(-1) @ value
        x = x + torch.einsum("bhte,hed->btd", z, tensors[f"{here}.attn.W_O"])
        x = x + tensors[f"{here}.attn.b_O"]
        if not fields.get("attn_only"):
            y = norm(f"{here}.ln2", x)
            y = y @ tensors[f"{here}.mlp.W_in"] + tensors[f"{here}.mlp.b_in"]
            y = activate(fields.get("act_fn", "relu"), y)
            x = x + y @ tensors[f"{here}.mlp.W_out"] + tensors[f"{here}.mlp.b_out"]
    return norm("ln_final", x) @ tensors["unembed.W_U"] + tensors["unembed.b_U"]


def randomise(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


@pytest.fixture(params=ARCHITECTURES)
def fields(request):
    """Fields of the configuration of an architecture."""
    return COMMON | ARCHITECTURES[request.param]


def test_a_state_dict_becomes_a_decoder_with_the_same_logits(fields, tmp_path):
    model = randomise(lens.LensConfig.from_dict(fields).decoder().double())
    tensors = {name: weight.contiguous() for name, weight in weights(model)}
    save_file(tensors, tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(fields))
    tokens = ids(15, 3, 9)
    buffers = {"blocks.0.attn.mask": tokens, "blocks.0.attn.IGNORE": tokens}
    torch.save(tensors | buffers, tmp_path / "weights.pt")
    expected = reference(fields, tensors, tokens)
    for read in (
        from_state_dict(tmp_path / "weights.safetensors", tmp_path / "config.json"),
        from_state_dict(tmp_path / "weights.pt", fields),
    ):
        torch.testing.assert_close(read(tokens), expected)


@pytest.fixture
def saved(tmp_path):
    """A file of weights with the configuration COMMON."""
    model = lens.LensConfig.from_dict(COMMON).decoder()
    torch.save({name: one.clone() for name, one in weights(model)}, tmp_path / "m.pt")
    return tmp_path / "m.pt"


@pytest.mark.parametrize("field", REFUSED)
def test_a_field_that_cannot_be_converted_is_named(field, saved):
    with pytest.raises(InputError, match=rf"\b{field}: .*(allowed|is not one of)"):
        from_state_dict(saved, COMMON | {field: REFUSED[field]})


def test_an_unknown_field_is_refused(saved):
    with pytest.raises(InputError, match="unknown field 'rotation'"):
        from_state_dict(saved, COMMON | {"rotation": 0.5})


def test_a_missing_field_is_named(saved):
    with pytest.raises(InputError, match="n_ctx is missing"):
        from_state_dict(saved, {k: v for k, v in COMMON.items() if k != "n_ctx"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": 3}, "missing tensors: blocks.2.attn.W_K"),
        ({"n_layers": 1}, "does not have: blocks.1.attn.W_K"),
        ({"d_mlp": 7}, r"W_in has shape \[12, 48\]; .* requires \[12, 7\]"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(saved, change, message):
    with pytest.raises(InputError, match=message):
        from_state_dict(saved, COMMON | change)


def test_half_precision_is_refused(saved):
    half = {name: weight.bfloat16() for name, weight in torch.load(saved).items()}
    torch.save(half, saved)
    with pytest.raises(InputError, match=r"type torch.bfloat16; .* torch.float32"):
        from_state_dict(saved, COMMON)


def test_a_file_without_named_tensors_is_refused(tmp_path):
    (tmp_path / "text").write_text("weights")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module")
    torch.save({"model": {}}, tmp_path / "nested")
    for name, message in (
        ("text", "not a safetensors file"),
        ("module", r"torch.save\(model.state_dict\(\), path\)"),
        ("nested", r"torch.save\(model.state_dict\(\), path\)"),
    ):
        with pytest.raises(InputError, match=message):
            from_state_dict(tmp_path / name, COMMON)


@pytest.fixture
def transformer_lens():
    # Libraries that it imports warn about versions of others, and it of its next one.
    with warnings.catch_warnings(action="ignore"):
        yield pytest.importorskip("transformer_lens", reason=NOT_COVERED)


@pytest.fixture
def model():
    return decoder().eval()


def assert_same(model, hooked, **tolerance):
    """Check that logits and activations at all hook points are the same."""
    tokens = ids(15, 3, 9)
    logits, cache = hooked.run_with_cache(tokens)
    torch.testing.assert_close(model(tokens), logits, **tolerance)
    named = [name for name in hooks.hook_names(model) if name in cache]
    assert len(named) >= len(model.blocks) * 7
    with hooks.capture(model, *named) as ours:
        model(tokens)
    for name in named:
        theirs = cache[name]
        torch.testing.assert_close(ours[name].expand_as(theirs), theirs, **tolerance)


def test_an_exported_decoder_is_the_same(model, transformer_lens):
    assert_same(model, to_transformer_lens(model))


def test_a_hooked_transformer_and_its_decoder_are_the_same(fields, transformer_lens):
    config = transformer_lens.HookedTransformerConfig(**fields, device="cpu")
    hooked = randomise(transformer_lens.HookedTransformer(config))
    model = from_transformer_lens(hooked)
    assert_same(model, hooked, atol=1e-4, rtol=1e-4)
    assert_same(model, to_transformer_lens(model), atol=1e-4, rtol=1e-4)


def test_every_field_of_transformer_lens_is_known(transformer_lens):
    theirs = dataclasses.fields(transformer_lens.HookedTransformerConfig)
    defaults = {field.name: field.default for field in theirs}
    assert [name for name in defaults if not lens._is_known(name)] == []
    for field in msgspec.structs.fields(lens.LensConfig):
        if not field.required:
            assert field.default == defaults[field.name], field.name


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
