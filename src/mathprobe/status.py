"""Where every training of a scale is, read from files alone: it works anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathprobe import files, paths
from mathprobe.catalog import Catalog

PROGRESS_FILE = "state/progress.json"
STALLED_AFTER = 300.0  # seconds without a word
STATES = ("done", "running", "stalled", "failed", "waiting")


@dataclass(frozen=True)
class TrainingStatus:
    """One training: its state, how far it is, and how it goes."""

    model: str
    state: str
    examples: int
    total: int
    accuracy: float | None = None
    examples_per_second: float | None = None
    said: str = ""

    @property
    def share(self) -> float:
        """Give the share that is done."""
        return min(1.0, self.examples / self.total)

    @property
    def seconds_left(self) -> float | None:
        """Guess how long a running training still takes."""
        if self.state != "running" or not self.examples_per_second:
            return None
        return (self.total - self.examples) / self.examples_per_second


def models(catalog: Catalog, scale: str) -> Iterator[tuple[str, int]]:
    """Name the first study's models of a scale by their paths, with examples."""
    for key in catalog.all_models(scale):
        schedule = catalog.model(scale, **key).schedule
        yield paths.LINALG_NAME.format(**key), schedule.examples


def read_training(folder: Path, model: str, total: int, now: float) -> TrainingStatus:
    """Read where one training is."""
    if (folder / "run.json").exists():
        run = files.read_json(folder / "run.json")
        return TrainingStatus(
            model, "done", total, total, examples_per_second=run["examples_per_second"]
        )
    journal = folder / PROGRESS_FILE
    if not journal.exists():
        return TrainingStatus(model, "waiting", 0, total)
    note: dict[str, Any] = files.read_json(journal)
    quiet = now - journal.stat().st_mtime
    state = "stalled" if quiet > STALLED_AFTER else "running"
    return TrainingStatus(
        model,
        "failed" if "failed" in note else state,
        note["examples"],
        total,
        note.get("accuracy"),
        note["examples_per_second"],
        note.get("failed", ""),
    )


def read_all(catalog: Catalog, results: Path) -> list[TrainingStatus]:
    """Read where every training of a scale's results is; the folder names the scale."""
    now = time.time()
    arith = catalog.arith(results.name)
    found = [("linalg", *one) for one in models(catalog, results.name)]
    found += [("arith", n, arith.model(n).schedule.examples) for n in arith.rows]
    return [
        read_training(results / study / model, model, total, now)
        for study, model, total in found
    ]


def format_table(standings: list[TrainingStatus]) -> str:
    """Write standings as a table, with a line that counts them."""
    head = ("model", "state", "done", "accuracy", "examples/s", "left")
    lines = align_columns([head, *map(_row, standings)], texts=2)
    lines += [f"{one.model}: {one.said}" for one in standings if one.said]
    counts = {state: sum(s.state == state for s in standings) for state in STATES}
    lines.append(", ".join(f"{count} {s}" for s, count in counts.items() if count))
    return "\n".join(lines)


def align_columns(rows: Sequence[tuple[str, ...]], texts: int) -> list[str]:
    """Return the lines of a table: so many columns are text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = "<" * texts + ">" * (len(widths) - texts)
    line = "  ".join(map("{{:{}{}}}".format, sides, widths))
    return [line.format(*row) for row in rows]


def _row(one: TrainingStatus) -> tuple[str, ...]:
    left = one.seconds_left
    speed = one.examples_per_second
    return (
        one.model,
        one.state,
        f"{one.share:.0%}",
        "" if one.accuracy is None else f"{one.accuracy:.3f}",
        "" if not speed else f"{speed:,.0f}",
        "" if left is None else _duration(left),
    )


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
