"""The encoder-decoder of Charton 2022, section 2.  B: batch, S: source, T: target.

Two choices are the published code's, not the usual ones: the query of the decoder's
cross-attention is the layer's input (`query="input"`), not what its self-attention
made of it (`query="attended"`); and the output layer is tied to the decoder's token
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn, zeros
from torch.nn import functional

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
    """Words and longest sequence of one side; ragged: sequences may be padded."""

    vocab_size: int
    max_length: int
    padding_id: int
    variable_length: bool = False


class LayerCache(NamedTuple):
    """What a decoder layer keeps between steps: the prefix and the source."""

    prefix: KeyValues
    source: KeyValues


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by its norm."""

    def __init__(self, stack: LayerConfig) -> None:
        super().__init__()
        self.attention = Attention(stack.width, stack.heads)
        self.attention_norm = norm(stack.width)
        self.feed_forward = FeedForward(stack.width)
        self.feed_forward_norm = norm(stack.width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the output of the layer, [B, S, D] as x."""
        seen = self.attention(x, self.attention.project_key_values(x), mask)
        y = self.attention_norm(x + seen)
        return self.feed_forward_norm(y + self.feed_forward(y))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, feed-forward."""

    def __init__(self, stack: LayerConfig, source_width: int, query: str) -> None:
        super().__init__()
        self.query = query
        self.attention = Attention(stack.width, stack.heads)
        self.attention_norm = norm(stack.width)
        self.cross = Attention(stack.width, stack.heads, source_width)
        self.cross_norm = norm(stack.width)
        self.feed_forward = FeedForward(stack.width)
        self.feed_forward_norm = norm(stack.width)

    def forward(
        self, x: Tensor, memory: LayerCache, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Return the output of the layer, [B, T, D] as x."""
        y = self.attention_norm(x + self.attention(x, memory.prefix, causal=causal))
        asking = x if self.query == "input" else y
        y = self.cross_norm(y + self.cross(asking, memory.source, mask))
        return self.feed_forward_norm(y + self.feed_forward(y))


class Seq2Seq(nn.Module):
    """Encoder and decoder, with source and target vocabularies of their own."""

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
        """Mark [B, 1, 1, S] which source positions may be attended to; None: all."""
        if not self.source.variable_length:
            return None
        return (ids != self.source.padding_id)[:, None, None, :]

    def encode(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Read source ids [B, S] into memory [B, S, D]."""
        x = self.source_embedding(ids)
        for layer in self.encoder:
            x = layer(x, mask)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Score every target word [B, T, V]."""
        words = self.target_embedding.tokens.weight
        return functional.linear(x, words, self.output_bias)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Score the next word after each target prefix: logits [B, T, V]."""
        mask = self.source_mask(source_ids)
        memory = self.encode(source_ids, mask)
        x = self.target_embedding(target_ids)
        for layer in self.decoder:
            prefix = layer.attention.project_key_values(x)
            x = layer(
                x,
                LayerCache(prefix, layer.cross.project_key_values(memory)),
                mask,
                True,
            )
        return self.logits(x)
