"""Models of the second study, and scores of their answers.  B: batch, T: tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mathprobe import checkpoint
from mathprobe.arith.tokens import VOCABULARY, Layout, is_well_formed
from mathprobe.decoding import greedy_answers
from mathprobe.errors import InputError
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import seed_for
from mathprobe.spec import ArithModel
from mathprobe.studies.arith import STUDY


def build(spec: ArithModel) -> Decoder:
    """Build a model with random initial weights, determined by the seed."""
    length = Layout(spec.questions.digits).length
    return _initialise(spec.seed, spec.network, len(VOCABULARY), length)


def untrained(like: Decoder, seed: int) -> Decoder:
    """Return a model of the same configuration with random initial weights."""
    sizes = like.tokens.num_embeddings, like.positions.num_embeddings
    model = _initialise(seed, like.config, *sizes)
    weight = like.unembed.weight
    return model.to(weight.device, weight.dtype).train(like.training)


def _initialise(seed: int, *arguments: Any) -> Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(STUDY, "weights", seed))
        return Decoder(*arguments)


def load(path: Path, device: str = "cpu") -> tuple[ArithModel, Decoder]:
    """Load a trained model; return its specification and the network on a device.

    Raises InputError for a model of the first study.
    """
    stored = checkpoint.model_metadata(path)["spec"]
    if "questions" not in stored:
        raise InputError(
            f"{path}: an encoder-decoder, not a decoder that adds; use a model below "
            "results/SCALE/arith"
        )
    spec = ArithModel.from_dict(stored)
    network = build(spec)
    checkpoint.load_model(path, {spec.seed: network})
    return spec, network.to(device)


def load_parent(path: Path, child: ArithModel) -> Decoder:
    """Load the parent model, whose weights initialise a child.

    Raises InputError if the model in the file is not the parent in `child`.
    """
    spec, network = load(path)
    if child.insertion and spec != child.insertion.parent:
        wrong = "; ".join(child.insertion.parent.differences(spec.to_dict()))
        raise InputError(f"{path} is not the parent of {child.name}: {wrong}")
    return network


def score_answers(
    network: Decoder, layout: Layout, ids: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare greedy answers of a model with the answers in ids [B, T].

    Returns whether each answer is correct, and whether it is malformed, both bool [B].
    """
    answer = ids[:, -layout.answer_length :]
    predicted = greedy_answers(network, ids, layout.answer_length)
    return (predicted == answer).all(-1), ~is_well_formed(predicted)
