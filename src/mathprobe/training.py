"""One training loop for every sequence-to-sequence model; it knows no task.

Source: Charton 2022, appendix: Adam, linear warm-up, cosine schedule, gradients
clipped in norm.  A training is a function of its settings and its blocks of data: the
place in the data is the number of updates made, so a training that resumes ends in the
same bits as one that was never stopped.  B: batch, S: source, T: target.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mathprobe import checkpoint
from mathprobe.errors import InputError
from mathprobe.spec import Model

WATCH_SECONDS = 1.0
CURVE_COLUMNS = ("examples", "test", "accuracy", "malformed", "loss")
BATCHES_PER_BLOCK = 64  # data is drawn in blocks; part of what fixes the result
Blocks = Callable[[int], tuple[Tensor, Tensor]]  # block number -> ids [N, S], [N, T]
Measure = Callable[[nn.Module], list[dict[str, Any]]]


class Interrupted(Exception):
    """The training was told to stop; its state is saved."""


@dataclass(frozen=True)
class Progress:
    """Where a training is, for those who watch."""

    examples: int
    loss: float  # mean since the last point of the curve; NaN right after one
    accuracy: float  # mean over the tests of that point; NaN before the first


class Trainer:
    """A model on its way; `run` takes it to the end."""

    def __init__(
        self,
        model: nn.Module,
        blocks: Blocks,
        spec: Model,
        measure: Measure,
        padding: int,
    ) -> None:
        self.model, self.blocks, self.spec = model, blocks, spec
        self.schedule = spec.schedule
        self.measure, self.padding = measure, padding
        self.optimiser = torch.optim.Adam(model.parameters(), lr=0.0, fused=True)
        self.updates = 0
        self.curve: list[dict[str, Any]] = []
        device = next(model.parameters()).device
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.history: list[dict[str, Any]] = [{}]  # where each attempt ran
        self._seconds_before, self._begun = 0.0, time.monotonic()
        self._block = -1, None

    def _batch(self) -> tuple[Tensor, Tensor]:
        number, place = divmod(self.updates, BATCHES_PER_BLOCK)
        if self._block[0] != number:
            self._block = number, self.blocks(number)
        first = place * self.schedule.batch
        source, target = self._block[1]
        rows = slice(first, first + self.schedule.batch)
        return source[rows], target[rows]

    def step(self) -> None:
        """Make one update."""
        self.model.train()
        source, target = self._batch()
        logits = self.model(source, target[:, :-1], self.model.source_mask(source))
        loss = functional.cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=self.padding
        )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip_norm)
        self.optimiser.param_groups[0]["lr"] = self.schedule.rate(self.updates)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.loss_sum += loss.detach()
        self.updates += 1

    def point(self) -> None:
        """Measure a point of the learning curve."""
        since = (self.updates - 1) % self.schedule.updates_per_point + 1
        facts = {"examples": self.examples, "loss": float(self.loss_sum) / since}
        self.curve += [{**facts, **row} for row in self.measure(self.model)]
        self.loss_sum.zero_()

    def state(self) -> checkpoint.State:
        """Give everything that is needed to go on."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        tensors["loss_sum"] = self.loss_sum
        facts = {
            "spec": self.spec.plain(),
            "curve": self.curve,
            "history": self.history,
            "seconds": self.seconds,
        }
        return checkpoint.State(self.updates, tensors, facts)

    def resume(self, folder: Path) -> bool:
        """Go back to the last state in a folder; tell whether there was one.

        Raises InputError if that training had another specification.
        """
        state = checkpoint.load_state(folder)
        if state is None:
            return False
        changed = self.spec.differences(state.facts["spec"])
        if changed:
            raise InputError(
                f"{folder} holds a training of another specification "
                f"({'; '.join(changed)}): restore these settings to go on with it, or "
                "remove the folder to begin anew"
            )
        self._restore(state)
        return True

    def _restore(self, state: checkpoint.State) -> None:
        self.model.load_state_dict(_under("model.", state.tensors))
        keys = ("step", "exp_avg", "exp_avg_sq")
        for name, parameter in self.model.named_parameters():
            self.optimiser.state[parameter] = {
                key: state.tensors[f"adam.{key}.{name}"].to(parameter.device)
                for key in keys
            }
        self.loss_sum.copy_(state.tensors["loss_sum"])
        self.updates, self.curve = state.updates, state.facts["curve"]
        self.history = [*state.facts["history"], *self.history]
        self._seconds_before = state.facts["seconds"]

    @property
    def seconds(self) -> float:
        """Give the time spent so far, over all attempts whose states were saved."""
        return self._seconds_before + time.monotonic() - self._begun

    @property
    def examples(self) -> int:
        """Give the number of examples seen so far."""
        return self.updates * self.schedule.batch

    def summary(self) -> dict[str, Any]:
        """Say what was trained and what it cost."""
        return {
            "spec": self.spec.plain(),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "examples": self.examples,
            "seconds": round(self.seconds, 1),
            "examples_per_second": round(self.examples / self.seconds, 1),
            "attempts": len(self.history),
            "history": self.history,
        }

    def run(
        self,
        folder: Path,
        save_every: float,
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Train to the end, saving a state every `save_every` seconds.

        Raises Interrupted, with the state saved, on SIGTERM, SIGINT or SIGUSR1.
        """
        self._begun = saved = watched = time.monotonic()
        with stop_signals() as stopped:
            while self.updates < self.schedule.updates:
                self.step()
                last = self.updates == self.schedule.updates
                if last or self.updates % self.schedule.updates_per_point == 0:
                    self._check_finite(folder)
                    self.point()
                now = time.monotonic()
                if stopped or now - saved > save_every:
                    self._check_finite(folder)
                    checkpoint.save_state(folder, self.state())
                    saved = time.monotonic()
                if stopped and not last:
                    raise Interrupted(f"stopped by {stopped[0]}")
                if now - watched > WATCH_SECONDS:
                    watch(self._progress())
                    watched = now

    def _check_finite(self, folder: Path) -> None:
        weights = all(bool(p.isfinite().all()) for p in self.model.parameters())
        if not (weights and math.isfinite(float(self.loss_sum))):
            raise InputError(
                f"the loss or a weight is not finite after {self.updates} updates; "
                f"{folder} keeps the last good state.  Lower learning_rate or "
                "clip_norm, remove the folder and train anew"
            )

    def _progress(self) -> Progress:
        since = self.updates % self.schedule.updates_per_point
        loss = float(self.loss_sum) / since if since else math.nan
        last = [p for p in self.curve if p["examples"] == self.curve[-1]["examples"]]
        accuracies = [point["accuracy"] for point in last] or [math.nan]
        accuracy = sum(accuracies) / len(accuracies)
        return Progress(self.examples, loss, accuracy)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    names = (name for name in tensors if name.startswith(prefix))
    return {name.removeprefix(prefix): tensors[name] for name in names}


@contextmanager
def stop_signals() -> Iterator[list[str]]:
    """Collect the names of stop signals instead of dying of them."""
    seen: list[str] = []
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

    def note(number: int, frame: object) -> None:
        seen.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in handled}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
