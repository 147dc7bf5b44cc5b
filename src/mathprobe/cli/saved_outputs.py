"""Saved outputs of a finished training: hard links in its folder of checkpoints.

Snakemake deletes the outputs of a job before it runs the job, even if another job has
just written them.  The hard links need no disk space.  If a new training would produce
bitwise identical outputs, the outputs are restored from the links instead.
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
from mathprobe.cli.app import Device
from mathprobe.spec import ArithModel, Model

OUTPUTS = ("model", "curve", "run")  # written in this order: `run` marks completion
DONE, NEW = "done", "new"  # folders inside the folder of checkpoints
CHECKSUMS = "sums.json"
# Keys of an attempt's provenance; other values may change the result.
REPRODUCIBILITY_KEYS = ("code", "device", "threads")


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingJob:
    """The files of a training, and how it runs.

    Parameters
    ----------
    model
        Output file of the weights.
    curve
        Output file of the learning curve.
    run
        Output file of the settings, the code and the cost of the training.
    state
        Folder of checkpoints, from which a stopped training resumes.
    device
        Device of torch; auto: a GPU if there is one, else the CPU.
    threads
        Number of CPU threads.
    save_every
        Minutes between two checkpoints.
    """

    model: Path
    curve: Path
    run: Path
    state: Path
    device: Device = "auto"
    threads: int = 1
    save_every: float = 5.0


@contextmanager
def stage_outputs(state: Path) -> Iterator[Path]:
    """Yield a folder for the outputs, and rename it to DONE when all are written."""
    new = state / NEW
    shutil.rmtree(new, ignore_errors=True)
    yield new
    files.write_json(new / CHECKSUMS, _checksums(new))
    new.rename(state / DONE)


def _checksums(folder: Path) -> dict[str, str]:
    return {name: files.checksum(folder / name) for name in OUTPUTS}


def link_outputs(job: TrainingJob) -> None:
    """Link the saved outputs to the paths of the job."""
    for name in OUTPUTS:
        files.link_or_copy(job.state / DONE / name, getattr(job, name))


def clear_state_folder(state: Path, *keep: str) -> None:
    """Remove everything from a folder of checkpoints except the lock and `keep`.

    The saved outputs are removed last: checkpoints without them belong to a training
    that is not finished.
    """
    for path in sorted(state.iterdir(), key=lambda path: path.name == DONE):
        if path.is_dir() and path.name not in keep:
            shutil.rmtree(path)
        elif path.name not in (files.LOCK, *keep):
            path.unlink()


def restore_outputs(
    job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]
) -> bool:
    """Restore missing outputs if this training would produce identical outputs.

    Otherwise remove the saved outputs.  Returns whether outputs were restored.
    """
    saved = job.state / DONE
    if not saved.exists():
        return False
    missing = not all(getattr(job, name).exists() for name in OUTPUTS)
    restored = missing and _is_same(saved, spec, origin)
    if restored:
        link_outputs(job)
        print(
            f"{job.run}: restored from {saved}; to train again, remove {job.state} "
            "and rerun",
            flush=True,
        )
    elif missing:
        print(
            f"{saved}: damaged, or of another specification, code or machine; "
            "training again",
            flush=True,
        )
    clear_state_folder(job.state, *([DONE] if restored else []))
    return restored


def _is_same(saved: Path, spec: Model | ArithModel, origin: dict[str, Any]) -> bool:
    """Return whether saved outputs are undamaged and from an identical training."""
    try:
        if files.read_json(saved / CHECKSUMS) != _checksums(saved):
            return False
    except (files.DamagedFile, FileNotFoundError):
        return False
    run = files.read_json(saved / "run")
    expected = {key: origin[key] for key in REPRODUCIBILITY_KEYS}
    return (
        not spec.differences(run["spec"])
        and run.get("parent") == origin.get("parent")
        and all(
            expected == {key: attempt.get(key) for key in REPRODUCIBILITY_KEYS}
            for attempt in run["history"]
        )
    )
