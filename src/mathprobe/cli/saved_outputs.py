"""Saved outputs of finished trainings: hard links in their folder of checkpoints.

Snakemake deletes the outputs of a job before it runs the job, even if they are
finished.  The hard links need no disk space.  A job restores the outputs of its
specification instead of training again.  Those of other specifications are kept, too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from mathprobe import files, provenance
from mathprobe.cli.app import Device
from mathprobe.spec import ArithModel, Model

OUTPUTS = ("model", "curve", "run")  # written in this order: `run` marks completion
# Folders inside the folder of checkpoints.  DONE has a folder for each specification.
DONE, NEW = "done", "new"
DAMAGED = ".damaged"  # suffix of a folder in DONE
CHECKSUMS = "sums.json"


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


def save(state: Path) -> Path:
    """Save the outputs that are written to NEW; return their folder in DONE."""
    files.write_json(state / NEW / CHECKSUMS, _checksums(state / NEW))
    return _move_to_done(state)


def complete_save(state: Path) -> None:
    """Complete `save` if a process was killed in it; else remove the outputs in NEW."""
    if is_whole(state / NEW):
        _move_to_done(state)
    shutil.rmtree(state / NEW, ignore_errors=True)


def _move_to_done(state: Path) -> Path:
    """Remove the checkpoints of a finished training, and move its outputs to DONE.

    In this order, checkpoints beside saved outputs belong to another training.
    """
    for path in state.iterdir():
        if path.is_file() and path.name != files.LOCK:
            path.unlink()
    (state / DONE).mkdir(exist_ok=True)
    run = files.read_json(state / NEW / "run")
    return (state / NEW).rename(state / DONE / _folder_name(run))


def _folder_name(run: dict[str, Any]) -> str:
    """Return a hash of the specification in a run.json and of the parent's weights."""
    identity = json.dumps([run["spec"], run.get("parent")], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _checksums(folder: Path) -> dict[str, str]:
    return {name: files.checksum(folder / name) for name in OUTPUTS}


def is_whole(folder: Path) -> bool:
    """Return whether a folder has undamaged outputs."""
    try:
        return files.read_json(folder / CHECKSUMS) == _checksums(folder)
    except (files.DamagedFile, FileNotFoundError):
        return False


def find(state: Path, spec: Model | ArithModel, origin: dict[str, Any]) -> Path | None:
    """Return the folder of saved outputs of this specification and parent.

    Returns None if there are none; prints which other outputs are kept.
    """
    others = []
    for saved in sorted(filter(Path.is_dir, (state / DONE).glob("*"))):
        if not is_whole(saved):
            others.append(f"{_mark_damaged(saved)}: kept, but it is damaged")
        elif reasons := differences(files.read_json(saved / "run"), spec, origin):
            others.append(f"{saved}: kept, of another training ({'; '.join(reasons)})")
        else:
            return saved
    if others:
        print(*others, "training again", sep="\n", flush=True)
    return None


def _mark_damaged(saved: Path) -> Path:
    """Rename a folder, so that new outputs of its specification can be saved."""
    if saved.suffix == DAMAGED:
        return saved
    renamed = saved.with_suffix(DAMAGED)
    shutil.rmtree(renamed, ignore_errors=True)
    return saved.rename(renamed)


def differences(
    run: dict[str, Any], spec: Model | ArithModel, origin: dict[str, Any]
) -> list[str]:
    """Return how the specification and the parent in a run.json differ from these."""
    parents = (origin.get("parent"), run.get("parent"))
    changed = [] if len(set(parents)) == 1 else ["other weights of the parent"]
    return [*spec.differences(run["spec"]), *changed]


def link_outputs(saved: Path, job: TrainingJob) -> None:
    """Link saved outputs to the paths of the job."""
    for name in OUTPUTS:
        files.link_or_copy(saved / name, getattr(job, name))


def is_finished(
    job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]
) -> bool:
    """Return whether all outputs exist, undamaged and of this specification."""
    from mathprobe import checkpoint

    if not all(getattr(job, name).exists() for name in OUTPUTS):
        return False
    try:
        metadata = checkpoint.model_metadata(job.model)
        changed = differences(files.read_json(job.run), spec, origin)
        return not (changed or spec.differences(metadata["spec"]))
    except files.DamagedFile:
        return False


def restore(job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]) -> bool:
    """Restore the outputs of this specification, if it has saved ones.

    They may have been made by other code or on another machine, which is printed.
    """
    saved = find(job.state, spec, origin)
    if saved is None:
        return False
    link_outputs(saved, job)
    changes: dict[str, str] = {}
    for attempt in files.read_json(saved / "run")["history"]:
        changes |= provenance.differences(attempt, origin)
    made = f", made with {', '.join(changes.values())}" if changes else ""
    print(
        f"{job.run}: restored from {saved}{made}; "
        f"to train again, remove {saved} and {job.run}",
        flush=True,
    )
    return True
