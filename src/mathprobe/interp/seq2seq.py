"""Activation patching of an encoder-decoder: whole forward passes, without reuse.

Q: questions, S: source tokens, T: target tokens, A: answer tokens, A = T - 1,
V: patched runs, R: rows of a batch, each a question, Y: vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mathprobe.decoding import greedy_decode
from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import IsSettled, Metric, Patches, apply_patches
from mathprobe.nets.hooks import capture
from mathprobe.nets.seq2seq import Seq2Seq

BATCH_ROWS = 1024
ALL_ROWS = [slice(None)]  # of the only run of a batch


@dataclass(frozen=True, eq=False)
class Seq2SeqRun:
    """An encoder-decoder, its source ids [Q, S] and its answers.

    `ids` [Q, T] is the start token followed by the answer of the unpatched model, which
    `greedy` computes.  Positions of nodes are those of source tokens in the encoder,
    and those of the preceding target token in the decoder.
    """

    model: Seq2Seq
    source: Tensor
    ids: Tensor

    @classmethod
    def greedy(cls, model: Seq2Seq, source: Tensor, start: int, length: int) -> Self:
        """Return a run with greedy answers; `length` is T, `start` the first token."""
        return cls(model, source, greedy_decode(model, source, start, length))

    @property
    def positions(self) -> range:
        """Return the positions of target tokens; the last one is only predicted."""
        return range(self.ids.shape[1] - 1)

    @property
    def nodes(self) -> list[Node]:
        """Return all heads and MLPs at all positions, sorted."""
        heads, target_heads = (
            range(stack[0].attention.heads)
            for stack in (self.model.encoder, self.model.decoder)
        )
        encoder = [("encoder mlp", 0), *(("encoder head", i) for i in heads)]
        decoder = [("decoder mlp", 0)]
        for kind in ("decoder head", "cross head"):
            decoder += [(kind, head) for head in target_heads]
        return self._nodes(encoder, decoder)

    @property
    def residual_nodes(self) -> list[Node]:
        """Return the output of every layer at all positions, sorted."""
        return self._nodes([("encoder residual", 0)], [("decoder residual", 0)])

    def _nodes(
        self, encoder: list[tuple[str, int]], decoder: list[tuple[str, int]]
    ) -> list[Node]:
        """Return nodes of these kinds and indices, at all layers and positions."""
        stacks = (
            (range(self.source.shape[1]), len(self.model.encoder), encoder),
            (self.positions, len(self.model.decoder), decoder),
        )
        return sorted(
            Node(position, layer, kind, index)
            for positions, layers, parts in stacks
            for position in positions
            for layer in range(layers)
            for kind, index in parts
        )

    @property
    def unpatched_answers(self) -> Tensor:
        """Return the answers [Q, A] of the unpatched model."""
        return self.ids[:, 1:]

    def select(self, chosen: Tensor | slice) -> Seq2SeqRun:
        """Return the run on some questions, chosen by a mask, indices or a slice."""
        return Seq2SeqRun(self.model, self.source[chosen], self.ids[chosen])

    @torch.inference_mode()
    def activations(self, *hook_names: str) -> dict[str, Tensor]:
        """Return the unpatched activations [Q, S or A, ...] by hook point."""
        with capture(self.model, *hook_names) as found:
            self.model(self.source, self.ids[:, :-1])
        return found

    def answers(
        self,
        patched_runs: Sequence[Patches],
        teacher_forced: bool = True,
        is_settled: IsSettled | None = None,  # not used: all answers are decoded whole
    ) -> Tensor:
        """Return the answers [V, Q, A]; see `PatchableRun.answers`."""
        found = self.unpatched_answers.repeat(len(patched_runs), 1, 1)
        for patches, answers in zip(patched_runs, found, strict=True):
            for question in self._batches:
                answers[question] = self._decode(patches, question, teacher_forced)
        return found

    def measure(self, patched_runs: Sequence[Patches], metric: Metric) -> Tensor:
        """Return a metric [V, Q, A]; see `PatchableRun.measure`."""
        return torch.stack(
            [
                torch.cat([self._measure(patches, metric, q) for q in self._batches])
                for patches in patched_runs
            ]
        )

    @property
    def _batches(self) -> Sequence[Tensor]:
        """Return the indices of the questions, in batches."""
        return torch.arange(len(self.ids), device=self.ids.device).split(BATCH_ROWS)

    @torch.inference_mode()
    def _decode(
        self, patches: Patches, question: Tensor, teacher_forced: bool
    ) -> Tensor:
        """Return the patched answers [R, A] to questions [R].

        A pass predicts each token from those of the last pass.  Tokens that follow
        unchanged tokens are final, so that each pass adds at least one final token.
        """
        memory, ids = self._encode(patches, question), self.ids[question]
        rows = torch.arange(len(ids), device=ids.device)
        while len(rows):
            logits = self._logits(patches, question[rows], memory[rows], ids[rows])
            old, new = ids[rows, 1:], logits.argmax(-1)
            ids[rows, 1:] = new
            # The last token is not an input, so its change has no effect.
            changed = (old != new)[:, :-1].any(1)
            rows = rows[:0] if teacher_forced else rows[changed]
        return ids[:, 1:]

    @torch.inference_mode()
    def _measure(self, patches: Patches, metric: Metric, question: Tensor) -> Tensor:
        memory, ids = self._encode(patches, question), self.ids[question]
        return metric(self._logits(patches, question, memory, ids), question)

    def _encode(self, patches: Patches, question: Tensor) -> Tensor:
        """Return the patched memory [R, S, D] of questions [R]."""
        source = self.source[question]
        positions = range(self.source.shape[1])
        with apply_patches(self.model, [patches], ALL_ROWS, question, positions):
            return self.model.encode(source, self.model.source_mask(source))

    def _logits(
        self, patches: Patches, question: Tensor, memory: Tensor, ids: Tensor
    ) -> Tensor:
        """Return the patched logits [R, A, Y] for a memory and target ids [R, T]."""
        mask = self.model.source_mask(self.source[question])
        with apply_patches(self.model, [patches], ALL_ROWS, question, self.positions):
            return self.model.decode(ids[:, :-1], memory, mask)
