"""Activation patching: runs of a decoder with some activations replaced.

Q: questions, T: tokens, A: answer tokens, V: patched runs, w: width of an activation.

A patch changes only its own position in its layer, and only this and later positions in
higher layers.  Everything else is taken from the unpatched run and not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Self

import torch
from torch import Tensor

from mathprobe.decoding import greedy_answers, write_next_token
from mathprobe.interp.nodes import Node, all_nodes
from mathprobe.nets.decoder import Decoder
from mathprobe.nets.hooks import capture, patch
from mathprobe.nets.layers import KeyValues

# Rows of a batch (questions times patched runs): on CUDA, as many as fit into a share
# of the memory.  The share is of the total and not of the free memory, so that equal
# devices have equal batches, and therefore equal rounding errors.
CPU_ROWS = 1024
CUDA_MEMORY_SHARE = 0.25
RESIDUAL = "hook_resid_post"


@dataclass(frozen=True, eq=False)
class Patch:
    """A value that replaces the activation at a hook point and a position."""

    hook_name: str
    layer: int
    position: int
    index: tuple[int, ...]  # of the head; empty if there is no axis of heads
    value: Tensor  # [Q or 1, w]


Patches = Sequence[Patch]  # applied together in one run


def node_patch(node: Node, values: Mapping[str, Tensor]) -> Patch:
    """Return the patch of a node.

    `values` are activations [Q or 1, T, ..., w], by hook point.
    """
    value = values[node.hook_name][node.index_in_hook]
    return Patch(node.hook_name, node.layer, node.position, node.head_index, value)


def residual_patches(
    position: int, layers: int, values: Mapping[str, Tensor]
) -> list[Patch]:
    """Return patches of the residual stream at a position, after every layer."""
    hooks = [f"blocks.{layer}.{RESIDUAL}" for layer in range(layers)]
    return [
        Patch(hook, layer, position, (), values[hook][:, position])
        for layer, hook in enumerate(hooks)
    ]


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
    def positions(self) -> range:
        """Return the positions of input tokens; the last token is only predicted."""
        return range(self.ids.shape[1] - 1)

    @property
    def nodes(self) -> list[Node]:
        """Return all nodes of the model, sorted."""
        return all_nodes(self.positions, self.layers, self.heads)

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
    def _reused(self) -> dict[str, Tensor]:
        """Return the unpatched inputs, keys and values of all layers."""
        hooks = ("hook_resid_pre", "attn.hook_k", "attn.hook_v")
        layers = range(self.layers)
        return self.activations(*(f"blocks.{n}.{h}" for n in layers for h in hooks))

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
        attention, mlp = self.model.blocks[0].attn, self.model.blocks[0].mlp
        heads, width = attention.out.in_features, attention.out.out_features
        kv_cache = 2 * self.layers * heads
        activations = 3 * heads + 3 * mlp.enter.out_features + 4 * width  # of a layer
        row = len(self.positions) * (kv_cache + activations)
        size = row * attention.out.weight.element_size()
        total = torch.cuda.get_device_properties(self.ids.device).total_memory
        return int(CUDA_MEMORY_SHARE * total) // size

    def select(self, chosen: Tensor) -> Run:
        """Return the run on some of the questions, chosen by a mask or by indices."""
        return Run(self.model, self.ids[chosen], self.answer_length)

    def answers(
        self, patched_runs: Sequence[Patches], teacher_forced: bool = True
    ) -> Tensor:
        """Return the answers [V, Q, A] of patched runs.

        With teacher forcing, each token is predicted from the preceding tokens of the
        unpatched answer.  Otherwise the patched model decodes its own answer greedily.
        """
        starts = [self.start(patches) for patches in patched_runs]
        order = sorted(range(len(patched_runs)), key=starts.__getitem__)
        size = max(1, self.batch_rows // len(self.ids))  # patched runs in a batch
        found = self.unpatched_answers.repeat(len(patched_runs), 1, 1)
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            batch = _Batch.of(self, [patched_runs[number] for number in chosen])
            for number, answer in zip(chosen, batch.run(teacher_forced), strict=True):
                found[number] = answer
        return found

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
    def run(self, teacher_forced: bool) -> Tensor:
        """Compute the answers [V, Q, A]; see `Run.answers`."""
        self._predict()
        answers = self.ids[:, -self.unpatched.answer_length :]
        answers = answers.unflatten(0, (len(self.patched_runs), -1))
        if not teacher_forced:
            # The last token is not an input, so its change has no effect.
            changed = answers != self.unpatched.unpatched_answers
            self._decode_changed(changed[..., :-1].cpu())
        return answers

    def _predict(self) -> None:
        """Predict each answer token from the unpatched tokens before it.

        In the lowest patched layer, only the patched positions are computed.
        """
        model, run = self.unpatched.model, self.unpatched
        patches = [one for patches in self.patched_runs for one in patches]
        lowest, start = run.start(patches)
        end = 1 + max((one.position for one in patches), default=run.positions[-1])
        equals = run.positions.stop - run.answer_length  # predicts the first token
        x = run.layer_input(lowest)[:, start:end][self.question]
        for layer in range(lowest, run.layers):
            if layer == lowest + 1:
                later = run.layer_input(layer)[:, end:][self.question]
                x = torch.cat([x, later], 1)
            output_from = equals if layer == run.layers - 1 else 0
            with self._patched(range(start, start + x.shape[1])):
                x = model.layer(layer, x, self.kv_cache[layer], start, output_from)
        predicted = model.logits(x).argmax(-1)
        first = 1 + max(start, equals)
        self.ids[:, first : first + predicted.shape[1]] = predicted

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

    @contextmanager
    def _patched(self, positions: range) -> Iterator[None]:
        """Apply the patches at some positions, the last positions of activations."""
        by_hook: dict[str, list[tuple[slice, Patch]]] = {}
        for rows, patches in zip(self.rows, self.patched_runs, strict=True):
            for one in patches:
                if one.position in positions:
                    by_hook.setdefault(one.hook_name, []).append((rows, one))
        with ExitStack() as stack:
            for hook, found in by_hook.items():
                write = partial(self._write, found, positions.stop)
                stack.enter_context(patch(self.unpatched.model, hook, write))
            yield

    def _write(
        self, patches: Sequence[tuple[slice, Patch]], end: int, activation: Tensor
    ) -> Tensor:
        """Write patches into an activation of the positions before `end`; return it.

        The highest layer omits positions that predict no answer token.
        """
        for rows, one in patches:
            place = one.position - end
            if -place <= activation.shape[1]:
                value = one.value
                if len(value) > 1:
                    value = value[self.question[rows]]
                index: tuple[slice | int, ...] = (rows, place, *one.index)
                activation[index] = value
        return activation
