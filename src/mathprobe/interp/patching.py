"""Runs of a decoder in which something is changed.

Q: questions, T: tokens, A: answer tokens, V: variants of a run, w: width at a tap.

A change at a position reaches no earlier one, and no layer below.  What precedes the
first change is therefore taken from the clean run, as keys and values, what enters the
first layer that is changed too, and neither is computed a second time.
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

BATCH_ROWS = 1024  # questions, times variants, that a network is given at once
RESIDUAL = "hook_resid_post"
ENTERS = "blocks.{}.hook_resid_pre"
KEYS_VALUES = ("blocks.{}.attn.hook_k", "blocks.{}.attn.hook_v")


@dataclass(frozen=True, eq=False)
class Patch:
    """Replace what passes at a tap and a position by a value."""

    hook_name: str
    layer: int
    position: int
    index: tuple[int, ...]  # of the head, where the tap has heads
    value: Tensor  # [Q or 1, w]


def node_patch(node: Node, values: Mapping[str, Tensor]) -> Patch:
    """Take from values [Q or 1, T, ..., w], by tap, what replaces a node's."""
    value = values[node.hook_name][node.index_in_hook]
    return Patch(node.hook_name, node.layer, node.position, node.head_index, value)


def residual_patches(
    position: int, layers: int, values: Mapping[str, Tensor]
) -> list[Patch]:
    """Replace what a position holds after every layer."""
    taps = [f"blocks.{layer}.{RESIDUAL}" for layer in range(layers)]
    return [
        Patch(tap, layer, position, (), values[tap][:, position])
        for layer, tap in enumerate(taps)
    ]


@dataclass(frozen=True, eq=False)
class Run:
    """A decoder, and questions with the answers it gives [Q, T]; changes start here."""

    model: Decoder
    ids: Tensor
    answer_length: int

    @classmethod
    def greedy(cls, model: Decoder, ids: Tensor, answer_length: int) -> Self:
        """Have a decoder answer questions [Q, T]; the answers they come with go."""
        own = greedy_answers(model, ids, answer_length)
        return cls(model, torch.cat([ids[:, :-answer_length], own], 1), answer_length)

    @property
    def layers(self) -> int:
        """Give the number of layers."""
        return len(self.model.blocks)

    @property
    def heads(self) -> int:
        """Give the number of heads of a layer."""
        return self.model.blocks[0].attn.heads

    @property
    def positions(self) -> range:
        """List the positions whose tokens are read; the last one is only written."""
        return range(self.ids.shape[1] - 1)

    @property
    def nodes(self) -> list[Node]:
        """List all nodes."""
        return all_nodes(self.positions, self.layers, self.heads)

    @property
    def unpatched_answers(self) -> Tensor:
        """Give the answers [Q, A] of the unchanged decoder."""
        return self.ids[:, -self.answer_length :]

    @torch.inference_mode()
    def activations(self, *taps: str) -> dict[str, Tensor]:
        """Collect what passes at taps of the clean run: [Q, T - 1, ...] by tap."""
        with capture(self.model, *taps) as found:
            self.model(self.ids[:, :-1])
        return found

    @cached_property
    def _clean(self) -> dict[str, Tensor]:
        return self.activations(
            *(ENTERS.format(n) for n in range(self.layers)), *self._kept
        )

    @property
    def _kept(self) -> list[str]:
        layers = range(self.layers)
        return [tap.format(layer) for layer in layers for tap in KEYS_VALUES]

    def select(self, chosen: Tensor) -> Run:
        """Keep some of the questions, chosen by a mask or index [Q]."""
        return Run(self.model, self.ids[chosen], self.answer_length)

    def answers(
        self, variants: Sequence[Sequence[Patch]], teacher_forced: bool = True
    ) -> Tensor:
        """Give the answers [V, Q, A] under every variant's edits.

        Forced, every token is predicted from the unchanged answer so far; else from
        what the changed decoder has written so far.
        """
        starts = [self._start(edits) for edits in variants]
        order = sorted(range(len(variants)), key=starts.__getitem__)
        together = max(1, BATCH_ROWS // len(self.ids))
        found = self.unpatched_answers.repeat(len(variants), 1, 1)
        for _, group in groupby(enumerate(order), lambda pair: pair[0] // together):
            chosen = [variant for _, variant in group]
            found[chosen] = self._changed([variants[v] for v in chosen], teacher_forced)
        return found

    def _start(self, edits: Sequence[Patch]) -> tuple[int, int]:
        """Give the lowest layer and the first position that are changed."""
        layer = min((edit.layer for edit in edits), default=self.layers - 1)
        position = min((edit.position for edit in edits), default=self.positions[-1])
        return layer, position

    @torch.inference_mode()
    def _changed(
        self, variants: Sequence[Sequence[Patch]], teacher_forced: bool
    ) -> Tensor:
        """Run some variants, in one pass, from the first place that is changed.

        Free answers are corrected until they are what is read from them: in each more
        pass only those that changed are read, from their first changed token on.
        """
        count, length = len(variants), self.answer_length
        layer, start = self._start([edit for edits in variants for edit in edits])
        ids = self.ids.repeat(count, 1)
        rows = torch.arange(len(ids), device=ids.device)
        # Of all tokens, as they were read last.
        known = {tap: _repeat(self._clean[tap], count) for tap in self._kept}
        while True:
            before = self._before(known, start, layer)
            with self._edited(variants, start, rows) as new:
                if layer:
                    enters = self._clean[ENTERS.format(layer)][:, start:]
                    scores = self.model.forward_from(
                        _repeat(enters, count), before, layer
                    )
                else:
                    scores = self.model(ids[rows, start:-1], before)
            read = scores.argmax(-1)[:, -length:]
            guess = ids[rows, -length:]
            guess[:, -read.shape[1] :] = read
            moved = (guess != ids[rows, -length:])[:, :-1]  # the last one is not read
            ids[rows, -length:] = guess
            if teacher_forced or not moved.any():
                return ids[:, -length:].unflatten(0, (count, -1))
            left = moved.any(1)
            rows = rows[left]
            known = {
                tap: torch.cat([old[:, :start], new.get(tap, old[:, start:])], 1)[left]
                for tap, old in known.items()
            }
            start = ids.shape[1] - length + int(moved.any(0).int().argmax())
            layer = 0  # other tokens enter

    def _before(
        self, known: Mapping[str, Tensor], start: int, layer: int
    ) -> list[KeyValues]:
        """Give keys and values of what is before a position, from a layer up."""
        return [
            KeyValues(*(known[tap.format(one)][:, :start] for tap in KEYS_VALUES))
            for one in range(layer, self.layers)
        ]

    @contextmanager
    def _edited(
        self, variants: Sequence[Sequence[Patch]], start: int, rows: Tensor
    ) -> Iterator[dict[str, Tensor]]:
        """Write the variants' edits from a position on; collect keys and values.

        Rows tell the variant, and the question of it, of each of the ids that are read.
        """
        with ExitStack() as opened:
            for tap, changes in _by_tap(variants).items():
                function = partial(_write, changes, start, rows, len(self.ids))
                opened.enter_context(patch(self.model, tap, function))
            yield opened.enter_context(capture(self.model, *self._kept))


def _repeat(x: Tensor, count: int) -> Tensor:
    """Repeat x [Q, ...] as [count * Q, ...]; a single one is not copied."""
    return x.expand(count, *x.shape).flatten(0, 1)


def _by_tap(
    variants: Sequence[Sequence[Patch]],
) -> dict[str, list[tuple[int, Patch]]]:
    """Group edits by tap; each keeps the number of its variant."""
    found: dict[str, list[tuple[int, Patch]]] = {}
    for number, edits in enumerate(variants):
        for edit in edits:
            found.setdefault(edit.hook_name, []).append((number, edit))
    return found


def _write(
    changes: Sequence[tuple[int, Patch]],
    start: int,
    rows: Tensor,
    questions: int,
    passing: Tensor,
) -> Tensor:
    """Write edits into what passes [rows, T - start, ..., w] from a position on."""
    for number, edit in changes:
        if edit.position >= start:
            own = rows // questions == number
            value = edit.value
            if len(value) > 1:
                value = value[rows[own] % questions]
            place: tuple[Tensor | int, ...] = (own, edit.position - start, *edit.index)
            passing[place] = value
    return passing
