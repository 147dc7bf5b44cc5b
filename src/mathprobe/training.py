"""One training loop for every model; it knows no task.

Source: Charton 2022, appendix: linear warm-up, cosine schedule.  A training is a
function of its settings and its blocks of data: the place in the data is the number of
updates made, so a training that resumes ends in the same bits as one that was never
stopped.  The seeds of a model are trained side by side; none knows of the others, so
each ends in the bits that it would have reached alone.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Generic

from torch import Tensor

from mathprobe import checkpoint
from mathprobe.errors import InputError
from mathprobe.spec import ArithModel, Model
from mathprobe.train_state import Network, TrainState

WATCH_SECONDS = 1.0
CURVE_COLUMNS = ("seed", "examples", "test", "accuracy", "malformed", "loss")


class Interrupted(Exception):
    """The training was told to stop; its state is saved."""


@dataclass(frozen=True)
class Progress:
    """Where a training is, for those who watch: means over its seeds."""

    examples: int  # of each seed
    loss: float  # mean since the last point of the curve; NaN right after one
    accuracy: float  # mean over the tests of that point; NaN before the first


class Trainer(Generic[Network]):
    """The seeds of a model on their way; `run` takes them to the end."""

    def __init__(
        self,
        train_states: dict[int, TrainState[Network]],
        spec: Model | ArithModel,
        compute_metrics: Callable[[Network], list[dict[str, Any]]],
        read_energy: Callable[[], float | None] = lambda: None,
        loss_names: Sequence[str] = (),
    ) -> None:
        """Prepare; a loss that has parts has them in columns of the curve."""
        self.train_states, self.spec = train_states, spec
        self.schedule, self.compute_metrics = spec.schedule, compute_metrics
        self._loss_columns = [f"loss_{part}" for part in loss_names]
        self.columns = (*CURVE_COLUMNS, *self._loss_columns)
        self.updates = 0
        self.curve: list[dict[str, Any]] = []
        # Of each attempt: where it ran, and the examples it was given and saved.
        self.history: list[dict[str, Any]] = [{"begun_at": 0}]
        self._seconds_before, self._begun = 0.0, time.monotonic()
        self._read_energy, self._joules_at_start = read_energy, read_energy()

    def step(self) -> None:
        """Make one update of every seed."""
        for train_state in self.train_states.values():
            train_state.step(self.updates)
        self.updates += 1

    def evaluate(self) -> None:
        """Measure a point of the learning curves."""
        since = (self.updates - 1) % self.schedule.updates_per_point + 1
        for seed, train_state in self.train_states.items():
            losses = train_state.pop_loss() / since
            facts: dict[str, Any] = {"seed": seed, "examples": self.examples}
            facts["loss"] = float(losses.mean())
            if self._loss_columns:
                facts |= dict(zip(self._loss_columns, losses.tolist(), strict=True))
            self.curve += [
                {**facts, **row} for row in self.compute_metrics(train_state.network)
            ]

    def _note_attempt(self) -> None:
        """Write down how far this attempt is, and its energy where that is known."""
        self.history[-1]["saved_at"] = self.examples
        now, begun = self._read_energy(), self._joules_at_start
        known = None if now is None or begun is None else now - begun
        self.history[-1]["joules"] = known

    def make_checkpoint(self) -> checkpoint.Checkpoint:
        """Give everything that is needed to go on."""
        self._note_attempt()
        tensors: dict[str, Tensor] = {}
        for seed, train_state in self.train_states.items():
            train_state.synchronize()
            tensors |= {f"{seed}.{k}": v for k, v in train_state.state_dict().items()}
        facts = {
            "spec": self.spec.to_dict(),
            "curve": self.curve,
            "history": self.history,
            "seconds": self.seconds,
        }
        return checkpoint.Checkpoint(self.updates, tensors, facts)

    def resume(self, folder: Path) -> bool:
        """Go back to the last state in a folder; tell whether there was one.

        Raises InputError if that training had another specification.
        """
        state = checkpoint.load_checkpoint(folder)
        if state is None:
            return False
        changed = self.spec.differences(state.metadata["spec"])
        if changed:
            raise InputError(
                f"{folder} holds a training of another specification "
                f"({'; '.join(changed)}): restore these settings to go on with it, or "
                "remove the folder to begin anew"
            )
        self._restore(state)
        return True

    def _restore(self, state: checkpoint.Checkpoint) -> None:
        for seed, train_state in self.train_states.items():
            train_state.load_state_dict(
                checkpoint.strip_prefix(f"{seed}.", state.tensors)
            )
        self.updates, self.curve = state.updates, state.metadata["curve"]
        self.history[-1]["begun_at"] = self.examples
        self.history = [*state.metadata["history"], *self.history]
        self._seconds_before = state.metadata["seconds"]

    @property
    def seconds(self) -> float:
        """Give the time spent so far, over all attempts whose states were saved."""
        return self._seconds_before + time.monotonic() - self._begun

    @property
    def examples(self) -> int:
        """Give the number of examples that each seed has seen so far."""
        return self.updates * self.schedule.batch

    def summary(self) -> dict[str, Any]:
        """Say what was trained and what it cost; the rate is of all seeds together."""
        self._note_attempt()
        joules = [attempt["joules"] for attempt in self.history]
        network = next(iter(self.train_states.values())).network
        rate = len(self.train_states) * self.examples / self.seconds
        return {
            "spec": self.spec.to_dict(),
            "parameters": sum(p.numel() for p in network.parameters()),
            "examples": self.examples,
            "seconds": round(self.seconds, 1),
            "examples_per_second": round(rate, 1),
            "joules": None if None in joules else sum(joules),
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
        with catch_stop_signals() as stopped:
            while not self._is_done():
                self.step()
                if self._is_point():
                    self._check_finite(folder)
                    self.evaluate()
                done, now = self._is_done(), time.monotonic()
                stops = bool(stopped) and not done
                if stops or now - saved > save_every:
                    self._check_finite(folder)
                    checkpoint.save_checkpoint(folder, self.make_checkpoint())
                    saved = time.monotonic()
                if stops:
                    raise Interrupted(f"stopped by {stopped[0]}")
                if now - watched > WATCH_SECONDS:
                    watch(self._progress())
                    watched = now

    def _is_point(self) -> bool:
        last = self.updates == self.schedule.updates
        return last or self.updates % self.schedule.updates_per_point == 0

    def _is_done(self) -> bool:
        """Tell whether the last update is made, or all seeds are accurate enough."""
        last = self.updates >= self.schedule.updates
        return last or self.spec.should_stop(self._last_point())

    def _last_point(self) -> list[dict[str, Any]]:
        return [p for p in self.curve if p["examples"] == self.curve[-1]["examples"]]

    def _check_finite(self, folder: Path) -> None:
        if not all(
            train_state.is_finite() for train_state in self.train_states.values()
        ):
            raise InputError(
                f"the loss or a weight is not finite after {self.updates} updates; "
                f"{folder} keeps the last good state.  Lower learning_rate or "
                "clip_norm, remove the folder and train anew"
            )

    def _progress(self) -> Progress:
        since = self.updates % self.schedule.updates_per_point
        for train_state in self.train_states.values():
            train_state.synchronize()
        losses = [float(one.loss_sum.mean()) for one in self.train_states.values()]
        loss = fmean(losses) / since if since else math.nan
        accuracy = fmean([p["accuracy"] for p in self._last_point()] or [math.nan])
        return Progress(self.examples, loss, accuracy)


@contextmanager
def catch_stop_signals() -> Iterator[list[str]]:
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
