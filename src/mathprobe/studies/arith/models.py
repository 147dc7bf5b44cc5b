"""Decoders of the second study, and which answers are right.  B: batch, T: tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from mathprobe.arith.tokens import VOCABULARY, Layout, well_formed
from mathprobe.decoding import complete
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import seed
from mathprobe.spec import ArithModel
from mathprobe.studies.arith import STUDY


def build(spec: ArithModel) -> Decoder:
    """Build a model with its random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed(STUDY, "weights", spec.seed))
        length = Layout(spec.questions.digits).length
        return Decoder(spec.network, len(VOCABULARY), length)


def judge(network: Decoder, layout: Layout, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return which answers to ids [B, T] are right [B], and which are malformed [B]."""
    answer = ids[:, -layout.answer_length :]
    said = complete(network, ids, layout.answer_length)
    return (said == answer).all(-1), ~well_formed(said)
