"""Activation patching: runs of a decoder with some activations replaced.

Q: questions, T: tokens, A: answer tokens, V: patched runs, w: width of an activation.

A patch at a position affects no earlier position and no lower layer.  Keys and values
before the first patched position, and the input of the lowest patched layer, are
therefore taken from the unpatched run and not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Self

import torch
from torch import Tensor

from mathprobe.decoding import greedy_answers
from mathprobe.interp.nodes import Node, all_nodes
from mathprobe.nets.decoder import Decoder
from mathprobe.nets.hooks import capture, patch
from mathprobe.nets.layers import KeyValues

BATCH_ROWS = 1024  # questions times patched runs in one forward pass
RESIDUAL = "hook_resid_post"
LAYER_INPUT = "blocks.{}.hook_resid_pre"
KEYS_VALUES = ("blocks.{}.attn.hook_k", "blocks.{}.attn.hook_v")


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
    def _cache(self) -> dict[str, Tensor]:
        inputs = (LAYER_INPUT.format(layer) for layer in range(self.layers))
        return self.activations(*inputs, *self._key_value_hooks)

    @property
    def _key_value_hooks(self) -> list[str]:
        layers = range(self.layers)
        return [hook.format(layer) for layer in layers for hook in KEYS_VALUES]

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
        starts = [self._start(patches) for patches in patched_runs]
        order = sorted(range(len(patched_runs)), key=starts.__getitem__)
        size = max(1, BATCH_ROWS // len(self.ids))  # runs in one forward pass
        found = self.unpatched_answers.repeat(len(patched_runs), 1, 1)
        for _, group in groupby(enumerate(order), lambda pair: pair[0] // size):
            chosen = [number for _, number in group]
            batch = [patched_runs[number] for number in chosen]
            found[chosen] = self._patched_answers(batch, teacher_forced)
        return found

    def _start(self, patches: Patches) -> tuple[int, int]:
        """Return the lowest layer and the first position that are patched."""
        layer = min((one.layer for one in patches), default=self.layers - 1)
        position = min((one.position for one in patches), default=self.positions[-1])
        return layer, position

    @torch.inference_mode()
    def _patched_answers(
        self, patched_runs: Sequence[Patches], teacher_forced: bool
    ) -> Tensor:
        """Return the answers [V, Q, A] of patched runs, batched in one forward pass.

        Without teacher forcing, the pass is repeated with the predicted answers as
        input until they no longer change.  A repetition computes only the rows whose
        answers have changed, starting at the first changed token.
        """
        count, length = len(patched_runs), self.answer_length
        layer, start = self._start([one for patches in patched_runs for one in patches])
        ids = self.ids.repeat(count, 1)
        rows = torch.arange(len(ids), device=ids.device)
        # Keys and values of all positions, from the latest pass that computed them.
        known = {
            hook: _repeat(self._cache[hook], count) for hook in self._key_value_hooks
        }
        while True:
            before = self._keys_values_before(known, start, layer)
            with self._apply(patched_runs, start, rows) as new:
                if layer:
                    inputs = self._cache[LAYER_INPUT.format(layer)][:, start:]
                    logits = self.model.forward_from(
                        _repeat(inputs, count), before, layer
                    )
                else:
                    logits = self.model(ids[rows, start:-1], before)
            predicted = logits.argmax(-1)[:, -length:]
            answer = ids[rows, -length:]
            answer[:, -predicted.shape[1] :] = predicted
            # The last token is not an input, so its change has no effect.
            changed = (answer != ids[rows, -length:])[:, :-1]
            ids[rows, -length:] = answer
            if teacher_forced or not changed.any():
                return ids[:, -length:].unflatten(0, (count, -1))
            remaining = changed.any(1)
            rows = rows[remaining]
            known = {
                hook: torch.cat([old[:, :start], new.get(hook, old[:, start:])], 1)[
                    remaining
                ]
                for hook, old in known.items()
            }
            start = ids.shape[1] - length + int(changed.any(0).int().argmax())
            layer = 0  # input tokens have changed

    def _keys_values_before(
        self, known: Mapping[str, Tensor], start: int, layer: int
    ) -> list[KeyValues]:
        """Return keys and values before position `start`, from `layer` upwards."""
        return [
            KeyValues(*(known[hook.format(one)][:, :start] for hook in KEYS_VALUES))
            for one in range(layer, self.layers)
        ]

    @contextmanager
    def _apply(
        self, patched_runs: Sequence[Patches], start: int, rows: Tensor
    ) -> Iterator[dict[str, Tensor]]:
        """Apply the patches at positions from `start` on; capture keys and values.

        `rows` are the indices of the rows of the batch among all V * Q rows.
        """
        with ExitStack() as stack:
            for hook, patches in _by_hook(patched_runs).items():
                function = partial(_write, patches, start, rows, len(self.ids))
                stack.enter_context(patch(self.model, hook, function))
            yield stack.enter_context(capture(self.model, *self._key_value_hooks))


def _repeat(x: Tensor, count: int) -> Tensor:
    """Repeat x [Q, ...] as [count * Q, ...], without a copy if count is 1."""
    return x.expand(count, *x.shape).flatten(0, 1)


def _by_hook(
    patched_runs: Sequence[Patches],
) -> dict[str, list[tuple[int, Patch]]]:
    """Group patches, each with the number of its run, by hook point."""
    found: dict[str, list[tuple[int, Patch]]] = {}
    for number, patches in enumerate(patched_runs):
        for one in patches:
            found.setdefault(one.hook_name, []).append((number, one))
    return found


def _write(
    patches: Sequence[tuple[int, Patch]],
    start: int,
    rows: Tensor,
    questions: int,
    activation: Tensor,
) -> Tensor:
    """Write patches into an activation [rows, T - start, ..., w], and return it."""
    for number, one in patches:
        if one.position >= start:
            own = rows // questions == number
            value = one.value
            if len(value) > 1:
                value = value[rows[own] % questions]
            index: tuple[Tensor | int, ...] = (own, one.position - start, *one.index)
            activation[index] = value
    return activation
