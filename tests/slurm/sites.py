"""A copy of the project as a cluster's site has it, and trainings that run there."""

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

PROFILE = "workflow/profiles/slurm/config.yaml"
TASK = "results/smoke/linalg/inverse"
EXAMPLES, BATCH = 64 * 400, 64  # seconds: enough to be stopped twice on the way
SECONDS = 900.0  # the longest that anything here takes, with other tests beside


def wait_for(condition, what: str, seconds: float = SECONDS):
    """Wait until a condition gives something, and give it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} after {seconds:.0f} s")
        time.sleep(0.1)
    return found


class Site:
    """The project in a folder of its own, whose smoke scale trains on GPUs."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.workflow, self.cluster, self.folder = Workflow(folder), cluster, folder
        self.said = folder / "said.txt"
        path = folder / "config/config.yaml"
        config = yaml.safe_load(path.read_text())
        smoke = config["scales"]["smoke"]["linalg"]
        smoke["tasks"]["inverse"]["schedule"]["examples"] = EXAMPLES
        smoke["recipes"]["base"]["schedule"]["curve_every"] = EXAMPLES // 2
        # Every update is saved; as at the paper's scale, each training has a GPU.
        compute = config["compute"]["smoke"]
        train = {**compute["train"], "gpus": 1, "save_every": 0}
        config["compute"]["smoke"] = {
            "train": train,
            "predict": {**compute["predict"], "gpus": 1},
        }
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        self.edit("('paper', 'as_coded')", "('smoke',)")
        self.edit("# gpu_model: \"'a100'", f"gpu_model: \"'{cluster.model}'")
        self.edit("jobs: 64", "jobs: 64\nslurm-init-seconds-before-status-checks: 1")

    def edit(self, old: str, new: str, path: str = PROFILE) -> None:
        """Edit a file, as a rule the site's block of the profile."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen]:
        """Have Snakemake run on the cluster; it ends with the block, if not before."""
        path = self.cluster.environment["PATH"]
        with self.said.open("a") as said:
            process = self.workflow.start(
                "--profile", "slurm", *arguments, path=path, stdout=said
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ended(self, process: subprocess.Popen) -> int:
        """Wait for Snakemake's end; where it does not come, say what Slurm does."""
        try:
            return process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            jobs = self.cluster.call("squeue", "--states=all", "--format=%i %T %r %Z")
            nodes = self.cluster.call("scontrol", "show", "nodes")
            said = self.said.read_text()[-3000:]
            raise TimeoutError(
                f"no end of Snakemake\n{jobs}\n{nodes}\n{said}"
            ) from None

    def run(self, *arguments: str) -> int:
        """Run Snakemake on the cluster to its end."""
        with self.running(*arguments) as process:
            return self.ended(process)

    def training(self, name: str) -> "Training":
        """Give one of the trainings."""
        return Training(self.folder, name)


class Training:
    """One training of a site, named by distribution, size and recipe."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.target = root, f"{TASK}/{name}/scores.csv"
        self.folder = (root / self.target).parent

    def made(self) -> dict[str, bytes]:
        """Read what must not depend on what happened on the way."""
        names = ("model.safetensors", "curve.csv", "scores.csv")
        return {name: (self.folder / name).read_bytes() for name in names}

    def history(self) -> list[dict]:
        """Read the attempts of which it is made."""
        return json.loads((self.folder / "run.json").read_text())["history"]

    def saved(self) -> int:
        """Give the examples of the newest state, 0 without any."""
        states = (self.folder / "state").glob("*.safetensors")
        return BATCH * max((int(path.stem) for path in states), default=0)

    def processes(self) -> list[int]:
        """Find the processes that train it, or wait to, in this folder."""
        state = f"--state\0{(self.folder / 'state').relative_to(self.root)}\0"
        found = []
        for process in filter(str.isdecimal, os.listdir("/proc")):
            try:
                command = Path("/proc", process, "cmdline").read_bytes().decode()
                here = Path("/proc", process, "cwd").resolve() == self.root
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if "mathprobe\0train\0" in command and state in command and here:
                found.append(int(process))
        return found

    def hold(self) -> int:
        """Stop the one process that trains, further than anything saved before."""
        before = self.saved()
        wait_for(lambda: self.saved() > before, f"progress of {self.folder}")
        [process] = self.processes()
        os.kill(process, signal.SIGSTOP)
        return process


def has_ended(process: int) -> bool:
    """Tell whether a process is gone."""
    return not Path("/proc", str(process)).exists()


def slurm_job(process: int) -> str:
    """Give the Slurm job of a process."""
    return variables_of(process)["SLURM_JOB_ID"]


def variables_of(process: int) -> dict[str, str]:
    """Read a process's environment."""
    text = Path("/proc", str(process), "environ").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def processes_of(job: str) -> set[int]:
    """Find the processes of a Slurm job: those that watch it, and all below them."""
    parents, found = {}, set()
    for process in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        try:
            stat = Path("/proc", str(process), "stat").read_text()
            command = Path("/proc", str(process), "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[process] = int(stat.rpartition(")")[2].split()[1])
        if re.match(rf"slurmstepd: \[{job}\.", command):
            found.add(process)
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found
