"""What is kept of trainings that cost too much to repeat: metrics, never weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mathprobe import files
from mathprobe.errors import InputError

KEPT = (
    *("run.json", "curve.csv", "scores.csv"),
    *("properties.csv", "verifiers.csv", "roc.csv", "home.npz"),
)
NEEDED = KEPT[:3]


def finished(results: Path) -> Iterator[Path]:
    """Find the folders of models that are trained and scored, below a scale's."""
    for run in sorted(results.rglob("run.json")):
        if all((run.parent / name).exists() for name in NEEDED):
            yield run.parent


def keep(results: Path, record: Path) -> list[Path]:
    """Copy what is kept of every finished model; give the new folders.

    Raises InputError, before anything is copied, for a model whose code is not in a
    revision: nobody could make it again.
    """
    folders = list(finished(results))
    for folder in folders:
        run = files.read_json(folder / "run.json")
        if not (run["revision"] and run["clean"]):
            raise InputError(
                f"{folder}: made by code that is in no revision "
                f"(revision {run['revision']}, clean {run['clean']}); "
                "commit and train anew"
            )
    return [_copy(folder, record / folder.relative_to(results)) for folder in folders]


def _copy(folder: Path, kept: Path) -> Path:
    for name in KEPT:
        if (folder / name).exists():
            files.write_bytes(kept / name, (folder / name).read_bytes())
    return kept
