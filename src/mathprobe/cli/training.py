"""The commands that train: they resume, show progress, stop on a signal, and save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files, provenance
from mathprobe.cli import saved_outputs
from mathprobe.cli.app import WORKFLOW, Spec, command
from mathprobe.cli.device import device_name, set_up_torch
from mathprobe.cli.saved_outputs import TrainingJob
from mathprobe.spec import ArithModel, Model

if TYPE_CHECKING:
    from mathprobe.training import Trainer

STOPPED = 75  # EX_TEMPFAIL: the state is saved, run again to go on


@command(WORKFLOW)
def train(spec: Spec, /, *, job: TrainingJob) -> None:
    """Train a model of the first study, or go on where its training was stopped."""
    device = set_up_torch(job.threads)
    from mathprobe.studies.linalg import STUDY
    from mathprobe.studies.linalg.training import trainer

    model = Model.from_json(spec)
    origin = _origin(STUDY, job, device)
    label = f"{model.data.task} n={model.data.n} {model.data.distribution}"
    with _alone(job, model, origin) as made:
        if not made:
            _finish(trainer(model, device), job, label, origin)


@command(WORKFLOW)
def arith_train(spec: Spec, /, *, job: TrainingJob, parent: Path | None = None) -> None:
    """Train a decoder of arithmetic, or go on where its training was stopped.

    Parameters
    ----------
    parent
        Model whose weights are the initial ones.
    """
    device = set_up_torch(job.threads)
    from mathprobe.studies.arith import STUDY
    from mathprobe.studies.arith.models import load_parent
    from mathprobe.studies.arith.training import trainer

    model = ArithModel.from_json(spec)
    origin = _origin(STUDY, job, device)
    if parent:  # it decides the bits as well
        origin["parent"] = files.checksum(parent)
    with _alone(job, model, origin) as made:
        if not made:
            first = load_parent(parent, model) if parent else None
            _finish(trainer(model, device, first), job, model.name, origin)


def _origin(study: str, job: TrainingJob, device: str) -> dict[str, Any]:
    """Return which code trains where, and with what."""
    place = {"device": device_name(device), "threads": job.threads}
    return {**provenance.collect(study), **place}


@contextmanager
def _alone(
    job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]
) -> Iterator[bool]:
    """Lock the folder of states; yield whether the model is made already."""
    with files.lock_folder(job.state) as waited:
        made = waited and _is_made(job.run, spec)
        if made:
            print(f"{job.run}: made by another process meanwhile", flush=True)
            saved_outputs.clear_state_folder(job.state, saved_outputs.DONE)
        else:  # remove what a killed process left half written
            for folder in (job.state, job.model.parent):
                files.remove_temporary_files(folder)
            made = saved_outputs.restore_outputs(job, spec, origin)
        yield made


def _is_made(run: Path, spec: Model | ArithModel) -> bool:
    """Return whether a training of this specification came to its end."""
    return run.exists() and not spec.differences(files.read_json(run)["spec"])


def _finish(
    trainer: Trainer[Any], job: TrainingJob, label: str, origin: dict[str, Any]
) -> None:
    """Train to the end and save weights, curve and run; exit if it is stopped."""
    from mathprobe import checkpoint
    from mathprobe.progress import ProgressReporter
    from mathprobe.training import Interrupted

    attempt = {
        key: origin[key] for key in (*saved_outputs.REPRODUCIBILITY_KEYS, "started")
    }
    trainer.history[-1] |= attempt
    if trainer.resume(job.state):
        print(f"going on after {trainer.examples:,} examples", flush=True)
    with ProgressReporter(label, trainer, job.state) as watch:
        try:
            trainer.run(job.state, 60.0 * job.save_every, watch)
        except Interrupted as reason:
            text = f"{reason}: state saved in {job.state}; run again to go on"
            print(text, flush=True)
            raise SystemExit(STOPPED) from None
    seeds = {seed: one.network for seed, one in trainer.train_states.items()}
    run = {**trainer.summary(), **origin, "finished": provenance.utc_now()}
    with saved_outputs.stage_outputs(job.state) as new:
        checkpoint.save_model(new / "model", seeds, {"spec": trainer.spec.to_dict()})
        files.write_csv(new / "curve", trainer.curve, trainer.columns)
        files.write_json(new / "run", run)
    saved_outputs.link_outputs(job)
    saved_outputs.clear_state_folder(job.state, saved_outputs.DONE)
