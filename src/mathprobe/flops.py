"""Floating-point operations (FLOPs) and parameters of networks, from their shapes.

S: source tokens, T: target tokens, D: width, V: vocabulary size.  A matrix product
[a, b] x [b, c] has 2 a b c FLOPs.  The backward pass has twice the FLOPs of the forward
pass: two products for each.  Norms, softmax, data generation and the optimizer are not
counted; they take time, but have few operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mathprobe.lazy import torch
from mathprobe.seeds import rng_for
from mathprobe.spec import DecoderConfig, LayerConfig

BACKWARD = 2  # FLOPs of the backward pass, relative to the forward pass
HIDDEN = 4  # width of the hidden layer, relative to D
MATRIX_SIZES = {"cpu": 1024, "cuda": 8192}  # a GPU is slow on small matrices
REPEATS = 20


def attention(queries: int, keys: int, width: int, memory_width: int) -> int:
    """Return the FLOPs of attention: projections, scores and weighted values."""
    projections = 2 * queries * width * width + 2 * keys * memory_width * width
    return 2 * (projections + 2 * queries * keys * width)


def feed_forward(length: int, width: int) -> int:
    """Return the FLOPs of a feed-forward block with one hidden layer."""
    return 2 * 2 * length * width * HIDDEN * width


def seq2seq_forward(
    encoder: LayerConfig,
    decoder: LayerConfig,
    source: int,
    target: int,
    vocab_size: int,
) -> int:
    """Return the FLOPs of a forward pass on one example.

    `source` and `target` are the numbers of tokens S and T.
    """
    memory, width = encoder.width, decoder.width
    encoder_layer = attention(source, source, memory, memory)
    encoder_layer += feed_forward(source, memory)
    decoder_layer = attention(target, target, width, width)
    decoder_layer += attention(target, source, width, memory)
    decoder_layer += feed_forward(target, width)
    logits = 2 * target * width * vocab_size
    return encoder.layers * encoder_layer + decoder.layers * decoder_layer + logits


def seq2seq_training(
    encoder: LayerConfig,
    decoder: LayerConfig,
    source: int,
    target: int,
    vocab_size: int,
) -> int:
    """Return the FLOPs of training on one example: forward and backward pass."""
    forward = seq2seq_forward(encoder, decoder, source, target, vocab_size)
    return (1 + BACKWARD) * forward


def decoder_forward(
    config: DecoderConfig, length: int, outputs: int, vocab_size: int
) -> int:
    """Return the FLOPs of a decoder's forward pass on one sequence.

    Of the highest layer, only the queries, keys and values are computed for all tokens;
    the rest, for the last `outputs` ones.
    """
    return (
        (config.layers - 1) * _decoder_layer(config, length, length)
        + _decoder_layer(config, length, outputs)
        + 2 * outputs * config.width * vocab_size
    )


def _decoder_layer(config: DecoderConfig, length: int, outputs: int) -> int:
    inner = config.heads * config.head_width
    projections = (3 * length + outputs) * config.width * inner
    scores = 2 * outputs * length * inner
    return 2 * (projections + scores) + feed_forward(outputs, config.width)


def _linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def _norm(width: int) -> int:
    return 2 * width


def _feed_forward(width: int) -> int:
    return _linear(width, HIDDEN * width) + _linear(HIDDEN * width, width)


def _attention(width: int, memory_width: int) -> int:
    return 2 * _linear(width, width) + _linear(memory_width, 2 * width)


def seq2seq_parameters(
    encoder: LayerConfig,
    decoder: LayerConfig,
    source: tuple[int, int],
    target: tuple[int, int],
) -> int:
    """Return the number of parameters of a sequence-to-sequence network.

    `source` and `target` are pairs of vocabulary size and maximum length.
    """
    memory, width = encoder.width, decoder.width
    encoder_layer = _attention(memory, memory) + _feed_forward(memory)
    encoder_layer += 2 * _norm(memory)
    decoder_layer = _attention(width, width) + _attention(width, memory)
    decoder_layer += _feed_forward(width) + 3 * _norm(width)
    embeddings = sum(source) * memory + _norm(memory) + sum(target) * width
    embeddings += _norm(width)
    output_bias = target[0]  # the output layer shares the weights of the embedding
    layers = encoder.layers * encoder_layer + decoder.layers * decoder_layer
    return layers + embeddings + output_bias


def decoder_parameters(config: DecoderConfig, length: int, vocab_size: int) -> int:
    """Return the number of parameters of a decoder; `length` is the maximum length."""
    width, inner = config.width, config.heads * config.head_width
    layer = _linear(width, 3 * inner) + _linear(inner, width)
    layer += _feed_forward(width) + 2 * _norm(width)
    output = _norm(width) + _linear(width, vocab_size)
    return config.layers * layer + (vocab_size + length) * width + output


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_matmul_rate(precision: str) -> tuple[float, str]:
    """Measure the FLOP/s of a matrix product on this machine.

    Returns the rate and a description of the measurement.  The entries are random: a
    GPU is faster on matrices of equal numbers, because they need less power.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = MATRIX_SIZES[device]
    matrix = torch.randn(size, size, generator=rng_for("matmul"))
    matrix = matrix.to(device, getattr(torch, precision))
    times = [_seconds(lambda: matrix @ matrix) for _ in range(1 + REPEATS)]
    rate = 2 * size**3 / min(times[1:])  # the first call includes one-time costs
    description = (
        f"a product of {size} x {size} matrices of {precision}, measured on {device}"
    )
    return rate, description
