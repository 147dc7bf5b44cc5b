"""Greedy decoding.  B: batch, S: source tokens, T: target tokens, or question + answer.

The sequence-to-sequence model decodes token by token with a KV cache.  For a decoder,
the caller provides a guess of the answer; each forward pass checks and corrects it.
Both return the greedy answer: the only sequence in which each token is the most likely
one after the tokens before it.
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
        prefix = _empty_cache(layer.attention, memory, length)
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


def _empty_cache(attention: Attention, memory: Tensor, length: int) -> KeyValues:
    width = attention.out.in_features // attention.heads
    shape = len(memory), length, attention.heads, width
    return KeyValues(memory.new_zeros(shape), memory.new_zeros(shape))


@torch.inference_mode()
def greedy_answers(
    model: Decoder, ids: Tensor, length: int, chunk: int = 2048
) -> Tensor:
    """Return the greedy answers [B, length] to the questions in ids [B, T].

    The last `length` tokens of `ids` are an initial guess; a wrong guess costs time,
    not correctness.  Each pass fixes at least one more token.  `chunk` is the number of
    rows that are decoded together.
    """
    parts = [_answer_chunk(model, part, length) for part in ids.split(chunk)]
    return torch.cat(parts)


def _answer_chunk(model: Decoder, ids: Tensor, length: int) -> Tensor:
    ids, rows = ids.clone(), torch.arange(len(ids), device=ids.device)
    first = ids.shape[1] - 1 - length  # position that predicts the first token
    while len(rows):
        answer = model(ids[rows, :-1], output_from=first).argmax(-1)
        changed = answer != ids[rows, -length:]
        ids[rows, -length:] = answer
        rows = rows[changed[:, :-1].any(1)]  # the last token is not an input
    return ids[:, -length:]
