"""What an update makes smaller.  B: batch, S, T: tokens, V: words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Batch = tuple[Tensor, ...]


class LossFunction(Protocol):
    """Losses of a batch; training minimises their mean."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the losses."""
        ...

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the mean losses of a batch, of the shape above."""
        ...


@dataclass(frozen=True)
class Seq2SeqLoss:
    """Cross-entropy of target words [B, T], given a source [B, S]: Charton 2022."""

    padding_id: int
    precision: str  # of the network's matrix products
    shape: ClassVar[tuple[int, ...]] = ()

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the mean over all words but padding."""
        source, target = batch
        words = (target[:, 1:] != self.padding_id).sum()
        dtype = PRECISIONS[self.precision]
        with torch.autocast(source.device.type, dtype, enabled=dtype != torch.float32):
            logits = network(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.flatten(0, 1).float(),
            target[:, 1:].flatten(),
            ignore_index=self.padding_id,
            reduction="sum",
        )
        return loss / words


@dataclass(frozen=True)
class AnswerTokenLoss:
    """Cross-entropy of each answer token; those of the question cost nothing.

    Source: Quirke, Neo, Barez 2024, and the published code: in float64, as losses end
    near 1e-9, where float32 has no logarithm of a probability left.
    """

    length: int  # of an answer, which stands at the end

    @property
    def shape(self) -> tuple[int, ...]:
        """Give a loss for every answer token."""
        return (self.length,)

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the mean over questions of each token's loss [length]."""
        (ids,) = batch
        answer = ids[:, -self.length :]
        logits = network(ids[:, :-1])[:, -self.length :]
        losses = functional.cross_entropy(
            logits.double().flatten(0, 1), answer.flatten(), reduction="none"
        )
        return losses.view_as(answer).sum(0) / len(ids)
