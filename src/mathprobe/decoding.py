"""Greedy decoding.  B: batch, S: source tokens, T: target tokens, or question + answer.

The sequence-to-sequence model decodes token by token with a KV cache.  For a decoder,
the caller provides a guess of the answer; each forward pass checks and corrects it.
Both return the greedy answer: the only sequence in which each token is the most likely
one after the tokens before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mathprobe.nets.decoder import CausalAttention, Decoder
from mathprobe.nets.layers import Attention, KeyValues
from mathprobe.nets.seq2seq import LayerCache, Seq2Seq


@torch.inference_mode()
def greedy_decode(
    model: Seq2Seq, source: Tensor, start: int, length: int, chunk: int = 2048
) -> Tensor:
    """Return target ids [B, length] for source ids [B, S]; the first is `start`.

    Sequences are not cut at the end token; ignore the ids after it.  `chunk` is the
    number of rows that are decoded together.
    """
    parts = [_decode_chunk(model, part, start, length) for part in source.split(chunk)]
    return torch.cat(parts)


def _decode_chunk(model: Seq2Seq, source: Tensor, start: int, length: int) -> Tensor:
    mask = model.source_mask(source)
    memory = model.encode(source, mask)
    caches = []
    for layer in model.decoder:
        prefix = _empty_cache(layer.attention, memory, len(memory), length)
        caches.append(LayerCache(prefix, layer.cross.project_key_values(memory)))
    ids = torch.full((len(source), length), start, device=source.device)
    for position in range(length - 1):
        x = model.target_embedding(ids[:, position : position + 1], start=position)
        for layer, cache in zip(model.decoder, caches, strict=True):
            new = layer.attention.project_key_values(x)
            prefix = cache.prefix.write(new, position)
            x = layer(x, LayerCache(prefix, cache.source), mask, causal=False)
        ids[:, position + 1] = model.logits(x[:, -1]).argmax(-1)
    return ids


def _empty_cache(
    attention: Attention | CausalAttention, like: Tensor, rows: int, length: int
) -> KeyValues:
    width = attention.out.in_features // attention.heads
    shape = rows, length, attention.heads, width
    return KeyValues(like.new_zeros(shape), like.new_zeros(shape))


@torch.inference_mode()
def greedy_answers(
    model: Decoder, ids: Tensor, length: int, chunk: int = 2048
) -> Tensor:
    """Return the greedy answers [B, length] to the questions in ids [B, T].

    The last `length` tokens of `ids` are an initial guess; a wrong guess costs time,
    not correctness: one pass checks the guess, and wrong answers are then decoded token
    by token.  `chunk` is the number of rows that are decoded together.
    """
    parts = [_answer_chunk(model, part, length) for part in ids.split(chunk)]
    return torch.cat(parts)


def _answer_chunk(model: Decoder, ids: Tensor, length: int) -> Tensor:
    first = ids.shape[1] - length  # position of the answer
    answer = model(ids[:, :-1], output_from=first - 1).argmax(-1)
    # The last token is not an input, so its change has no effect.
    changed = (answer != ids[:, first:])[:, :-1].cpu()
    ids = torch.cat([ids[:, :first], answer], 1)
    if changed.any():
        rows = changed.any(1).nonzero()[:, 0].to(ids.device)
        start = first + int(changed.any(0).int().argmax())
        ids[rows] = _decode_from(model, ids[rows], start)
    return ids[:, first:]


def _decode_from(model: Decoder, ids: Tensor, start: int) -> Tensor:
    """Replace the tokens of ids [B, T] after position `start` by greedy ones."""
    rows, length = len(ids), ids.shape[1] - 1
    like = model.unembed.weight
    kv_cache = [_empty_cache(b.attn, like, rows, length) for b in model.blocks]
    model(ids[:, :start], kv_cache, output_from=start)
    for position in range(start, length):
        write_next_token(model, ids, kv_cache, position)
    return ids


def write_next_token(
    model: Decoder, ids: Tensor, kv_cache: Sequence[KeyValues], position: int
) -> None:
    """Write the most likely token after `position` into ids [B, T].

    `kv_cache` contains keys and values of all earlier tokens; those of the token at
    `position` are added.
    """
    logits = model(ids[:, position : position + 1], kv_cache, position)
    ids[:, position + 1] = logits[:, 0].argmax(-1)
