"""Status of all trainings of a scale: of its tables, and those made on demand.

It is read from files, so it is also available on a login node of a cluster.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mathprobe import files, paths
from mathprobe.catalog import Catalog

PROGRESS_FILE = f"state/{paths.PROGRESS}"
# Patterns of the folders of models, by study.
FOLDERS = {"linalg": re.sub(r"{\w+}", "*", paths.LINALG_NAME), "arith": "*"}
STALLED_AFTER = 300.0  # seconds without an update of the progress file
STATES = ("running", "stalled", "failed", "waiting", "done")


@dataclass(frozen=True)
class TrainingStatus:
    """State and progress of one training; `state` is one of `STATES`."""

    model: str
    state: str
    examples: int  # trained so far
    total: int  # number of training examples
    accuracy: float | None = None
    examples_per_second: float | None = None  # of all seeds together
    seconds_left: float | None = None  # of a running training
    error: str = ""

    @property
    def fraction_done(self) -> float:
        """Return the finished fraction of the training, between 0 and 1."""
        return min(1.0, self.examples / self.total)


def read_training(folder: Path, model: str, total: int, now: float) -> TrainingStatus:
    """Return the status of the training whose outputs are in a folder.

    `total` is its number of examples; `now` is the time in seconds since 1970.
    """
    if (folder / paths.RUN).exists():
        run = files.read_json(folder / paths.RUN)
        rate, accuracy = run["examples_per_second"], last_accuracy(folder / "curve.csv")
        return TrainingStatus(model, "done", total, total, accuracy, rate)
    path = folder / PROGRESS_FILE
    try:
        progress: dict[str, Any] = files.read_json(path)
        is_stalled = now - path.stat().st_mtime > STALLED_AFTER
    except FileNotFoundError:  # a training that ends removes its progress
        return TrainingStatus(model, "waiting", 0, total)
    state = "stalled" if is_stalled else "running"
    return TrainingStatus(
        model,
        "failed" if "failed" in progress else state,
        progress["examples"],
        total,
        progress.get("accuracy"),
        progress["examples_per_second"],
        progress.get("seconds_left") if state == "running" else None,
        progress.get("failed", ""),
    )


def last_accuracy(curve: Path) -> float | None:
    """Return the mean accuracy at the last point of a learning curve, if it exists."""
    if not curve.exists():
        return None
    rows = list(csv.DictReader(curve.read_text("utf-8").splitlines()))
    last = [row for row in rows if row["examples"] == rows[-1]["examples"]]
    return fmean(float(row["accuracy"]) for row in last)


def read_all(catalog: Catalog, results: Path) -> list[TrainingStatus]:
    """Return the status of all trainings in the folder `results/SCALE`.

    Those of tables come first, in their order.
    """
    now, scale = time.time(), results.name
    arith = catalog.arith(scale)
    totals = {}
    for one in catalog.all_models(scale):
        model = "linalg", paths.LINALG_NAME.format(**one)
        totals[model] = catalog.model(scale, **one).schedule.examples
    for name in arith.rows:
        totals["arith", name] = arith.model(name).schedule.examples
    for study, pattern in FOLDERS.items():
        for folder in sorted((results / study).glob(pattern)):
            model = study, folder.relative_to(results / study).as_posix()
            if model not in totals and (total := _stored_total(folder)):
                totals[model] = total
    return [
        read_training(results / study / name, name, total, now)
        for (study, name), total in totals.items()
    ]


def _stored_total(folder: Path) -> int | None:
    """Return the number of examples of a training that has stored it, else None."""
    for file, key in ((paths.RUN, "examples"), (PROGRESS_FILE, "total")):
        with suppress(FileNotFoundError):
            return int(files.read_json(folder / file)[key])
    return None


def format_table(trainings: list[TrainingStatus]) -> str:
    """Return a text table of trainings, with errors."""
    header = ("model", "state", "done", "accuracy", "examples/s", "left")
    lines = align_columns([header, *map(_row, trainings)], text_columns=2)
    lines += [f"{one.model}: {one.error}" for one in trainings if one.error]
    return "\n".join(lines)


def count_states(trainings: list[TrainingStatus]) -> str:
    """Return the number of trainings in each state as text."""
    counts = {state: sum(s.state == state for s in trainings) for state in STATES}
    return ", ".join(f"{count} {s}" for s, count in counts.items() if count)


def align_columns(rows: Sequence[tuple[str, ...]], text_columns: int) -> list[str]:
    """Return rows as lines: text columns first, left-aligned, then right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    alignments = "<" * text_columns + ">" * (len(widths) - text_columns)
    line = "  ".join(map("{{:{}{}}}".format, alignments, widths))
    return [line.format(*row) for row in rows]


def _row(one: TrainingStatus) -> tuple[str, ...]:
    left = one.seconds_left
    speed = one.examples_per_second
    return (
        one.model,
        one.state,
        f"{one.fraction_done:.0%}",
        "" if one.accuracy is None else f"{one.accuracy:.3f}",
        "" if not speed else f"{speed:,.0f}",
        "" if left is None else _duration(left),
    )


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
