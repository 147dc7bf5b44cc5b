"""Check a machine with a GPU, in a few minutes: `make check-gpu`.

Runs the tests for CUDA, kills and resumes a training, measures rates, and computes the
jobs of the smoke scale that use a GPU.  Prints a table for an issue and stores it in
`measured/{gpu}.json`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tables
import torch
from measurements import CONFIG, ROOT, Measurements, argument_parser
from msgspec.structs import replace
from trainings import clone

from mathprobe import files
from mathprobe.catalog import Catalog
from mathprobe.cli.device import device_name
from mathprobe.data_loader import BATCHES_PER_BLOCK
from mathprobe.spec import Model

OUTPUTS = ("model.safetensors", "curve.csv")
UPDATES = 2000  # of the training that is killed
POLL_SECONDS = 0.01
TIME_LIMIT = 600  # seconds for each command, which may wait for ever on a broken GPU
SMOKE_RULES = ("linalg_score", "arith_accuracy", "arith_map")  # and all they need


class Failed(Exception):
    """A check failed; the message is its verdict."""


@dataclass(frozen=True)
class Machine:
    """A device that is checked, `cuda` or `cpu`, and a folder for outputs."""

    device: str
    folder: Path

    def run(self, *arguments: str, folder: Path = ROOT) -> str:
        """Run Python in a folder and return its output; raise Failed on an error."""
        with subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,  # so that its own processes can be killed too
        ) as process:
            try:
                output, _ = process.communicate(timeout=TIME_LIMIT)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Failed(f"did not end within {TIME_LIMIT} s") from None
                raise
        if process.returncode != 0:
            print(output, flush=True)
            raise Failed(f"exit code {process.returncode}; see the output above")
        return output

    def environment(self) -> dict[str, str]:
        """Return the environment of commands; without GPUs if the device is a CPU."""
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if self.device == "cpu" else {}
        return {**os.environ, **hidden}

    def check_device(self, runs: list[Path]) -> None:
        """Raise Failed if a training with one of these run.json used another device."""
        expected = device_name(self.device)
        used = {files.read_json(run)["device"] for run in runs}
        if used != {expected}:
            raise Failed(f"trained on {sorted(used)}, not on {expected}")


def check_tests(machine: Machine) -> str:
    """Run the tests for CUDA."""
    # Another -q would hide the summary.
    output = machine.run("-m", "pytest", "-p", "no:cacheprovider", "tests/test_cuda.py")
    summary = output.strip().splitlines()[-1]
    if machine.device == "cuda" and "skipped" in summary:
        raise Failed(summary)
    return summary


def long_smoke_model() -> Model:
    """Return the model of the smoke scale, trained long enough to be killed."""
    model = Catalog.load(CONFIG).model("smoke", "eigenvalues", "laplace", 2, "base")
    examples = UPDATES * model.schedule.batch
    schedule = replace(model.schedule, examples=examples, curve_every=examples // 4)
    return replace(model, schedule=schedule)


def train_command(spec: Model, folder: Path, save_every: float) -> list[str]:
    """Return the arguments of Python to train a model; `save_every` is in minutes."""
    return [
        *("-m", "mathprobe", "train", spec.to_json()),
        *("--model", str(folder / "model.safetensors")),
        *("--curve", str(folder / "curve.csv"), "--run", str(folder / "run.json")),
        *("--state", str(folder / "state"), "--save-every", str(save_every)),
    ]


def kill_after_a_block(machine: Machine, command: list[str], state: Path) -> None:
    """Start a training and kill it when it has saved a checkpoint in its second block.

    `state` is its folder of checkpoints.
    """
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=machine.environment(),
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and saved_updates(state) <= BATCHES_PER_BLOCK:
        time.sleep(POLL_SECONDS)
    process.kill()
    process.wait()


def saved_updates(state: Path) -> int:
    """Return the number of updates of the last checkpoint in a folder, or 0."""
    return max((int(path.stem) for path in state.glob("[0-9]*.safetensors")), default=0)


def check_resume(machine: Machine) -> str:
    """Compare a killed and resumed training with an uninterrupted one, bitwise."""
    spec = long_smoke_model()
    whole, resumed = machine.folder / "whole", machine.folder / "resumed"
    machine.run(*train_command(spec, whole, 5.0))
    command = train_command(spec, resumed, 0.0)
    kill_after_a_block(machine, command, resumed / "state")
    machine.run(*train_command(spec, resumed, 5.0))
    machine.check_device([whole / "run.json", resumed / "run.json"])
    last = files.read_json(resumed / "run.json")["history"][-1]["begun_at"]
    if last == 0:
        raise Failed("the training was not killed before its end")
    compare_outputs(whole, resumed)
    return f"bitwise identical, killed after {last:,} examples"


def compare_outputs(whole: Path, resumed: Path) -> None:
    """Raise Failed unless the weights and curves in two folders are identical."""
    for name in OUTPUTS:
        if (whole / name).read_bytes() != (resumed / name).read_bytes():
            raise Failed(f"{name} of the resumed training differs")


def check_rates(machine: Machine, folder: Path) -> str:
    """Measure the short form of the benchmarks; store it in a folder."""
    machine.run("benchmarks/run.py", "--short", "--folder", str(folder))
    return "measured"


def check_smoke_scale(machine: Machine, cores: int, rules: tuple[str, ...]) -> str:
    """Compute the jobs of the smoke scale up to some rules, in a clone."""
    folder = machine.folder / "clone"
    clone("HEAD", folder)
    config = ["--config", "default_scale=smoke"]
    if machine.device == "cuda":  # the smoke scale requests no GPU
        jobs = "{train: {gpus: 1}, predict: {gpus: 1}}"
        config.append(f"compute={{smoke: {jobs}}}")
    command = ("-m", "snakemake", "--cores", str(cores), "--quiet", "all")
    machine.run(*command, *config, "--until", *rules, folder=folder)
    runs = list(folder.glob("results/smoke/*/**/run.json"))
    machine.check_device(runs)
    return f"{len(runs)} models trained"


def run_check(check: Callable[[], str]) -> dict[str, Any]:
    """Run a check and return its verdict, success and duration in seconds."""
    start = time.monotonic()
    try:
        passed, verdict = True, f"passed: {check()}"
    except Failed as failure:
        passed, verdict = False, f"failed: {failure}"
    return {"passed": passed, "verdict": verdict, "seconds": time.monotonic() - start}


def checks(machine: Machine, folder: Path) -> dict[str, Callable[[], str]]:
    """Return all checks by name; `folder` is that of the stored measurements."""
    smoke = partial(check_smoke_scale, machine, os.cpu_count() or 1, SMOKE_RULES)
    return {
        "tests for CUDA": partial(check_tests, machine),
        "bitwise resume": partial(check_resume, machine),
        "short benchmark": partial(check_rates, machine, folder),
        "smoke scale": smoke,
    }


def report(content: dict[str, Any]) -> str:
    """Return the tables of the checks and rates of a device, in Markdown."""
    shown = (tables.CHECKS, tables.SHORT_RATES)
    sections = {k: v for k, v in content["sections"].items() if k in shown}
    return tables.format_device({**content, "sections": sections})


def run_all(device: str, folder: Path) -> bool:
    """Run all checks, store and print the results; return whether all passed."""
    with tempfile.TemporaryDirectory() as outputs:
        rows = {}
        for name, check in checks(Machine(device, Path(outputs)), folder).items():
            print(f"{name} ...", flush=True)
            rows[name] = run_check(check)
            print(f"  {rows[name]['verdict']}", flush=True)
    measured = Measurements.of_device(folder, device)  # with the rates stored above
    for name, row in rows.items():
        measured.add(tables.CHECKS, name, row)
    print(f"\n{report(measured.content)}\n\nwritten to {measured.path}")
    return all(row["passed"] for row in rows.values())


def missing_gpu() -> str | None:
    """Return why there is no GPU to check, in one line, or None if there is one."""
    if torch.cuda.is_available():
        return None
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return (
        f"check-gpu: torch {torch.__version__}, built {built}, finds no GPU on "
        "this machine"
    )


def main() -> None:
    """Check the GPU, or with `--device cpu` the checks themselves."""
    parser = argument_parser(__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    args = parser.parse_args()
    if args.device == "cuda" and (problem := missing_gpu()):
        raise SystemExit(problem)
    raise SystemExit(not run_all(args.device, args.folder.resolve()))


if __name__ == "__main__":
    main()
