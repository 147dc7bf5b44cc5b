"""Initialising a decoder with the weights of a smaller trained one.

Source: Quirke, Neo, Barez 2024, who initialise models that add and subtract with the
weights of an addition model.  The parent's weights are copied to the first layers of
the child and to the first heads of each layer; all other weights stay random.
"""

from __future__ import annotations

import torch
from torch import nn

from mathprobe.nets.decoder import Block, Decoder


@torch.no_grad()
def insert(parent: Decoder, child: Decoder, complete: bool) -> None:
    """Copy the weights of a parent into a child.

    With `complete=False`, as in the published code, some weights are not copied: the
    output projection of the heads (W_O, b_O), the second norm of each layer, and the
    biases of the final norm and the output layer.  The parent must not be larger than
    the child; the catalog checks this.
    """
    for source, target in zip(parent.blocks, child.blocks, strict=False):
        _copy_heads(source, target, complete)
        _copy(source.mlp, target.mlp)
        _copy(source.ln1, target.ln1)
        if complete:
            _copy(source.ln2, target.ln2)
    _copy(parent.tokens, child.tokens)
    _copy(parent.positions, child.positions)
    for name in ("ln_final", "unembed"):
        source, target = getattr(parent, name), getattr(child, name)
        target.weight.copy_(source.weight)
        if complete:
            target.bias.copy_(source.bias)


@torch.no_grad()
def restore_frozen(
    parent: Decoder, child: Decoder, parts: tuple[str, ...], complete: bool
) -> None:
    """Copy the frozen parts (`heads`, `mlps` or both) from the parent again."""
    for source, target in zip(parent.blocks, child.blocks, strict=False):
        if "heads" in parts:
            _copy_heads(source, target, complete)
        if "mlps" in parts:
            _copy(source.mlp, target.mlp)


def _copy(source: nn.Module, target: nn.Module) -> None:
    for value, parameter in zip(source.parameters(), target.parameters(), strict=True):
        parameter.copy_(value)


def _copy_heads(source_block: Block, target_block: Block, complete: bool) -> None:
    """Copy the heads' W_Q, W_K, W_V and biases; if complete, also W_O and b_O."""
    source, target = source_block.attn, target_block.attn
    heads = source.heads
    for name in ("weight", "bias"):
        value = getattr(source.query_key_value, name).unflatten(0, (3, heads, -1))
        parameter = getattr(target.query_key_value, name)
        parameter.unflatten(0, (3, target.heads, -1))[:, :heads] = value
    if complete:
        target.out.weight[:, : source.out.in_features] = source.out.weight
        target.out.bias.copy_(source.out.bias)
