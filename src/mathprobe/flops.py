"""Floating-point operations of a training, and parameters of a network, from shapes.

S: source, T: target, D: width, V: words.  A product [a, b] x [b, c] counts 2 a b c, the
backward pass twice the forward one, as it makes two products of each.  Norms, softmax,
data and the optimizer are left out: they make few operations, though they take time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mathprobe.lazy import torch
from mathprobe.spec import DecoderConfig, LayerConfig

BACKWARD = 2  # products for each of the forward pass
HIDDEN = 4  # widths of the hidden layer
SIDES = {"cpu": 1024, "cuda": 8192}  # of measured matrices: a GPU is slow on small ones
REPEATS = 5


def attention(queries: int, keys: int, width: int, memory_width: int) -> int:
    """Count attention: projections of queries, keys, values and results, and scores."""
    projections = 2 * queries * width * width + 2 * keys * memory_width * width
    return 2 * (projections + 2 * queries * keys * width)


def feed_forward(length: int, width: int) -> int:
    """Count a layer of one hidden layer."""
    return 2 * 2 * length * width * HIDDEN * width


def seq2seq_forward(
    encoder: LayerConfig, decoder: LayerConfig, source: int, target: int, words: int
) -> int:
    """Count one example: S tokens read, T predicted among V words."""
    wide, width = encoder.width, decoder.width
    reading = attention(source, source, wide, wide) + feed_forward(source, wide)
    writing = (
        attention(target, target, width, width)
        + attention(target, source, width, wide)
        + feed_forward(target, width)
    )
    scores = 2 * target * width * words
    return encoder.layers * reading + decoder.layers * writing + scores


def seq2seq_training(
    encoder: LayerConfig, decoder: LayerConfig, source: int, target: int, words: int
) -> int:
    """Count one example of a training, forward and backward."""
    return (1 + BACKWARD) * seq2seq_forward(encoder, decoder, source, target, words)


def decoder_forward(stack: DecoderConfig, length: int, words: int) -> int:
    """Count one sequence of a decoder, forward; its heads have their own width."""
    inner = stack.heads * stack.head_width
    projections, scores = 4 * length * stack.width * inner, 2 * length * length * inner
    layer = 2 * (projections + scores) + feed_forward(length, stack.width)
    return stack.layers * layer + 2 * length * stack.width * words


def _linear(reads: int, writes: int) -> int:
    return (reads + 1) * writes


def _norm(width: int) -> int:
    return 2 * width


def _hidden(width: int) -> int:
    return _linear(width, HIDDEN * width) + _linear(HIDDEN * width, width)


def _attended(width: int, memory_width: int) -> int:
    return 2 * _linear(width, width) + _linear(memory_width, 2 * width)


def seq2seq_parameters(
    encoder: LayerConfig,
    decoder: LayerConfig,
    source: tuple[int, int],
    target: tuple[int, int],
) -> int:
    """Count the parameters of a network; of each side, words and longest sequence."""
    wide, width = encoder.width, decoder.width
    reading = _attended(wide, wide) + _hidden(wide) + 2 * _norm(wide)
    writing = _attended(width, width) + _attended(width, wide) + _hidden(width)
    tables = sum(source) * wide + sum(target) * width + _norm(wide) + _norm(width)
    layers = encoder.layers * reading + decoder.layers * (writing + 3 * _norm(width))
    return layers + tables + target[0]  # the output layer is tied, but for its bias


def decoder_parameters(stack: DecoderConfig, length: int, words: int) -> int:
    """Count the parameters of a decoder."""
    width, inner = stack.width, stack.heads * stack.head_width
    attended = _linear(width, 3 * inner) + _linear(inner, width)
    layer = attended + _hidden(width) + 2 * _norm(width)
    tables = (words + length) * width + _norm(width) + _linear(width, words)
    return stack.layers * layer + tables


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure_matmul_rate(precision: str) -> tuple[float, str]:
    """Measure the operations a second of a matrix product on this machine; say how."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = SIDES[device]
    matrix = torch.ones(side, side, device=device, dtype=getattr(torch, precision))
    times = [_seconds(lambda: matrix @ matrix) for _ in range(1 + REPEATS)]
    rate = 2 * side**3 / min(times[1:])  # the first call pays for later ones
    what = f"a product of {side} x {side} matrices of {precision}, measured on {device}"
    return rate, what
