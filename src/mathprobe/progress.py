"""How a long training shows itself: a bar where a person watches, else plain lines."""

from __future__ import annotations

import sys
import time
from typing import Self

from tqdm import tqdm

from mathprobe.training import Progress

SECONDS_BETWEEN_LINES = 60.0


class Watcher:
    """Show the progress of one training on standard error."""

    def __init__(self, label: str, examples: int, done: int = 0) -> None:
        self.label, self.examples, self.first = label, examples, done
        self.begun = self.said = time.monotonic()
        bar = sys.stderr.isatty()
        self.bar = tqdm(
            total=examples,
            initial=done,
            desc=label,
            unit="ex",
            unit_scale=True,
            disable=not bar,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.bar.close()

    def __call__(self, progress: Progress) -> None:
        """Show where the training is; a log gets a line a minute."""
        if not self.bar.disable:
            self.bar.set_postfix(loss=progress.loss, accuracy=progress.accuracy)
            self.bar.update(progress.examples - self.bar.n)
        elif time.monotonic() - self.said >= SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            print(self.line(progress), file=sys.stderr, flush=True)

    def line(self, progress: Progress) -> str:
        """Say in one line where the training is."""
        speed = (progress.examples - self.first) / (time.monotonic() - self.begun)
        left = (self.examples - progress.examples) / speed
        return (
            f"{self.label}: {progress.examples:,} of {self.examples:,} examples, "
            f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}, "
            f"{speed:,.0f} examples/s, {tqdm.format_interval(left)} left"
        )
