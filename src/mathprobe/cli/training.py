"""Commands that train models.  They resume, report progress and stop on a signal."""

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

STOPPED = 75  # exit code EX_TEMPFAIL: a checkpoint is saved, run again to resume


@command(WORKFLOW)
def train(spec: Spec, /, *, job: TrainingJob) -> None:
    """Train a model of the study of linear algebra, or resume its training."""
    device = set_up_torch(job.device, job.threads)
    from mathprobe.studies.linalg import STUDY
    from mathprobe.studies.linalg.training import trainer

    model = Model.from_json(spec)
    origin = _origin(STUDY, job, device)
    label = f"{model.data.task} n={model.data.n} {model.data.distribution}"
    with _locked(job, model, origin) as finished:
        if not finished:
            _train(trainer(model, device), job, label, origin)


@command(WORKFLOW)
def arith_train(spec: Spec, /, *, job: TrainingJob, parent: Path | None = None) -> None:
    """Train a decoder of the study of arithmetic, or resume its training.

    Parameters
    ----------
    parent
        Model whose weights are the initial weights.
    """
    device = set_up_torch(job.device, job.threads)
    from mathprobe.studies.arith import STUDY
    from mathprobe.studies.arith.models import load_parent
    from mathprobe.studies.arith.training import trainer

    model = ArithModel.from_json(spec)
    origin = _origin(STUDY, job, device)
    if parent:  # the result depends on its weights too
        origin["parent"] = files.checksum(parent)
    with _locked(job, model, origin) as finished:
        if not finished:
            network = load_parent(parent, model) if parent else None
            _train(trainer(model, device, network), job, model.name, origin)


def _origin(study: str, job: TrainingJob, device: str) -> dict[str, Any]:
    """Return the provenance of a training, with its device and threads."""
    place = {"device": device_name(device), "threads": job.threads}
    return {**provenance.collect(study), **place}


@contextmanager
def _locked(
    job: TrainingJob, spec: Model | ArithModel, origin: dict[str, Any]
) -> Iterator[bool]:
    """Lock the folder of checkpoints; yield whether the training has finished."""
    with files.lock_folder(job.state) as waited:
        finished = waited and _is_finished(job.run, spec)
        if finished:
            print(f"{job.run}: already trained by another process", flush=True)
            saved_outputs.clear_state_folder(job.state, saved_outputs.DONE)
        else:  # a killed process may have left files
            for folder in (job.state, job.model.parent):
                files.remove_temporary_files(folder)
            finished = saved_outputs.restore_outputs(job, spec, origin)
        yield finished


def _is_finished(run: Path, spec: Model | ArithModel) -> bool:
    """Return whether the run.json of a finished training has this specification."""
    return run.exists() and not spec.differences(files.read_json(run)["spec"])


def _train(
    trainer: Trainer[Any], job: TrainingJob, label: str, origin: dict[str, Any]
) -> None:
    """Train to the end and write the outputs; exit with STOPPED after a stop signal."""
    from mathprobe import checkpoint
    from mathprobe.progress import ProgressReporter
    from mathprobe.training import Interrupted

    keys = (*saved_outputs.REPRODUCIBILITY_KEYS, "started")
    trainer.history[-1] |= {key: origin[key] for key in keys}
    if trainer.resume(job.state):
        print(f"resuming after {trainer.examples:,} examples", flush=True)
    with ProgressReporter(label, trainer, job.state) as reporter:
        try:
            trainer.run(job.state, 60.0 * job.save_every, reporter)
        except Interrupted as reason:
            text = f"{reason}: checkpoint saved in {job.state}; run again to resume"
            print(text, flush=True)
            raise SystemExit(STOPPED) from None
    seeds = {seed: state.network for seed, state in trainer.train_states.items()}
    run = {**trainer.summary(), **origin, "finished": provenance.utc_now()}
    with saved_outputs.stage_outputs(job.state) as folder:
        checkpoint.save_model(folder / "model", seeds, {"spec": trainer.spec.to_dict()})
        files.write_csv(folder / "curve", trainer.curve, trainer.columns)
        files.write_json(folder / "run", run)
    saved_outputs.link_outputs(job)
    saved_outputs.clear_state_folder(job.state, saved_outputs.DONE)
