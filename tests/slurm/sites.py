"""A copy of the project that is configured for a cluster, and its trainings."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from cluster import Cluster

from workflow import Workflow

ON_GPUS = (
    *("linalg_train", "linalg_predict"),
    *("arith_train", "arith_accuracy", "arith_map"),
)
TASK = "results/smoke/linalg/inverse"
EXAMPLES, BATCH = 64 * 400, 64  # takes seconds; long enough for two interruptions
SECONDS = 900.0  # timeout, on a machine with other load


class Site:
    """A copy of the project whose smoke scale trains on GPUs."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.workflow, self.cluster, self.folder = Workflow(folder), cluster, folder
        self.log = folder / "output.txt"
        path = folder / "config/config.yaml"
        config = yaml.safe_load(path.read_text())
        smoke = config["scales"]["smoke"]["linalg"]
        smoke["tasks"]["inverse"]["schedule"]["examples"] = EXAMPLES
        smoke["recipes"]["base"]["schedule"]["curve_every"] = EXAMPLES // 2
        # Save every update; each training has a GPU, as at the scale of the paper.
        compute = config["compute"]["smoke"]
        train = {**compute["train"], "gpus": 1, "save_every": 0}
        config["compute"]["smoke"] = {
            "train": train,
            "predict": {**compute["predict"], "gpus": 1},
        }
        config["cluster"]["gpu"]["gpu_model"] = cluster.model
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        # The GPUs are simulated, so torch cannot use them.
        devices = "\n".join(f"  {rule}: {{device: cpu}}" for rule in ON_GPUS)
        more = f"slurm-init-seconds-before-status-checks: 1\nset-resources:\n{devices}"
        path = "workflow/profiles/slurm/config.yaml"
        self.edit("jobs: 64", f"jobs: 64\n{more}", path)

    def edit(self, old: str, new: str, path: str = "config/config.yaml") -> None:
        """Replace a text in a file; by default, in the configuration."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen]:
        """Start Snakemake on the cluster; kill it at the end of the block."""
        path = self.cluster.environment["PATH"]
        with self.log.open("a") as log:
            process = self.workflow.start(
                "--profile", "slurm", *arguments, path=path, stdout=log
            )
        self.snakemake = process
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait_for(self, condition, what: str) -> None:
        """Wait until a condition is true, which needs a running Snakemake."""
        end = time.monotonic() + SECONDS
        while not condition():
            if self.snakemake.poll() is not None:
                raise RuntimeError(f"Snakemake ended before the {what}\n{self.state()}")
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} after {SECONDS:.0f} s\n{self.state()}")
            time.sleep(0.1)

    def wait(self, process: subprocess.Popen) -> int:
        """Return the exit status of Snakemake; a timeout prints the state of Slurm."""
        try:
            return process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"no end of Snakemake\n{self.state()}") from None

    def state(self) -> str:
        """Return jobs and nodes of the cluster, and the end of Snakemake's output."""
        jobs = self.cluster.call("squeue", "--states=all", "--format=%i %T %r %Z")
        nodes = self.cluster.call("scontrol", "show", "nodes")
        return f"{jobs}\n{nodes}\n{self.log.read_text()[-3000:]}"

    def run(self, *arguments: str) -> int:
        """Run Snakemake on the cluster and return its exit status."""
        with self.running(*arguments) as process:
            return self.wait(process)

    def training(self, name: str) -> "Training":
        """Return a training by its name."""
        return Training(self, name)


class Training:
    """A training of a site; its name is distribution, size and recipe."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.target = site, f"{TASK}/{name}/scores.csv"
        self.folder = (site.folder / self.target).parent

    def outputs(self) -> dict[str, bytes]:
        """Return the files that must not depend on interruptions."""
        names = ("model.safetensors", "curve.csv", "scores.csv")
        return {name: (self.folder / name).read_bytes() for name in names}

    def history(self) -> list[dict]:
        """Return the attempts of the training."""
        return json.loads((self.folder / "run.json").read_text())["history"]

    def saved(self) -> int:
        """Return the number of examples of the newest checkpoint, or 0."""
        states = (self.folder / "state").glob("*.safetensors")
        return BATCH * max((int(path.stem) for path in states), default=0)

    def processes(self) -> list[int]:
        """Return the processes that train this model or wait for its lock."""
        root = self.site.folder
        state = f"--state\0{(self.folder / 'state').relative_to(root)}\0"
        found = []
        for process in filter(str.isdecimal, os.listdir("/proc")):
            try:
                command = Path("/proc", process, "cmdline").read_bytes().decode()
                here = Path("/proc", process, "cwd").resolve() == root
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if "mathprobe\0train\0" in command and state in command and here:
                found.append(int(process))
        return found

    def pause(self) -> int:
        """Pause the training process after a new checkpoint; return the process."""
        before = self.saved()
        self.site.wait_for(lambda: self.saved() > before, f"progress of {self.folder}")
        [process] = self.processes()
        os.kill(process, signal.SIGSTOP)
        assert not (self.folder / "run.json").exists(), "it ended before it was paused"
        return process


def has_ended(process: int) -> bool:
    """Return whether a process has ended."""
    return not Path("/proc", str(process)).exists()


def slurm_job(process: int) -> str:
    """Return the Slurm job of a process."""
    return variables_of(process)["SLURM_JOB_ID"]


def variables_of(process: int) -> dict[str, str]:
    """Return the environment of a process."""
    text = Path("/proc", str(process), "environ").read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def processes_of(job: str) -> set[int]:
    """Return the processes of a Slurm job: slurmstepd and its descendants."""
    parents, found = {}, set()
    for process in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        try:
            stat = Path("/proc", str(process), "stat").read_text(encoding="utf-8")
            command = Path("/proc", str(process), "cmdline").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[process] = int(stat.rpartition(")")[2].split()[1])
        if re.match(rf"slurmstepd: \[{job}\.", command):
            found.add(process)
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found
