"""Copying a trained decoder into another one, as far as its layers and heads go.

Source: Quirke, Neo, Barez 2024: a model that has learned to add is where one that also
subtracts begins.  Into the first layers and the first heads of each; what the parent
has not keeps its random weights.
"""

from __future__ import annotations

import torch
from torch import nn

from mathprobe.nets.decoder import Block, Decoder


@torch.no_grad()
def insert(parent: Decoder, child: Decoder, complete: bool) -> None:
    """Write a parent's weights into a child.

    The published code, which `complete=False` follows, leaves out what heads write with
    (W_O, b_O), the second norm of each layer, and the biases of final norm and output.
    The catalog refuses a parent that does not fit in.
    """
    for mine, its in zip(parent.blocks, child.blocks, strict=False):
        _copy_heads(mine, its, complete)
        _copy(mine.mlp, its.mlp)
        _copy(mine.ln1, its.ln1)
        if complete:
            _copy(mine.ln2, its.ln2)
    _copy(parent.tokens, child.tokens)
    _copy(parent.positions, child.positions)
    for name in ("ln_final", "unembed"):
        mine, its = getattr(parent, name), getattr(child, name)
        its.weight.copy_(mine.weight)
        if complete:
            its.bias.copy_(mine.bias)


@torch.no_grad()
def restore_frozen(
    parent: Decoder, child: Decoder, parts: tuple[str, ...], complete: bool
) -> None:
    """Write a parent's `heads`, `mlps` or both again, and nothing else."""
    for mine, its in zip(parent.blocks, child.blocks, strict=False):
        if "heads" in parts:
            _copy_heads(mine, its, complete)
        if "mlps" in parts:
            _copy(mine.mlp, its.mlp)


def _copy(mine: nn.Module, its: nn.Module) -> None:
    for source, place in zip(mine.parameters(), its.parameters(), strict=True):
        place.copy_(source)


def _copy_heads(mine: Block, its: Block, complete: bool) -> None:
    """Copy what heads read with, into the first of them, and what they write with."""
    source, place = mine.attn, its.attn
    parts = 3, place.heads, -1
    heads = source.heads
    for name in ("weight", "bias"):
        reads = getattr(place.query_key_value, name).unflatten(0, parts)
        reads[:, :heads] = getattr(source.query_key_value, name).unflatten(
            0, (3, heads, -1)
        )
    if complete:
        place.out.weight[:, : source.out.in_features] = source.out.weight
        place.out.bias.copy_(source.out.bias)
