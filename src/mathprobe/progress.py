"""How a long training shows itself: a bar where a person watches, else plain lines.

A journal beside its states tells other processes, which read files only.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from mathprobe import files
from mathprobe.training import Progress, Trainer

SECONDS_BETWEEN_LINES = 60.0
SECONDS_BETWEEN_NOTES = 10.0
PROGRESS_FILE, CURVE_FILE = "progress.json", "curve.csv"


class ProgressReporter:
    """Show the progress of one training, on standard error and in its folder."""

    def __init__(self, label: str, trainer: Trainer[Any], folder: Path) -> None:
        self.label, self.trainer, self.folder = label, trainer, folder
        self.total = trainer.schedule.examples
        self.first, self.points = trainer.examples, 0
        self.begun = self.said = time.monotonic()
        self.noted = -SECONDS_BETWEEN_NOTES
        self.bar = tqdm(
            total=self.total,
            initial=self.first,
            desc=label,
            unit="ex",
            unit_scale=True,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self.note()
        return self

    def __exit__(self, kind: object, failure: object, trace: object) -> None:
        self.bar.close()
        # A stopped training goes on; only one that failed has to be looked at.
        if isinstance(failure, Exception):
            self.note(failed=str(failure))

    def __call__(self, progress: Progress) -> None:
        """Show where the training is; a log gets a line a minute."""
        now = time.monotonic()
        if not self.bar.disable:
            self.bar.set_postfix(loss=progress.loss, accuracy=progress.accuracy)
            self.bar.update(progress.examples - self.bar.n)
        elif now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            print(self.line(progress), file=sys.stderr, flush=True)
        if now - self.noted >= SECONDS_BETWEEN_NOTES:
            self.noted = now
            self.note(loss=progress.loss, accuracy=progress.accuracy)

    @property
    def speed(self) -> float:
        """Give the examples per second of this attempt."""
        done = self.trainer.examples - self.first
        return done / max(time.monotonic() - self.begun, 1e-9)

    def line(self, progress: Progress) -> str:
        """Say in one line where the training is."""
        left = (self.total - progress.examples) / max(self.speed, 1e-9)
        return (
            f"{self.label}: {progress.examples:,} of {self.total:,} examples, "
            f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}, "
            f"{self.speed:,.0f} examples/s, {tqdm.format_interval(left)} left"
        )

    def note(self, **facts: Any) -> None:
        """Write down where the training is, and its curve when that has grown."""
        place = {"examples": self.trainer.examples, "total": self.total}
        facts = {**place, "examples_per_second": self.speed, **facts}
        files.write_json(self.folder / PROGRESS_FILE, facts)
        if len(self.trainer.curve) != self.points:
            self.points = len(self.trainer.curve)
            files.write_csv(
                self.folder / CURVE_FILE, self.trainer.curve, self.trainer.columns
            )
