"""Second names of the outputs of a finished training, in its folder of states.

Snakemake deletes the outputs of a job before it runs it, even if another job made them
meanwhile.  The second names cost no disk, and a training that would make the same bits
puts the outputs back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from mathprobe import files
from mathprobe.spec import ArithModel, Model

OUTPUTS = ("model", "curve", "run")  # the last says that the others are there
DONE, NEW = "done", "new"  # folders, beside the states
CHECKSUMS = "sums.json"
REPRODUCIBILITY_KEYS = ("code", "device", "threads")  # of an attempt's bits


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingJob:
    """The files of a training, and how it runs.

    Parameters
    ----------
    model
        Where the weights are written.
    curve
        Where the learning curve is written.
    run
        Where the settings, the code and the cost of the training are written.
    state
        Folder of states, from which a stopped training goes on.
    threads
        Number of CPU threads.
    save_every
        Minutes between two states.
    """

    model: Path
    curve: Path
    run: Path
    state: Path
    threads: int = 1
    save_every: float = 5.0


@contextmanager
def stage_outputs(state: Path) -> Iterator[Path]:
    """Open a folder for the outputs; they count once all are written."""
    new = state / NEW
    shutil.rmtree(new, ignore_errors=True)
    yield new
    files.write_json(new / CHECKSUMS, _checksums(new))
    new.rename(state / DONE)


def _checksums(folder: Path) -> dict[str, str]:
    return {name: files.checksum(folder / name) for name in OUTPUTS}


def link_outputs(job: TrainingJob) -> None:
    """Link the outputs to their second names."""
    for name in OUTPUTS:
        files.link_or_copy(job.state / DONE / name, getattr(job, name))


def clear_state_folder(state: Path, *left: str) -> None:
    """Empty a folder of states, but for its lock and the names that are left.

    The second names go last: states without them are those of a training under way.
    """
    for path in sorted(state.iterdir(), key=lambda path: path.name == DONE):
        if path.is_dir() and path.name not in left:
            shutil.rmtree(path)
        elif path.name not in (files.LOCK, *left):
            path.unlink()


def restore_outputs(
    job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]
) -> bool:
    """Put lost outputs back if this training would make the same; else remove them."""
    there = job.state / DONE
    if not there.exists():
        return False
    lost = not all(getattr(job, name).exists() for name in OUTPUTS)
    same = lost and _is_same(there, spec, origin)
    if same:
        link_outputs(job)
        print(
            f"{job.run}: trained before, put back from {there}; to train anew, "
            f"remove {job.state} and run again",
            flush=True,
        )
    elif lost:
        print(
            f"{there}: damaged, or of other settings, code or machine; training anew",
            flush=True,
        )
    clear_state_folder(job.state, *([DONE] if same else []))
    return same


def _is_same(kept: Path, spec: Model | ArithModel, origin: dict[str, Any]) -> bool:
    """Return whether a folder is whole and has the bits that a training makes here."""
    try:
        if files.read_json(kept / CHECKSUMS) != _checksums(kept):
            return False
    except (files.DamagedFile, FileNotFoundError):
        return False
    run = files.read_json(kept / "run")
    here = {key: origin[key] for key in REPRODUCIBILITY_KEYS}
    return (
        not spec.differences(run["spec"])
        and run.get("parent") == origin.get("parent")
        and all(
            here == {key: attempt.get(key) for key in REPRODUCIBILITY_KEYS}
            for attempt in run["history"]
        )
    )
