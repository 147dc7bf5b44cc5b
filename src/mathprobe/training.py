"""The training loop of all models.

Source: Charton 2022, appendix: linear warm-up, cosine schedule.  The result depends
only on the specification: the position in the data is the number of updates made, so a
resumed training ends bitwise identical to an uninterrupted one.  The seeds of a model
are trained together but independently: each has the same result as if trained alone.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Any, Generic

from torch import Tensor

from mathprobe import checkpoint
from mathprobe.errors import InputError
from mathprobe.spec import ArithModel, Model
from mathprobe.train_state import Network, TrainState

PROGRESS_SECONDS = 1.0
CURVE_COLUMNS = ("seed", "examples", "test", "accuracy", "malformed", "loss")


class Interrupted(Exception):
    """The training was stopped by a signal, after it saved a checkpoint."""


@dataclass(frozen=True)
class Progress:
    """Progress of a training, averaged over its seeds."""

    examples: int  # of each seed
    loss: float  # mean since the last evaluation; NaN directly after it
    accuracy: float  # mean over the tests of the last evaluation; NaN before the first

    @property
    def known(self) -> dict[str, float]:
        """Return the loss and the accuracy, without NaN."""
        values = {"loss": self.loss, "accuracy": self.accuracy}
        return {name: value for name, value in values.items() if not math.isnan(value)}


class Trainer(Generic[Network]):
    """Training of all seeds of a model; `run` trains to the end."""

    def __init__(
        self,
        train_states: dict[int, TrainState[Network]],
        spec: Model | ArithModel,
        compute_metrics: Callable[[Network], list[dict[str, Any]]],
        read_energy: Callable[[], float | None] = lambda: None,
        loss_names: Sequence[str] = (),
    ) -> None:
        """Prepare a training.

        `train_states` maps seeds to states.  `compute_metrics` returns the rows of an
        evaluation, one for each test.  `read_energy` returns joules.  `loss_names` are
        the names of the values of a vector loss; each value is a column of the curve.
        """
        self.train_states, self.spec = train_states, spec
        self.schedule, self.compute_metrics = spec.schedule, compute_metrics
        self._loss_columns = [f"loss_{name}" for name in loss_names]
        self.columns = (*CURVE_COLUMNS, *self._loss_columns)
        self.updates = 0
        self.curve: list[dict[str, Any]] = []
        # One entry for each attempt, that is, each process that worked on the training:
        # the examples seen at its start and at its last checkpoint, its energy, and
        # the seconds that it waited for data.
        self.history: list[dict[str, Any]] = [{"begun_at": 0}]
        self._earlier_seconds, self._started = 0.0, time.monotonic()
        self._read_energy, self._joules_at_start = read_energy, read_energy()

    def step(self) -> None:
        """Make one update of every seed."""
        for state in self.train_states.values():
            state.step(self.updates)
        self.updates += 1

    def evaluate(self) -> None:
        """Evaluate all seeds and append the rows to the learning curve."""
        updates = (self.updates - 1) % self.schedule.updates_per_point + 1
        for seed, state in self.train_states.items():
            losses = state.pop_loss() / updates
            shared: dict[str, Any] = {"seed": seed, "examples": self.examples}
            shared["loss"] = float(losses.mean())
            if self._loss_columns:
                shared |= dict(zip(self._loss_columns, losses.tolist(), strict=True))
            self.curve += [
                {**shared, **row} for row in self.compute_metrics(state.network)
            ]

    def _record_attempt(self) -> None:
        """Record the examples, the joules (None if unknown) and the waiting time."""
        self.history[-1]["saved_at"] = self.examples
        now, start = self._read_energy(), self._joules_at_start
        joules = None if now is None or start is None else now - start
        self.history[-1]["joules"] = joules
        waited = sum(s.loader.seconds_waited for s in self.train_states.values())
        self.history[-1]["seconds_waited"] = round(waited, 3)

    @cached_property
    def data_digests(self) -> dict[str, list[str]]:
        """Return the digests of the first block of training data, by seed."""
        return {
            str(k): state.loader.digests() for k, state in self.train_states.items()
        }

    def make_checkpoint(self) -> checkpoint.Checkpoint:
        """Return a checkpoint from which the training can resume."""
        self._record_attempt()
        tensors: dict[str, Tensor] = {}
        for seed, state in self.train_states.items():
            state.synchronize()
            tensors |= {f"{seed}.{k}": v for k, v in state.state_dict().items()}
        metadata = {
            "spec": self.spec.to_dict(),
            "curve": self.curve,
            "history": self.history,
            "seconds": self.seconds,
            "data_digests": self.data_digests,
        }
        return checkpoint.Checkpoint(self.updates, tensors, metadata)

    def resume(self, folder: Path) -> bool:
        """Load the last checkpoint of a folder; return whether there was one.

        Raises InputError if the checkpoint has another specification, or if its
        training data differ from those that this machine draws.
        """
        found = checkpoint.load_checkpoint(folder)
        if found is None:
            return False
        changed = self.spec.differences(found.metadata["spec"])
        if changed:
            raise InputError(
                f"{folder} has checkpoints of another specification "
                f"({'; '.join(changed)}): restore these settings to resume, or remove "
                "its .safetensors files to start again"
            )
        if found.metadata.get("data_digests") != self.data_digests:
            raise InputError(
                f"{folder} has checkpoints of a training on other data: this "
                "version of mathprobe, torch or LAPACK draws other examples; resume "
                "with the earlier versions, or remove the folder to start again"
            )
        for seed, state in self.train_states.items():
            state.load_state_dict(checkpoint.strip_prefix(f"{seed}.", found.tensors))
        self.updates, self.curve = found.updates, found.metadata["curve"]
        self.history[-1]["begun_at"] = self.examples
        self.history = [*found.metadata["history"], *self.history]
        self._earlier_seconds = found.metadata["seconds"]
        return True

    @property
    def seconds(self) -> float:
        """Return the time spent, including earlier attempts up to their checkpoint."""
        return self._earlier_seconds + time.monotonic() - self._started

    @property
    def examples(self) -> int:
        """Return the number of examples that each seed has seen so far."""
        return self.updates * self.schedule.batch

    def summary(self) -> dict[str, Any]:
        """Return the specification and the cost of the training, for run.json.

        `parameters` and `examples` count one seed; `examples_per_second` is the rate of
        all seeds together.  `seconds_waited` is the part of `seconds` in which the
        training waited for data.
        """
        self._record_attempt()
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
            "seconds_waited": sum(
                attempt["seconds_waited"] for attempt in self.history
            ),
            "data_digests": self.data_digests,
        }

    def run(
        self,
        folder: Path,
        save_every: float,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Train to the end and save a checkpoint every `save_every` seconds.

        Raises Interrupted on SIGTERM, SIGINT or SIGUSR1, after saving a checkpoint, and
        InputError if the loss or a weight is not finite.
        """
        self._started = saved = reported = time.monotonic()
        with catch_stop_signals() as signals:
            while not self._is_done():
                self.step()
                if self._is_evaluation_due():
                    self._check_finite(folder)
                    self.evaluate()
                done, now = self._is_done(), time.monotonic()
                stops = bool(signals) and not done
                if stops or now - saved > save_every:
                    self._check_finite(folder)
                    checkpoint.save_checkpoint(folder, self.make_checkpoint())
                    saved = time.monotonic()
                if stops:
                    raise Interrupted(f"stopped by {signals[0]}")
                if now - reported > PROGRESS_SECONDS:
                    on_progress(self._progress())
                    reported = now

    def _is_evaluation_due(self) -> bool:
        last = self.updates == self.schedule.updates
        return last or self.updates % self.schedule.updates_per_point == 0

    def _is_done(self) -> bool:
        """Return whether all updates are made, or all seeds are accurate enough."""
        last = self.updates >= self.schedule.updates
        return last or self.spec.should_stop(self._last_evaluation())

    def _last_evaluation(self) -> list[dict[str, Any]]:
        last = self.curve[-1]["examples"] if self.curve else None
        return list(takewhile(lambda row: row["examples"] == last, self.curve[::-1]))

    def _check_finite(self, folder: Path) -> None:
        if not all(state.is_finite() for state in self.train_states.values()):
            raise InputError(
                f"the loss or a weight is not finite after {self.updates} updates "
                f"(the last finite checkpoint is in {folder}): reduce learning_rate or "
                "clip_norm, remove its .safetensors files and train again"
            )

    def _progress(self) -> Progress:
        updates = self.updates % self.schedule.updates_per_point
        for state in self.train_states.values():
            state.synchronize()
        losses = [float(state.loss_sum.mean()) for state in self.train_states.values()]
        loss = fmean(losses) / updates if updates else math.nan
        return Progress(self.examples, loss, self.accuracy)

    @property
    def accuracy(self) -> float:
        """Return the mean accuracy of the last evaluation; NaN before the first."""
        accuracies = [row["accuracy"] for row in self._last_evaluation()]
        return fmean(accuracies or [math.nan])


@contextmanager
def catch_stop_signals() -> Iterator[list[str]]:
    """Collect the names of received stop signals; restore the handlers at the end."""
    received: list[str] = []

    def handle(number: int, frame: object) -> None:
        received.append(signal.Signals(number).name)

    stop_signals = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    previous = {number: signal.signal(number, handle) for number in stop_signals}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
