"""Conversion of decoders to TransformerLens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mathprobe.errors import InputError
from mathprobe.nets.decoder import NORM_EPSILON, Block, Decoder

if TYPE_CHECKING:
    from transformer_lens import HookedTransformer


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
    attention = model.blocks[0].attn
    length, width = model.positions.weight.shape
    config = HookedTransformerConfig(
        n_layers=len(model.blocks),
        d_model=width,
        n_ctx=length,
        d_head=attention.out.in_features // attention.heads,
        n_heads=attention.heads,
        d_mlp=model.blocks[0].mlp.enter.out_features,
        d_vocab=model.tokens.num_embeddings,
        act_fn="relu",
        normalization_type="LN",
        eps=NORM_EPSILON,
        init_weights=False,
        device=str(model.tokens.weight.device),
        dtype=model.tokens.weight.dtype,
    )
    hooked = HookedTransformer(config)
    hooked.load_state_dict(hooked.state_dict() | dict(weights(model)))
    return hooked.train(model.training)


@torch.no_grad()
def weights(model: Decoder) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights with the names and shapes of TransformerLens."""
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
    yield from _norm("ln2", block.ln2)
    for name, layer in (("in", block.mlp.enter), ("out", block.mlp.leave)):
        yield f"mlp.W_{name}", layer.weight.T
        yield f"mlp.b_{name}", layer.bias


def _norm(name: str, norm: nn.LayerNorm) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.w", norm.weight
    yield f"{name}.b", norm.bias
