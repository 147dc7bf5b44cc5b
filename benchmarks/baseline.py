"""Baseline for the benchmarks: a plain implementation of the published design.

Examples are generated one at a time in Python, with strings as tokens.  Source and
target share one vocabulary, and the softmax is over all its tokens.  The network is
`torch.nn.Transformer`; decoding has no KV cache.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

END = "<s>"


def vocabulary() -> dict[str, int]:
    """Return the ids of all tokens of FP15, P1000 and the matrix dimensions."""
    signed = [m for m in range(-999, 1000) if abs(m) >= 100]
    tokens = {END, "</s>", "+", "-", "NaN", "-NaN"}
    tokens |= {str(m) for m in range(1000)} | {f"E{k}" for k in range(-100, 101)}
    tokens |= {f"N{m}e0" for m in range(-99, 100)}
    tokens |= {f"N{m}e{e}" for m in signed for e in range(16)}
    tokens |= {f"V{n}" for n in range(1, 101)}
    return {token: number for number, token in enumerate(sorted(tokens))}


def fp15(x: float) -> list[str]:
    """Encode a number as one token."""
    v = abs(x) * 1e7
    e = max(0, int(np.floor(np.log10(v)))) if v else 0
    m = int(np.floor(v * 10.0 ** (2 - e) + 0.5))
    m, e = (100, e + 1) if m == 1000 else (m, e)
    return [f"N{-m if x < 0 else m}e{e}"]


def p1000(x: float) -> list[str]:
    """Encode a number as sign, mantissa and exponent."""
    mantissa, exponent = f"{abs(x):.2e}".split("e")
    digits = mantissa.replace(".", "")
    return ["-" if x < 0 else "+", digits, f"E{int(exponent) - 2}"]


class Data:
    """Matrices with Laplace eigenvalues, generated one at a time."""

    def __init__(self, n: int, seed: int = 1) -> None:
        self.n, self.ids = n, vocabulary()
        self.rng = np.random.RandomState(seed)

    def example(self) -> tuple[list[int], list[int]]:
        """Return the source and target ids of a new example."""
        n = self.n
        square = self.rng.randn(n, n) * 10 / np.sqrt(3)
        vectors = np.linalg.eigh(np.tril(square) + np.tril(square, -1).T)[1]
        values = self.rng.laplace(0, np.sqrt(n / 6) * 10, n)
        matrix = vectors @ np.diag(values) @ vectors.T
        answer = np.sort(np.linalg.eigvals(matrix).real)[::-1]
        return self._encode(matrix, (n, n), fp15), self._encode(answer, (n, 1), p1000)

    def _encode(self, numbers: np.ndarray, shape: tuple[int, int], encode) -> list[int]:
        tokens = [END, *(f"V{size}" for size in shape)]
        for x in numbers.ravel():
            tokens += encode(float(x))
        return [self.ids[token] for token in [*tokens, END]]

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the source and target ids of a new batch."""
        examples = [self.example() for _ in range(size)]
        return tuple(torch.tensor(side) for side in zip(*examples, strict=True))


class Model(nn.Module):
    """`nn.Transformer` with embeddings and a tied output layer."""

    def __init__(self, layers: tuple[int, int], width: int, heads: int) -> None:
        super().__init__()
        vocab_size = len(vocabulary())
        self.source = nn.Embedding(vocab_size, width)
        self.target = nn.Embedding(vocab_size, width)
        self.positions = nn.ModuleList(nn.Embedding(4096, width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.body = nn.Transformer(
            width, heads, *layers, 4 * width, dropout=0.0, batch_first=True
        )
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def _embed(self, side: int, table: nn.Embedding, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        return self.norms[side](table(ids) + self.positions[side](positions))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits of the next token after each target prefix."""
        size = target.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(size, target.device)
        output = self.body(
            self._embed(0, self.source, source),
            self._embed(1, self.target, target),
            tgt_mask=mask,
            tgt_is_causal=True,
        )
        return functional.linear(output, self.target.weight, self.bias)


def step(
    model: Model, adam: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]
) -> None:
    """Make one update."""
    source, target = batch
    logits = model(source, target[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    adam.step()


@torch.inference_mode()
def decode(model: Model, source: Tensor, length: int) -> Tensor:
    """Decode greedily, with a forward pass over the whole prefix for each token."""
    model.eval()
    ids = source[:, :1]
    while ids.shape[1] < length:
        ids = torch.cat([ids, model(source, ids)[:, -1:].argmax(-1)], dim=1)
    return ids
