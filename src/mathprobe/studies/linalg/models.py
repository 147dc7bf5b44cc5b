"""Networks of the first study, and what they answer.  B: batch, [r, c]: answer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mathprobe.decoding import greedy
from mathprobe.linalg.codec import END, PADDING, MatrixCodec
from mathprobe.nets.seq2seq import Seq2Seq, Vocabulary
from mathprobe.seeds import seed
from mathprobe.spec import Model
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs


def build(spec: Model, number: int) -> Seq2Seq:
    """Build the network of a seed, counted from 1, with its initial weights."""
    codecs = Codecs(spec)
    with torch.random.fork_rng():
        torch.manual_seed(seed(STUDY, "weights", number))
        return Seq2Seq(
            _vocabulary(codecs.source, codecs.input_shape),
            _vocabulary(codecs.target, codecs.shape),
            spec.encoder,
            spec.decoder,
            spec.query,
        )


def _vocabulary(codec: MatrixCodec, shape: tuple[int, int]) -> Vocabulary:
    return Vocabulary(
        len(codec.vocabulary), codec.length(*shape), PADDING, codec.ragged
    )


def networks(spec: Model) -> dict[int, Seq2Seq]:
    """Build the networks of all seeds."""
    return {number: build(spec, number) for number in range(1, spec.seeds + 1)}


def predict(codecs: Codecs, network: Seq2Seq, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return a network's answers [B, r, c], and which of them are well formed [B]."""
    device = next(network.parameters()).device
    source = codecs.source.encode(matrix.to(device))
    ids = greedy(network, source, END, codecs.target.length(*codecs.shape))
    values, ok = codecs.target.decode(ids, *codecs.shape)
    return values.cpu(), ok.cpu()


def predictions(
    spec: Model,
    seeds: dict[int, Seq2Seq],
    tests: dict[str, dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Have every seed, and the oracle, answer every test set: [seeds, B, r, c]."""
    codecs = Codecs(spec)
    arrays = {}
    for law, test in tests.items():
        matrix = torch.from_numpy(test["matrix"])
        made = [predict(codecs, network, matrix)[0] for network in seeds.values()]
        arrays[f"{law}.prediction"] = torch.stack(made).numpy()
        arrays[f"{law}.oracle"] = codecs.oracle(matrix).numpy()
    return arrays
