"""Greedy decoding.  B: batch, S: source, T: target, or question and answer in one.

The sequence-to-sequence model writes word by word with cached keys and values.  The
decoder's answers are a few tokens long and mostly foreseen, so there a guess of the
whole answer is read at once and corrected: the greedy answer is the only one that
the model, reading it, gives back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mathprobe.nets.decoder import Decoder
from mathprobe.nets.layers import Attention, KeyValues
from mathprobe.nets.seq2seq import LayerCache, Seq2Seq


@torch.inference_mode()
def greedy_decode(
    model: Seq2Seq, source: Tensor, start: int, length: int, chunk: int = 2048
) -> Tensor:
    """Write the likeliest next word, `length` times: ids [B, length], start included.

    Sequences are not cut at their end token: a reader ignores what follows it.
    """
    parts = [_greedy_chunk(model, part, start, length) for part in source.split(chunk)]
    return torch.cat(parts)


def _greedy_chunk(model: Seq2Seq, source: Tensor, start: int, length: int) -> Tensor:
    mask = model.source_mask(source)
    memory = model.encode(source, mask)
    caches = []
    for layer in model.decoder:
        prefix = _empty(layer.attention, memory, length)
        caches.append(LayerCache(prefix, layer.cross.project_key_values(memory)))
    ids = torch.full((len(source), length), start, device=source.device)
    for step in range(length - 1):
        x = model.target_embedding(ids[:, step : step + 1], start=step)
        for layer, cache in zip(model.decoder, caches, strict=True):
            prefix = _extend(cache.prefix, layer.attention.project_key_values(x), step)
            x = layer(x, LayerCache(prefix, cache.source), mask, causal=False)
        ids[:, step + 1] = model.logits(x[:, -1]).argmax(-1)
    return ids


def _empty(attention: Attention, memory: Tensor, length: int) -> KeyValues:
    width = attention.out.in_features // attention.heads
    shape = len(memory), length, attention.heads, width
    return KeyValues(memory.new_zeros(shape), memory.new_zeros(shape))


def _extend(cache: KeyValues, new: KeyValues, step: int) -> KeyValues:
    """Write one position into the cache and give what is filled by now."""
    cache.keys[:, step], cache.values[:, step] = new.keys[:, 0], new.values[:, 0]
    return KeyValues(cache.keys[:, : step + 1], cache.values[:, : step + 1])


@torch.inference_mode()
def greedy_answers(
    model: Decoder, ids: Tensor, length: int, chunk: int = 2048
) -> Tensor:
    """Write the likeliest last `length` tokens of ids [B, T]: [B, length].

    Those that ids end with are a guess, which costs time where it is wrong: every pass
    settles at least one token more.
    """
    parts = [_complete_chunk(model, part, length) for part in ids.split(chunk)]
    return torch.cat(parts)


def _complete_chunk(model: Decoder, ids: Tensor, length: int) -> Tensor:
    ids, rows = ids.clone(), torch.arange(len(ids), device=ids.device)
    while len(rows):
        answer = model(ids[rows, :-1])[:, -length:].argmax(-1)
        moved = answer != ids[rows, -length:]
        ids[rows, -length:] = answer
        rows = rows[moved[:, :-1].any(1)]  # the last token is not read
    return ids[:, -length:]
