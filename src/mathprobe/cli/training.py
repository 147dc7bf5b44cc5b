"""What the trainings of both studies do beside training: resume, show, stop, keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files, provenance
from mathprobe.cli import kept
from mathprobe.cli.commands import Arguments, Parser, device_name
from mathprobe.spec import ArithModel, Model

if TYPE_CHECKING:
    from mathprobe.training import Trainer

STOPPED = 75  # EX_TEMPFAIL: the state is saved, run again to go on


def options(parser: Parser) -> None:
    """Take what every training is told."""
    parser.add_argument("spec", help="specification of the model, as JSON")
    for output in ("--model", "--curve", "--run"):
        parser.add_argument(output, type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of states")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-every", type=float, default=5.0, help="minutes")


def origin(study: str, args: Arguments, device: str) -> dict[str, Any]:
    """Say which code trains where, and with what."""
    place = {"device": device_name(device), "threads": args.threads}
    return {**provenance.stamp(study), **place}


@contextmanager
def alone(
    args: Arguments, spec: Model | ArithModel, origin: dict[str, Any]
) -> Iterator[bool]:
    """Hold the folder of states; tell whether the model is made already."""
    with files.only_one(args.state) as waited:
        made = waited and _is_made(args.run, spec)
        if made:
            print(f"{args.run}: made by another process meanwhile", flush=True)
            kept.clear(args.state, kept.DONE)
        else:  # what a killed process left half written
            for folder in (args.state, args.model.parent):
                files.clear_leftovers(folder)
            made = kept.put_back(args, spec, origin)
        yield made


def _is_made(run: Path, spec: Model | ArithModel) -> bool:
    """Tell whether a training of this specification came to its end."""
    return run.exists() and not spec.differences(files.read_json(run)["spec"])


def to_the_end(
    trainer: Trainer, args: Arguments, label: str, origin: dict[str, Any]
) -> None:
    """Train, or go on where the training was stopped; exit when it is again."""
    from mathprobe.progress import Watcher
    from mathprobe.training import Interrupted

    trainer.history[-1] |= {key: origin[key] for key in (*kept.DECIDING, "started")}
    if trainer.resume(args.state):
        print(f"going on after {trainer.examples:,} examples", flush=True)
    with Watcher(label, trainer, args.state) as watch:
        try:
            trainer.run(args.state, 60.0 * args.save_every, watch)
        except Interrupted as reason:
            text = f"{reason}: state saved in {args.state}; run again to go on"
            print(text, flush=True)
            raise SystemExit(STOPPED) from None


def keep(trainer: Trainer, args: Arguments, origin: dict[str, Any]) -> None:
    """Write weights, curve and run of a training that is done; drop its states."""
    from mathprobe import checkpoint

    seeds = {seed: one.network for seed, one in trainer.learners.items()}
    run = {**trainer.summary(), **origin, "finished": provenance.now()}
    with kept.whole(args.state) as new:
        checkpoint.save_model(new / "model", seeds, {"spec": trainer.spec.plain()})
        files.write_csv(new / "curve", trainer.curve, trainer.columns)
        files.write_json(new / "run", run)
    kept.show(args)
    kept.clear(args.state, kept.DONE)
