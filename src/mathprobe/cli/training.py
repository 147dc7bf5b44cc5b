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
from mathprobe.errors import InputError
from mathprobe.spec import ArithModel, Model

if TYPE_CHECKING:
    from mathprobe.training import Trainer

# Facts about an attempt (`provenance.reproducibility`) that do not affect its data.
SAME_DATA = {"device", "threads", "cuda"}
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
        for folder in (job.state, job.model.parent):  # of a killed process
            files.remove_temporary_files(folder)
        saved_outputs.complete_save(job.state)
        finished = saved_outputs.is_finished(job, spec, origin)
        if finished:
            by = " by another process" if waited else ""
            saved = job.state / saved_outputs.DONE
            remedy = f"to train again, remove it and {saved}"
            print(f"{job.run}: already trained{by}; {remedy}", flush=True)
        yield finished or saved_outputs.restore(job, spec, origin)


def _train(
    trainer: Trainer[Any], job: TrainingJob, label: str, origin: dict[str, Any]
) -> None:
    """Train to the end and write the outputs; exit with STOPPED after a stop signal."""
    from mathprobe import checkpoint
    from mathprobe.progress import ProgressReporter
    from mathprobe.training import Interrupted

    facts = {key: origin.get(key) for key in ("started", "parent")}
    trainer.history[-1] |= {**facts, **provenance.reproducibility(origin)}
    if trainer.resume(job.state):
        print(f"resuming after {trainer.examples:,} examples", flush=True)
        _compare_attempts(trainer.history[-2], origin, job.state)
    with ProgressReporter(label, trainer, job.state, origin) as reporter:
        try:
            trainer.run(job.state, 60.0 * job.save_every, reporter)
        except Interrupted as reason:
            text = f"{reason}: checkpoint saved in {job.state}; run again to resume"
            print(text, flush=True)
            raise SystemExit(STOPPED) from None
    seeds = {seed: state.network for seed, state in trainer.train_states.items()}
    run = {**trainer.summary(), **origin, "finished": provenance.utc_now()}
    folder = job.state / saved_outputs.NEW
    checkpoint.save_model(folder / "model", seeds, {"spec": trainer.spec.to_dict()})
    files.write_csv(folder / "curve", trainer.curve, trainer.columns)
    files.write_json(folder / "run", run)
    saved_outputs.link_outputs(saved_outputs.save(job.state), job)
    print(f"{reporter.format_end()}; saved in {job.model.parent}", flush=True)


def _compare_attempts(
    attempt: dict[str, Any], origin: dict[str, Any], state: Path
) -> None:
    """Print what may make a resumed training differ from an uninterrupted one.

    `attempt` is the previous attempt.  Raises InputError if it started from other
    weights of the parent.
    """
    parent = origin.get("parent")
    if attempt.get("parent", parent) != parent:
        raise InputError(
            f"{state} has checkpoints of a training that started from other weights of "
            "the parent: remove its .safetensors files to start again"
        )
    if changes := provenance.differences(attempt, origin):
        data = "the data are the same, but " if changes.keys() <= SAME_DATA else ""
        print(
            f"resuming a training begun with {', '.join(changes.values())}: {data}"
            "the weights may differ from those of an uninterrupted training",
            flush=True,
        )
