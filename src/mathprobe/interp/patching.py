"""Activation patching: runs of a decoder with some activations replaced.

Q: questions, T: tokens, A: answer tokens, V: patched runs, w: width of an activation.

A patch changes only its own position in its layer, and only this and later positions in
higher layers.  Everything else is taken from the unpatched run and not computed again.
Keys, values and inputs of a layer also affect later positions of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Self

import torch
from torch import Tensor

from mathprobe.decoding import greedy_answers, write_next_token
from mathprobe.errors import InputError
from mathprobe.interp.nodes import RESIDUAL, Node, all_nodes
from mathprobe.interp.patches import IsSettled, Metric, Patches, apply_patches
from mathprobe.nets.decoder import Decoder
from mathprobe.nets.hooks import capture
from mathprobe.nets.layers import KeyValues

# Rows of a batch (questions times patched runs): on CUDA, as many as fit into a share
# of the memory.  The share is of the total and not of the free memory, so that equal
# devices have equal batches, and therefore equal rounding errors.
CPU_ROWS = 1024
CUDA_MEMORY_SHARE = 0.25
# Hook points of a layer whose activations affect its later positions.
SPREADING = ("hook_resid_pre", "attn.hook_k", "attn.hook_v")


@dataclass(frozen=True, eq=False)
class Run:
    """A decoder, and token ids [Q, T] of questions followed by the model's answers.

    The answers must be those of the unpatched model; `greedy` computes them.
    """

    model: Decoder
    ids: Tensor
    answer_length: int

    @classmethod
    def greedy(cls, model: Decoder, ids: Tensor, answer_length: int) -> Self:
        """Return a run in which greedy answers of the model replace those in `ids`."""
        own = greedy_answers(model, ids, answer_length)
        return cls(model, torch.cat([ids[:, :-answer_length], own], 1), answer_length)

    @property
    def layers(self) -> int:
        """Return the number of layers."""
        return len(self.model.blocks)

    @property
    def heads(self) -> int:
        """Return the number of heads of a layer."""
        return self.model.blocks[0].attn.heads

    @property
    def has_mlps(self) -> bool:
        """Return whether layers have an MLP."""
        return self.model.blocks[0].has_mlp

    @property
    def positions(self) -> range:
        """Return the positions of input tokens; the last token is only predicted."""
        return range(self.ids.shape[1] - 1)

    @property
    def nodes(self) -> list[Node]:
        """Return all heads and MLPs at all positions, sorted."""
        return all_nodes(self.positions, self.layers, self.heads, self.has_mlps)

    @property
    def residual_nodes(self) -> list[Node]:
        """Return the residual stream after every layer at all positions, sorted."""
        layers = range(self.layers)
        return [Node(p, layer, RESIDUAL) for p in self.positions for layer in layers]

    @property
    def unpatched_answers(self) -> Tensor:
        """Return the answers [Q, A] of the unpatched model."""
        return self.ids[:, -self.answer_length :]

    @torch.inference_mode()
    def activations(self, *hook_names: str) -> dict[str, Tensor]:
        """Return the unpatched activations [Q, T - 1, ...] by hook point."""
        with capture(self.model, *hook_names) as found:
            self.model(self.ids[:, :-1])
        return found

    @cached_property
    @torch.inference_mode()
    def _reused(self) -> dict[str, Tensor]:
        """Return the unpatched inputs, keys and values of all layers."""
        names = [f"blocks.{n}.{h}" for n in range(self.layers) for h in SPREADING]
        with capture(self.model, *names) as found:
            # The highest layer need not compute its output at all positions.
            self.model(self.ids[:, :-1], output_from=self.positions[-1])
        return found

    def layer_input(self, layer: int) -> Tensor:
        """Return the unpatched input [Q, T - 1, D] of a layer."""
        return self._reused[f"blocks.{layer}.hook_resid_pre"]

    def keys_values(self, layer: int) -> KeyValues:
        """Return the unpatched keys and values of a layer."""
        names = (f"blocks.{layer}.attn.hook_{letter}" for letter in "kv")
        return KeyValues(*(self._reused[name] for name in names))

    @property
    def batch_rows(self) -> int:
        """Return the number of rows (questions times patched runs) of a batch."""
        if not self.ids.is_cuda:
            return CPU_ROWS
        attention = self.model.blocks[0].attn
        heads, width = attention.out.in_features, attention.out.out_features
        hidden = 0
        if self.has_mlps:
            hidden = len(self.model.output_weights("blocks.0.mlp.hook_post"))
        kv_cache = 2 * self.layers * heads
        activations = 3 * heads + 3 * hidden + 4 * width  # of a layer
        row = len(self.positions) * (kv_cache + activations)
        size = row * attention.out.weight.element_size()
        total = torch.cuda.get_device_properties(self.ids.device).total_memory
        return int(CUDA_MEMORY_SHARE * total) // size

    def select(self, chosen: Tensor | slice) -> Run:
        """Return the run on some questions, chosen by a mask, indices or a slice."""
        return Run(self.model, self.ids[chosen], self.answer_length)

    def answers(
        self,
        patched_runs: Sequence[Patches],
        teacher_forced: bool = True,
        is_settled: IsSettled | None = None,
    ) -> Tensor:
        """Return the answers [V, Q, A]; see `PatchableRun.answers`.

        Answers that are settled after the first changed token are not decoded further.
        """
        found = self.unpatched_answers.repeat(len(patched_runs), 1, 1)
        for chosen, batch in self._batches(patched_runs):
            found[chosen] = batch.answers(teacher_forced, is_settled)
        return found

    @torch.inference_mode()
    def measure(self, patched_runs: Sequence[Patches], metric: Metric) -> Tensor:
        """Return a metric [V, Q, A]; see `PatchableRun.measure`."""
        hook = f"blocks.{self.layers - 1}.hook_resid_post"
        last = self.activations(hook)[hook][:, -self.answer_length :]
        question = torch.arange(len(self.ids), device=self.ids.device)
        found = metric(self.model.logits(last), question)
        found = found.repeat(len(patched_runs), 1, 1)
        for chosen, batch in self._batches(patched_runs):
            first, logits = batch.predict()
            values = metric(logits, batch.question, first)
            end = first + values.shape[1]
            found[chosen, :, first:end] = values.unflatten(0, (len(chosen), -1))
        return found

    def _batches(
        self, patched_runs: Sequence[Patches]
    ) -> Iterator[tuple[list[int], _Batch]]:
        """Yield batches of patched runs, with their numbers, in the order of `start`.

        Raises InputError for a patch outside the layers of the model.
        """
        for one in (one for patches in patched_runs for one in patches):
            if not one.hook_name.startswith(f"blocks.{one.layer}."):
                raise InputError(
                    f"cannot patch {one.hook_name!r}: it is outside layer {one.layer}; "
                    "patch the input of the model at blocks.0.hook_resid_pre"
                )
        starts = [self.start(patches) for patches in patched_runs]
        order = sorted(range(len(patched_runs)), key=starts.__getitem__)
        size = max(1, self.batch_rows // len(self.ids))  # patched runs in a batch
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            yield chosen, _Batch.of(self, [patched_runs[number] for number in chosen])

    def start(self, patches: Patches) -> tuple[int, int]:
        """Return the lowest layer and the first position that are patched."""
        layer = min((one.layer for one in patches), default=self.layers - 1)
        position = min((one.position for one in patches), default=self.positions[-1])
        return layer, position


@dataclass(frozen=True, eq=False)
class _Batch:
    """Patched runs that are computed together.  R: rows, each a question of a run."""

    unpatched: Run
    patched_runs: Sequence[Patches]
    rows: Sequence[slice]  # of each patched run
    question: Tensor  # of each row, an index into those of `unpatched` [R]
    ids: Tensor  # [R, T]; answers are overwritten
    kv_cache: Sequence[KeyValues]  # [R, T - 1, ...], by layer; overwritten

    @classmethod
    def of(cls, unpatched: Run, patched_runs: Sequence[Patches]) -> Self:
        """Return the batch of all questions, with unpatched keys and values."""
        count, questions = len(patched_runs), len(unpatched.ids)
        return cls(
            unpatched,
            patched_runs,
            [slice(i * questions, (i + 1) * questions) for i in range(count)],
            torch.arange(questions, device=unpatched.ids.device).repeat(count),
            unpatched.ids.repeat(count, 1),
            [
                KeyValues(*(x.repeat(count, 1, 1, 1) for x in unpatched.keys_values(i)))
                for i in range(unpatched.layers)
            ],
        )

    @torch.inference_mode()
    def answers(self, teacher_forced: bool, is_settled: IsSettled | None) -> Tensor:
        """Compute the answers [V, Q, A]; see `Run.answers`."""
        first, logits = self.predict()
        answers = self.ids[:, -self.unpatched.answer_length :]
        answers[:, first : first + logits.shape[1]] = logits.argmax(-1)
        answers = answers.unflatten(0, (len(self.patched_runs), -1))
        if not teacher_forced:
            changed = answers != self.unpatched.unpatched_answers
            # The last token is not an input, so its change has no effect.
            decoded = changed[..., :-1]
            if is_settled:
                final = changed.cumsum(-1) <= changed  # until the first changed token
                decoded = decoded & ~is_settled(answers, final)[..., None]
            self._decode_changed(decoded.cpu())
        return answers

    @torch.inference_mode()
    def predict(self) -> tuple[int, Tensor]:
        """Predict answer tokens from the unpatched tokens before them.

        Returns the first answer token that patches can change, from 0, and the logits
        [R, tokens, Y] from this token on; patches cannot change the tokens after them.
        In the lowest patched layer, only the positions that patches can change are
        computed.
        """
        model, run = self.unpatched.model, self.unpatched
        patches = [one for patches in self.patched_runs for one in patches]
        lowest, start = run.start(patches)
        end = 1 + max((one.position for one in patches), default=run.positions[-1])
        if any(
            one.layer == lowest and one.hook_name.endswith(SPREADING) for one in patches
        ):
            end = run.positions.stop
        equals = run.positions.stop - run.answer_length  # predicts the first token
        x = run.layer_input(lowest)[:, start:end][self.question]
        for layer in range(lowest, run.layers):
            if layer == lowest + 1:
                later = run.layer_input(layer)[:, end:][self.question]
                x = torch.cat([x, later], 1)
            output_from = equals if layer == run.layers - 1 else 0
            with self._patched(range(start, start + x.shape[1])):
                x = model.layer(layer, x, self.kv_cache[layer], start, output_from)
        return max(start - equals, 0), model.logits(x)

    def _decode_changed(self, changed: Tensor) -> None:
        """Decode the rows whose answers have changed, from the first changed token on.

        `changed` [V, Q, A - 1] is a mask on the CPU.
        """
        rows, tokens = changed.any(-1), changed.flatten(0, 1).any(0)
        if rows.any():
            index = rows.flatten().nonzero()[:, 0].to(self.ids.device)
            batch = self._select(index, rows.sum(1).tolist())
            answer_start = self.ids.shape[1] - self.unpatched.answer_length
            batch._decode(answer_start + int(tokens.int().argmax()))
            self.ids[index] = batch.ids

    def _select(self, index: Tensor, counts: Sequence[int]) -> Self:
        """Return the batch of some rows; `counts` are their numbers, by patched run."""
        ends = accumulate(counts, initial=0)
        return replace(
            self,
            rows=[slice(start, end) for start, end in pairwise(ends)],
            question=self.question[index],
            ids=self.ids[index],
            kv_cache=[KeyValues(*(x[index] for x in one)) for one in self.kv_cache],
        )

    def _decode(self, start: int) -> None:
        """Decode greedily, token by token, from the token at position `start` on."""
        for position in range(start, self.unpatched.positions.stop):
            with self._patched(range(position, position + 1)):
                write_next_token(
                    self.unpatched.model, self.ids, self.kv_cache, position
                )

    def _patched(self, positions: range) -> AbstractContextManager[None]:
        """Apply the patches at some positions, the last positions of activations."""
        return apply_patches(
            self.unpatched.model,
            self.patched_runs,
            self.rows,
            self.question,
            positions,
        )
