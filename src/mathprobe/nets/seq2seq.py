"""The encoder-decoder of Charton 2022, section 2.  B: batch, S: source, T: target.

Two details follow the published code and differ from the usual design: the query of the
decoder's cross-attention is the input of the layer (`query="input"`), not the output of
its self-attention (`query="attended"`); and the output layer shares its weights with
the decoder's token embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn, zeros
from torch.nn import functional

from mathprobe.nets.hooks import RENAMED_PARTS, HookPoint
from mathprobe.nets.layers import (
    Attention,
    Embedding,
    FeedForward,
    KeyValues,
    module_list,
    norm,
)
from mathprobe.spec import LayerConfig


@dataclass(frozen=True)
class SequenceConfig:
    """Vocabulary and maximum length of the source or the target sequences."""

    vocab_size: int
    max_length: int
    padding_id: int
    variable_length: bool = True  # whether sequences may be padded; then, it is masked


class LayerCache(NamedTuple):
    """Keys and values in a decoder layer: of the target prefix and of the source."""

    prefix: KeyValues
    source: KeyValues


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by its norm."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads)
        self.attention_norm = norm(config.width)
        self.feed_forward = FeedForward(config.width)
        self.feed_forward_norm = norm(config.width)
        self.hook_resid_post = HookPoint()  # after the norm

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the output of the layer, of the same shape [B, S, D] as x."""
        attended = self.attention(x, self.attention.project_key_values(x), mask)
        y = self.attention_norm(x + attended)
        return self.hook_resid_post(self.feed_forward_norm(y + self.feed_forward(y)))


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the source, and feed-forward."""

    def __init__(self, config: LayerConfig, source_width: int, query: str) -> None:
        super().__init__()
        self.query = query
        self.attention = Attention(config.width, config.heads)
        self.attention_norm = norm(config.width)
        self.cross = Attention(config.width, config.heads, source_width)
        self.cross_norm = norm(config.width)
        self.feed_forward = FeedForward(config.width)
        self.feed_forward_norm = norm(config.width)
        self.hook_resid_post = HookPoint()  # after the norm

    def forward(
        self, x: Tensor, cache: LayerCache, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Return the output of the layer, of the same shape [B, T, D] as x."""
        y = self.attention_norm(x + self.attention(x, cache.prefix, causal=causal))
        query = x if self.query == "input" else y
        y = self.cross_norm(y + self.cross(query, cache.source, mask))
        return self.hook_resid_post(self.feed_forward_norm(y + self.feed_forward(y)))


class Seq2Seq(nn.Module):
    """Encoder-decoder with separate source and target vocabularies."""

    def __init__(
        self,
        source: SequenceConfig,
        target: SequenceConfig,
        encoder: LayerConfig,
        decoder: LayerConfig,
        query: str = "input",
    ) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.source_embedding = Embedding(
            source.vocab_size, source.max_length, encoder.width, source.padding_id
        )
        self.encoder = module_list(EncoderLayer(encoder) for _ in range(encoder.layers))
        self.target_embedding = Embedding(
            target.vocab_size, target.max_length, decoder.width, target.padding_id
        )
        self.decoder = module_list(
            DecoderLayer(decoder, encoder.width, query) for _ in range(decoder.layers)
        )
        self.output_bias = nn.Parameter(zeros(target.vocab_size))
        bound = decoder.width**-0.5
        nn.init.uniform_(self.output_bias, -bound, bound)

    def source_mask(self, ids: Tensor) -> Tensor | None:
        """Return a mask [B, 1, 1, S], false for padding; None if lengths are fixed."""
        if not self.source.variable_length:
            return None
        return (ids != self.source.padding_id)[:, None, None, :]

    def encode(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Encode source ids [B, S] to a memory [B, S, D]."""
        x = self.source_embedding(ids)
        for layer in self.encoder:
            x = layer(x, mask)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Return logits [..., V] for decoder outputs [..., D]."""
        weight = self.target_embedding.tokens.weight
        return functional.linear(x, weight, self.output_bias)

    def output_weights(self, hook_name: str) -> Tensor:
        """Return the matrices from an activation to what its layer adds.

        The shape is [heads, D / heads, D] for `hook_z` and [4 D, D] for `hook_post`.
        """
        names = {new: old for old, new in RENAMED_PARTS.items()}
        path = [names.get(part, part) for part in hook_name.split(".")[:-1]]
        part: Attention | FeedForward
        part = self.get_submodule(".".join(path))  # type: ignore[assignment]
        return part.output_weights

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Return the logits [B, T, V] of the next token after each target prefix."""
        mask = self.source_mask(source_ids)
        return self.decode(target_ids, self.encode(source_ids, mask), mask)

    def decode(self, ids: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the logits [B, T, V] for target ids [B, T] and an encoded source."""
        x = self.target_embedding(ids)
        for layer in self.decoder:
            prefix = layer.attention.project_key_values(x)
            cache = LayerCache(prefix, layer.cross.project_key_values(memory))
            x = layer(x, cache, mask, causal=True)
        return self.logits(x)
