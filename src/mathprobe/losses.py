"""Training losses.  B: batch, S: source tokens, T: target tokens, V: vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Batch = tuple[Tensor, ...]


class LossFunction(Protocol):
    """Loss of a network on a batch, as one or several values.

    Training minimises their mean.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the loss."""
        ...

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of a batch, with the shape `self.shape`."""
        ...


@dataclass(frozen=True)
class Seq2SeqLoss:
    """Cross-entropy of target tokens [B, T], given a source [B, S]: Charton 2022."""

    padding_id: int
    precision: str  # of the matrix products, a key of PRECISIONS
    shape: ClassVar[tuple[int, ...]] = ()

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the mean over all target tokens except padding."""
        source, target = batch
        tokens = (target[:, 1:] != self.padding_id).sum()
        dtype = PRECISIONS[self.precision]
        with torch.autocast(source.device.type, dtype, enabled=dtype != torch.float32):
            logits = network(source, target[:, :-1])  # [B, T - 1, V]
        loss = functional.cross_entropy(
            logits.flatten(0, 1).float(),
            target[:, 1:].flatten(),
            ignore_index=self.padding_id,
            reduction="sum",
        )
        return loss / tokens


@dataclass(frozen=True)
class AnswerTokenLoss:
    """Cross-entropy of each answer token; the tokens of the question do not count.

    Source: Quirke, Neo, Barez 2024, and the published code.  Losses are computed in
    float64: final losses of 1e-9 are below the resolution of float32 log-probabilities.
    """

    length: int  # number of answer tokens, the last ones of a sequence

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the loss: one value for each answer token."""
        return (self.length,)

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of each answer token [length], averaged over the batch."""
        (ids,) = batch
        answer = ids[:, -self.length :]
        before = ids.shape[1] - self.length - 1  # predicts the first answer token
        logits = network(ids[:, :-1], output_from=before)  # [B, length, V]
        losses = functional.cross_entropy(
            logits.double().flatten(0, 1), answer.flatten(), reduction="none"
        )
        return losses.view_as(answer).sum(0) / len(ids)
