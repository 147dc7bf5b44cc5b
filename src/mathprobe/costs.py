"""What results cost: every rule's time, every training's beside what was foreseen."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mathprobe import estimates, files
from mathprobe.spec import ArithModel, Model

Row = dict[str, Any]

MEASURED = ".tsv"  # of Snakemake's measurements: {what}.{rule}.tsv, or {rule}.tsv
CPU = "cpu"
STUDIES = ("linalg", "arith")
COLUMNS = {
    "rules": ("rule", "jobs", "seconds", "longest", "cpu_seconds", "peak_mb"),
    "trainings": (
        *("model", "device", "processes", "operations", "seconds", "foreseen"),
        *("flops_per_second", "gpu_hours", "joules"),
    ),
}


def rules(logs: Path) -> Iterator[Row]:
    """Sum up what Snakemake measured of every rule's jobs, the costliest rule first.

    Of a job that ran several times the last run counts.
    """
    jobs: dict[str, list[Row]] = {}
    for path in sorted(logs.rglob(f"*{MEASURED}")):
        rule = path.name.removesuffix(MEASURED).rsplit(".", 1)[-1]
        jobs.setdefault(rule, []).append(_job(path))
    sums = [{"rule": rule, **_sum(measured)} for rule, measured in jobs.items()]
    yield from sorted(sums, key=lambda row: -row["seconds"])


def _job(path: Path) -> Row:
    """Read a measurement; what a short job was too short for is None."""
    with path.open(newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    return {
        name: None if row[name] in ("-", "NA", "") else float(row[name])
        for name in ("s", "cpu_time", "max_rss")
    }


def _sum(jobs: list[Row]) -> Row:
    seconds, cpu, memory = (
        [job[name] for job in jobs if job[name] is not None]
        for name in ("s", "cpu_time", "max_rss")
    )
    return {
        "jobs": len(jobs),
        "seconds": sum(seconds),
        "longest": max(seconds, default=None),
        "cpu_seconds": sum(cpu) if cpu else None,
        "peak_mb": max(memory, default=None),
    }


def trainings(folders: Iterable[Path], rate: float) -> Iterator[Row]:
    """Set the time of every training beside what its operations take at a rate.

    The rate is that of one device, in operations a second; all attempts count.
    """
    for folder in folders:
        run = files.read_json(folder / "run.json")
        operations, processes = _operations(run["spec"]), run["processes"]
        on_gpu = run["device"] != CPU
        yield {
            "model": _name(folder),
            "device": run["device"],
            "processes": processes,
            "operations": operations,
            "seconds": run["seconds"],
            "foreseen": operations / (rate * processes),
            "flops_per_second": operations / run["seconds"] if run["seconds"] else None,
            "gpu_hours": processes * run["seconds"] / 3600 if on_gpu else None,
            "joules": run.get("joules"),
        }


def _operations(spec: Row) -> int:
    """Count the operations of a training of either study."""
    kind = ArithModel if "questions" in spec else Model
    return estimates.operations(kind.of(spec))


def _name(folder: Path) -> str:
    """Name a model by its path below its study."""
    study = max(place for place, part in enumerate(folder.parts) if part in STUDIES)
    return "/".join(folder.parts[study + 1 :])
