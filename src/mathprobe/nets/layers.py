"""Layers: attention, feed-forward, embedding.  B: batch, S: keys, T: queries, D: width.

Hook points have the names and shapes of TransformerLens.

Source: Charton 2022, section 2, and the published code for details that the text omits:
post-norm layers, ReLU, biases everywhere, learned positions, unscaled embeddings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mathprobe.nets.hooks import HookPoint

NORM_EPSILON = 1e-12
Layer = TypeVar("Layer", bound=nn.Module)


class KeyValues(NamedTuple):
    """Keys and values of one attention layer, each [B, S, heads, D / heads]."""

    keys: Tensor
    values: Tensor

    def write(self, new: KeyValues, start: int) -> KeyValues:
        """Write keys and values of the tokens from `start` on.

        Returns those of all tokens up to the last one written.
        """
        end = start + new.keys.shape[1]
        self.keys[:, start:end], self.values[:, start:end] = new
        return KeyValues(self.keys[:, :end], self.values[:, :end])


class Attention(nn.Module):
    """Multi-head attention to a memory, which may differ in width from the queries."""

    def __init__(self, width: int, heads: int, memory_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width or width, 2 * width)
        self.out = nn.Linear(width, width)
        self.hook_attn_scores = HookPoint()  # [B, heads, T, S]
        self.hook_pattern = HookPoint()  # [B, heads, T, S]
        self.hook_z = HookPoint()  # [B, T, heads, D / heads]

    def project_key_values(self, memory: Tensor) -> KeyValues:
        """Project a memory [B, S, memory width] to keys and values."""
        projected = self.key_value(memory).unflatten(-1, (2, self.heads, -1))
        return KeyValues(*projected.unbind(-3))

    def forward(
        self,
        x: Tensor,
        memory: KeyValues,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Return the attention output [B, T, D] for x [B, T, D].

        `mask` [B, 1, 1, S] is true for the positions that may be attended to.
        """
        query = self.query(x).unflatten(-1, (self.heads, -1))
        query, keys, values = (
            one.transpose(1, 2) for one in (query, *memory)
        )  # [B, heads, T or S, D / heads]
        if self.hook_attn_scores.is_hooked or self.hook_pattern.is_hooked:
            z = self._pattern(query, keys, mask, causal) @ values
        else:  # without the pattern in memory
            z = functional.scaled_dot_product_attention(
                query, keys, values, attn_mask=mask, is_causal=causal
            )
        return self.out(self.hook_z(z.transpose(1, 2)).flatten(2))

    def _pattern(
        self, query: Tensor, keys: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Return the attention weights [B, heads, T, S], after their hooks."""
        scores = query @ keys.mT * query.shape[-1] ** -0.5
        if causal:
            mask = torch.ones_like(scores, dtype=torch.bool).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return self.hook_pattern(self.hook_attn_scores(scores).softmax(-1))

    @property
    def output_weights(self) -> Tensor:
        """Return the matrices [heads, D / heads, D] from `hook_z` to the output."""
        return self.out.weight.T.unflatten(0, (self.heads, -1))


class FeedForward(nn.Sequential):
    """Feed-forward block with one ReLU layer of width 4 D."""

    def __init__(self, width: int) -> None:
        layers = {  # stored weights have the names 0 and 2
            "0": nn.Linear(width, 4 * width),
            "1": nn.ReLU(),
            "hook_post": HookPoint(),
            "2": nn.Linear(4 * width, width),
        }
        super().__init__(OrderedDict(layers))

    @property
    def output_weights(self) -> Tensor:
        """Return the matrix [4 D, D] from `hook_post` to the output."""
        return self.get_parameter("2.weight").T


def norm(width: int) -> nn.LayerNorm:
    """Return a layer norm with the published epsilon."""
    return nn.LayerNorm(width, eps=NORM_EPSILON)


def module_list(layers: Iterable[Layer]) -> Sequence[Layer]:
    """Return a ModuleList, typed as a sequence of its layers."""
    return nn.ModuleList(layers)  # type: ignore[return-value] # torch has no such type


class Embedding(nn.Module):
    """Normalised sum of token and learned position embeddings.

    The embedding of the padding token is initially zero.
    """

    def __init__(
        self, vocab_size: int, max_length: int, width: int, padding_id: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(max_length, width)
        self.norm = norm(width)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=width**-0.5)
        with torch.no_grad():
            self.tokens.weight[padding_id].zero_()

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Return the embeddings [B, T, D] of ids [B, T] at positions from `start`."""
        positions = self.positions.weight[start : start + ids.shape[1]]
        return self.norm(self.tokens(ids) + positions)
