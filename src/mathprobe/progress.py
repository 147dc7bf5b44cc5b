"""Display of the progress of a training: a progress bar on a terminal, lines in a log.

The progress is also written to a file in the folder of checkpoints, for
`mathprobe status` and other processes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from mathprobe import files, paths
from mathprobe.training import Progress, Trainer

SECONDS_BETWEEN_LINES = 60.0
SECONDS_BETWEEN_WRITES = 10.0
CURVE_FILE = "curve.csv"


class ProgressReporter:
    """Report the progress of a training on standard error and in its folder."""

    def __init__(
        self, label: str, trainer: Trainer[Any], folder: Path, origin: dict[str, Any]
    ) -> None:
        """Prepare the report; `origin` is the provenance of the training."""
        self.label, self.trainer, self.folder = label, trainer, folder
        self.origin = origin
        self.total = trainer.schedule.examples
        self.seeds = len(trainer.train_states)
        self.initial, self.written_rows = trainer.examples, 0
        self.started = self.printed = time.monotonic()
        self.written = -SECONDS_BETWEEN_WRITES
        self.bar = tqdm(
            total=self.total,
            initial=self.initial,
            desc=label,
            unit="ex",
            unit_scale=True,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.bar.close()
        # A training that was stopped (SystemExit) has not failed: it can resume.
        if isinstance(error, Exception):
            self.write(failed=str(error))

    def __call__(self, progress: Progress) -> None:
        """Update the progress bar, or print a line every minute; write the file."""
        now = time.monotonic()
        if not self.bar.disable:
            self.bar.set_postfix(progress.known)
            self.bar.update(progress.examples - self.bar.n)
        elif now - self.printed >= SECONDS_BETWEEN_LINES:
            self.printed = now
            print(self.format_line(progress), file=sys.stderr, flush=True)
        if now - self.written >= SECONDS_BETWEEN_WRITES:
            self.written = now
            self.write(**progress.known)

    @property
    def speed(self) -> float:
        """Return the examples of all seeds per second since this attempt started."""
        examples = self.trainer.examples - self.initial
        return self.seeds * examples / max(time.monotonic() - self.started, 1e-9)

    def seconds_left(self, examples: int) -> float:
        """Return the estimated time until the end, after some examples per seed."""
        return self.seeds * (self.total - examples) / max(self.speed, 1e-9)

    def format_line(self, progress: Progress) -> str:
        """Return a line for a log."""
        parts = (
            f"{self.label}: {progress.examples:,} of {self.total:,} examples",
            *(f"{name} {x:.3f}" for name, x in progress.known.items()),
            f"{self.speed:,.0f} examples/s",
            f"{tqdm.format_interval(self.seconds_left(progress.examples))} left",
        )
        return ", ".join(parts)

    def format_end(self) -> str:
        """Return the last line of the log of a finished training."""
        duration = tqdm.format_interval(self.trainer.seconds)
        return (
            f"{self.label}: finished after {self.trainer.examples:,} of {self.total:,} "
            f"examples and {duration}, accuracy {self.trainer.accuracy:.3f}"
        )

    def write(self, **values: Any) -> None:
        """Write the progress and further values.

        If the curve has new rows, write it, and the contents of run.json so far.
        """
        progress = {
            "examples": self.trainer.examples,
            "total": self.total,
            "examples_per_second": self.speed,
            "seconds_left": self.seconds_left(self.trainer.examples),
            **values,
        }
        files.write_json(self.folder / paths.PROGRESS, progress)
        if len(self.trainer.curve) != self.written_rows:
            self.written_rows = len(self.trainer.curve)
            files.write_csv(
                self.folder / CURVE_FILE, self.trainer.curve, self.trainer.columns
            )
            run = {**self.trainer.summary(), **self.origin, "finished": None}
            files.write_json(self.folder / paths.UNFINISHED, run)
