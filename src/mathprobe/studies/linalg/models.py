"""Networks of the study `linalg`, and their predictions.  B: batch, [r, c]: answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mathprobe import checkpoint
from mathprobe.decoding import greedy_decode
from mathprobe.linalg.codec import END, PADDING, MatrixCodec
from mathprobe.nets.seq2seq import Seq2Seq, SequenceConfig
from mathprobe.seeds import seed_for
from mathprobe.spec import Model
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs


def build(spec: Model, seed: int) -> Seq2Seq:
    """Return the network of a seed (1, 2, ...) with its initial weights."""
    codecs = Codecs(spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(STUDY, "weights", seed))
        return Seq2Seq(
            _sequence_config(codecs.source, codecs.input_shape),
            _sequence_config(codecs.target, codecs.output_shape),
            spec.encoder,
            spec.decoder,
            spec.query,
        )


def _sequence_config(codec: MatrixCodec, shape: tuple[int, int]) -> SequenceConfig:
    return SequenceConfig(
        len(codec.vocabulary), codec.max_length(*shape), PADDING, codec.variable_length
    )


def build_all(spec: Model) -> dict[int, Seq2Seq]:
    """Return the networks of all seeds, by seed."""
    return {seed: build(spec, seed) for seed in range(1, spec.seeds + 1)}


def load(path: Path, device: str) -> tuple[Model, dict[int, Seq2Seq]]:
    """Load a trained model; return its specification and the networks by seed.

    The networks are on a torch device.
    """
    spec = Model.from_dict(checkpoint.model_metadata(path)["spec"])
    networks = build_all(spec)
    checkpoint.load_model(path, networks)
    return spec, {seed: network.to(device) for seed, network in networks.items()}


def predict(codecs: Codecs, network: Seq2Seq, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return predicted answers [B, r, c], and a mask [B] of the well-formed ones.

    `matrix` [B, r, c] and the results are on the CPU.
    """
    source = codecs.source.encode(matrix).to(next(network.parameters()).device)
    length = codecs.target.max_length(*codecs.output_shape)
    ids = greedy_decode(network, source, END, length).cpu()
    return codecs.target.decode(ids, *codecs.output_shape)


def predict_all(
    spec: Model,
    networks: dict[int, Seq2Seq],
    tests: dict[str, dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return the predictions of all seeds and of the oracle on all test sets.

    `networks` maps seeds to networks, `tests` maps distributions to test sets.  The
    arrays are `{distribution}.prediction` [seeds, B, r, c] and `{distribution}.oracle`
    [B, r, c].
    """
    codecs = Codecs(spec)
    arrays = {}
    for distribution, test in tests.items():
        matrix = torch.from_numpy(test["matrix"])
        predictions = [predict(codecs, net, matrix)[0] for net in networks.values()]
        arrays[f"{distribution}.prediction"] = torch.stack(predictions).numpy()
        arrays[f"{distribution}.oracle"] = codecs.oracle(matrix).numpy()
    return arrays
