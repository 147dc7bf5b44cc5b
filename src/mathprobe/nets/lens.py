"""Conversion of decoders from and to TransformerLens.

A decoder that was trained elsewhere is converted if this package can compute exactly
the same function.  Other decoders are refused; the error names the configuration field.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mathprobe import files
from mathprobe.errors import InputError, unknown_name
from mathprobe.nets.decoder import ACTIVATIONS, Block, Decoder
from mathprobe.spec import DecoderConfig, NonNegativeFloat, PositiveInt
from mathprobe.structs import Spec

if TYPE_CHECKING:
    from transformer_lens import HookedTransformer

PLACE = "HookedTransformerConfig"  # in error messages
# Values for which the other fields of HookedTransformerConfig leave the function as it
# is (TransformerLens 3.9).
ALLOWED: dict[str, tuple[Any, ...]] = {
    "positional_embedding_type": ("standard",),
    "attention_dir": ("causal",),
    "dtype": ("float32", "float64", "torch.float32", "torch.float64"),
    **dict.fromkeys(
        (
            *("gated_mlp", "load_in_4bit", "parallel_attn_mlp", "post_embedding_ln"),
            *("scale_attn_by_inverse_layer_idx", "use_attention_sinks"),
            *("use_local_attn", "use_logn_attn", "use_normalization_before_and_after"),
            "use_qk_norm",
        ),
        (False,),
    ),
    **dict.fromkeys(("clip_qkv", "n_key_value_heads", "num_experts"), (None,)),
    **dict.fromkeys(
        ("attn_scores_soft_cap", "output_logits_soft_cap"), (-1.0, 0.0, None)
    ),
}
# Fields that change only hook points, text, training or the machine, or that are read
# only if another field has a value that is not allowed.
WITHOUT_EFFECT = (
    *("attn_types", "decoder_start_token_id", "default_prepend_bos", "device"),
    *("experts_per_token", "from_checkpoint", "init_mode", "init_weights"),
    *("initializer_range", "layer_norm_folding", "model_name", "n_devices"),
    *("n_params", "norm_topk_prob", "quantization_method", "seed"),
    *("tie_word_embeddings", "train_seq_length", "trust_remote_code"),
    *("ungroup_grouped_query_attention", "use_NTK_by_parts_rope", "use_attn_in"),
    *("use_attn_result", "use_dynamic_ntk_rope", "use_hook_mlp_in", "use_hook_tokens"),
    *("use_split_qkv_input", "use_yarn_rope", "uses_rms_norm", "window_size"),
)
PREFIXES_WITHOUT_EFFECT = (
    *("NTK_", "checkpoint_", "relative_attention_"),
    *("rotary_", "tokenizer_", "yarn_"),
)
BUFFERS = (".attn.mask", ".attn.IGNORE")  # of attention layers; they are no weights
DTYPES = (torch.float32, torch.float64)
REMEDY = "use TransformerLens itself, or train a model with an allowed value"


class LensConfig(Spec, frozen=True, kw_only=True):
    """Fields of HookedTransformerConfig that are converted, with its defaults."""

    d_model: PositiveInt
    d_head: PositiveInt
    n_layers: PositiveInt
    n_ctx: PositiveInt
    d_vocab: PositiveInt
    n_heads: int = -1
    d_vocab_out: int = -1
    d_mlp: PositiveInt | None = None
    attn_only: bool = False
    act_fn: str | None = "relu"
    normalization_type: Literal["LN", "LNPre", "RMS", "RMSPre"] | None = "LN"
    final_rms: bool = False
    eps: NonNegativeFloat = 1e-5
    use_attn_scale: bool = True
    attn_scale: float = -1.0
    original_architecture: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for values that a decoder cannot express."""
        architecture = self.original_architecture or ""
        if self.n_heads < 1 and (self.n_heads != -1 or self.d_model % self.d_head):
            raise ValueError(_refusal("n_heads", self.n_heads, ["positive numbers"]))
        if not self.attn_only and self.act_fn not in ACTIVATIONS:
            raise ValueError(_refusal("act_fn", self.act_fn, ACTIVATIONS))
        if self.final_rms and self.normalization_type in ("LN", "LNPre"):
            raise ValueError(_refusal("final_rms", True, [False]))
        if self.attn_scale <= 0 and self.attn_scale != -1.0:
            allowed = ["positive numbers", -1.0]
            raise ValueError(_refusal("attn_scale", self.attn_scale, allowed))
        if architecture.startswith("Olmo"):
            allowed = ["architectures with pre-norm layers"]
            raise ValueError(_refusal("original_architecture", architecture, allowed))

    def decoder(self) -> Decoder:
        """Return an untrained decoder of this architecture."""
        divisor = None if self.attn_scale == -1.0 else self.attn_scale
        config = DecoderConfig(
            width=self.d_model,
            head_width=self.d_head,
            layers=self.n_layers,
            heads=self.d_model // self.d_head if self.n_heads == -1 else self.n_heads,
            mlp_width=0 if self.attn_only else self.d_mlp,
            activation="relu" if self.attn_only else self.act_fn or "",
            norm=self.normalization_type,
            norm_epsilon=self.eps,
            attention_scale=divisor if self.use_attn_scale else 1.0,
            output_vocab_size=None if self.d_vocab_out == -1 else self.d_vocab_out,
        )
        return Decoder(config, self.d_vocab, self.n_ctx)


KNOWN = (*LensConfig.__struct_fields__, *ALLOWED, *WITHOUT_EFFECT)


def _is_known(field: str) -> bool:
    return field in KNOWN or field.startswith(PREFIXES_WITHOUT_EFFECT)


def _refusal(field: str, value: Any, allowed: Iterable[Any]) -> str:
    known = ", ".join(map(str, allowed))
    return f"{field}: {value!r} cannot be converted; allowed: {known}; {REMEDY}"


def from_transformer_lens(model: HookedTransformer) -> Decoder:
    """Return a decoder with the weights, logits and hook names of a HookedTransformer.

    Raises InputError if a decoder cannot compute the same function; the message names
    the field of the configuration.
    """
    config = getattr(model, "cfg", None)
    if not dataclasses.is_dataclass(config):
        raise InputError(f"{type(model).__name__} has no {PLACE} in `cfg`")
    fields = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        # A newer version may have more fields; their defaults change nothing.
        if _is_known(field.name) or getattr(config, field.name) != field.default
    }
    return _convert(fields, PLACE, model.state_dict(), "model").train(model.training)


def from_state_dict(path: Path | str, config: dict[str, Any] | Path | str) -> Decoder:
    """Return the decoder of a file of weights with the names of TransformerLens.

    Raises InputError as `from_transformer_lens` does, and if a tensor is missing,
    unknown, or of another shape.

    Parameters
    ----------
    path
        State dict of a HookedTransformer: a safetensors file, or one of `torch.save`.
    config
        Fields of its HookedTransformerConfig, or a JSON file with them.  Other fields
        have the defaults of TransformerLens.
    """
    fields, place = config, PLACE
    if isinstance(config, Path | str):
        fields, place = files.read_json(config), str(config)
    return _convert(fields, place, _read_tensors(Path(path)), str(path)).eval()


def _read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict without running code that the file may contain."""
    try:
        if not zipfile.is_zipfile(path):
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a safetensors file, nor one of torch.save ({error})"
        ) from error
    except (UnpicklingError, RuntimeError):
        found = None
    if not isinstance(found, Mapping) or not all(
        isinstance(one, Tensor) for one in found.values()
    ):
        raise InputError(
            f"{path}: not only tensors by name; write it by "
            "torch.save(model.state_dict(), path)"
        )
    return found


def _convert(
    fields: Any, place: str, tensors: Mapping[str, Tensor], source: str
) -> Decoder:
    """Return a decoder with these weights; messages name `place` and `source`."""
    values = json.loads(json.dumps(fields, default=str))  # types as text
    _check_fields(values, place)
    names = LensConfig.__struct_fields__
    known = {name: value for name, value in values.items() if name in names}
    model = LensConfig.from_dict(known, place).decoder()
    found = {
        name: tensor for name, tensor in tensors.items() if not name.endswith(BUFFERS)
    }
    _check_tensors(found, dict(weights(model)), source)
    model.to(found["embed.W_E"])
    with torch.no_grad():
        for name, weight in weights(model):
            weight.copy_(found[name])
    return model


def _check_fields(values: Any, place: str) -> None:
    """Raise InputError for an unknown field or a value that cannot be converted."""
    if not isinstance(values, dict):
        raise InputError(f"{place}: not a mapping of fields of {PLACE}")
    for name, value in values.items():
        if not _is_known(name):
            raise InputError(f"{place}: {unknown_name('field', name, KNOWN)}")
        if name in ALLOWED and value not in ALLOWED[name]:
            raise InputError(f"{place}: {_refusal(name, value, ALLOWED[name])}")


def _check_tensors(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str
) -> None:
    """Raise InputError if names, shapes or types of weights are not as expected."""
    if missing := expected.keys() - found.keys():
        raise InputError(f"{source}: missing tensors: {', '.join(sorted(missing))}")
    if unknown := found.keys() - expected.keys():
        raise InputError(
            f"{source}: tensors that the configuration does not have: "
            + ", ".join(sorted(unknown))
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"{source}: {name} has shape {list(tensor.shape)}; the configuration "
                f"requires {list(expected[name].shape)}"
            )
        if tensor.dtype not in DTYPES or tensor.dtype != found["embed.W_E"].dtype:
            raise InputError(
                f"{source}: {name} has the type {tensor.dtype}; convert all weights to "
                f"{' or '.join(map(str, DTYPES))}"
            )


def to_transformer_lens(model: Decoder) -> HookedTransformer:
    """Return a HookedTransformer with the same weights, logits and hook names.

    Raises InputError if the extra `lens` is not installed.
    """
    try:
        from transformer_lens import HookedTransformer, HookedTransformerConfig
    except ImportError as error:
        raise InputError(
            f"TransformerLens is missing ({error}); pip install 'mathprobe[lens]'"
        ) from error
    own = model.config
    config = HookedTransformerConfig(
        n_layers=own.layers,
        d_model=own.width,
        n_ctx=model.positions.num_embeddings,
        d_head=own.head_width,
        n_heads=own.heads,
        d_mlp=own.mlp_width or 4 * own.width,
        attn_only=own.mlp_width == 0,
        d_vocab=model.tokens.num_embeddings,
        d_vocab_out=model.unembed.out_features,
        act_fn=own.activation,
        normalization_type=own.norm,
        eps=own.norm_epsilon,
        attn_scale=own.attention_scale or -1.0,
        init_weights=False,
        device=str(model.tokens.weight.device),
        dtype=model.tokens.weight.dtype,
    )
    hooked = HookedTransformer(config)
    hooked.load_state_dict(hooked.state_dict() | dict(weights(model)))
    return hooked.train(model.training)


@torch.no_grad()
def weights(model: Decoder) -> Iterator[tuple[str, Tensor]]:
    """Yield views of the weights with the names and shapes of TransformerLens."""
    yield "embed.W_E", model.tokens.weight
    yield "pos_embed.W_pos", model.positions.weight
    for number, block in enumerate(model.blocks):
        for name, weight in _block(block):
            yield f"blocks.{number}.{name}", weight
    yield from _norm("ln_final", model.ln_final)
    yield "unembed.W_U", model.unembed.weight.T
    yield "unembed.b_U", model.unembed.bias


def _block(block: Block) -> Iterator[tuple[str, Tensor]]:
    yield from _norm("ln1", block.ln1)
    attention, heads = block.attn, block.attn.heads
    weight = attention.query_key_value.weight.unflatten(0, (3, heads, -1))
    bias = attention.query_key_value.bias.unflatten(0, (3, heads, -1))
    for letter, one, shift in zip("QKV", weight, bias, strict=True):
        yield f"attn.W_{letter}", one.mT  # [H, D, D_h]
        yield f"attn.b_{letter}", shift
    yield "attn.W_O", attention.out.weight.T.unflatten(0, (heads, -1))
    yield "attn.b_O", attention.out.bias
    if block.has_mlp:
        yield from _norm("ln2", block.ln2)
        for name, layer in (("in", block.mlp.enter), ("out", block.mlp.leave)):
            yield f"mlp.W_{name}", layer.weight.T
            yield f"mlp.b_{name}", layer.bias


def _norm(name: str, norm: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for kind, weight in norm.named_parameters():  # weight and bias, if any
        yield f"{name}.{kind[0]}", weight
