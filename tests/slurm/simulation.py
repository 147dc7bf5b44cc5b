"""Simulation of the first study on a cluster: training jobs only sleep.

    python tests/slurm/simulation.py docs/makespan.svg

The DAG, the profile and Slurm are real.  Each training sleeps for a time proportional
to its FLOP, counted from the start of its Slurm job.  Thus the seconds in
which the process starts are not added.  All other jobs create empty
files.  The figure is a Gantt chart of the GPUs.  The text compares the makespan with
its lower bound.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cluster import Cluster

from mathprobe import estimates
from mathprobe.catalog import Catalog
from workflow import Workflow

GPUS = 4
SECONDS = 1800.0  # of all trainings, if all GPUs are always busy
# Tables of all models of the first study, and tables without models.
TABLES = ("runs.csv", "verifiers.tex", "condition_numbers.csv", "oracle_accuracy.csv")
TARGETS = [f"results/paper/tables/{table}" for table in (*TABLES, "evidence.csv")]
SLEEPER = """\
import json, os, subprocess, sys, time
from datetime import datetime
from pathlib import Path

from mathprobe import estimates
from mathprobe.spec import Model

job = os.environ.get("SLURM_JOB_ID")
if sys.argv[1] == "train":
    command = ["squeue", "--noheader", "--jobs", job, "--format=%S"]
    start = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    flops = estimates.training_flops(Model.from_json(sys.argv[2]))
    seconds = flops * {seconds_per_flop}
    end = datetime.fromisoformat(start.strip()).timestamp() + seconds
    time.sleep(max(0.0, end - time.time()))
facts = {{"job": job, "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}}
for argument in sys.argv[2:]:
    path = Path(argument)
    if argument.startswith("results/") and path.suffix and not path.exists():
        path.write_text(json.dumps(facts))
"""


@dataclass(frozen=True)
class GpuJob:
    """A job on a GPU; times in seconds since the start of the run."""

    gpu: int
    start: float
    end: float
    is_training: bool


@dataclass(frozen=True)
class Run:
    """A finished run: its makespan, and all jobs on GPUs."""

    seconds: float
    work: list[float]  # seconds of each training
    gpu_jobs: list[GpuJob]
    slurm_jobs: int

    @property
    def bound(self) -> float:
        """Return a lower bound of the makespan for any schedule, in seconds."""
        return max(sum(self.work) / GPUS, max(self.work))

    def text(self) -> str:
        """Return a comparison of the makespan with its lower bound."""
        trained = [job for job in self.gpu_jobs if job.is_training]
        first, last = min(s.start for s in trained), max(s.end for s in trained)
        return (
            f"{len(self.work)} trainings on {GPUS} GPUs in {self.slurm_jobs} Slurm "
            f"jobs: {self.seconds:.0f} s, {self.seconds / self.bound - 1:.1%} above "
            f"the lower bound of {self.bound:.0f} s (longest training: "
            f"{max(self.work):.0f} s).  Trainings ran from {first:.0f} s to "
            f"{last:.0f} s.  While trainings waited, no GPU was idle for more than "
            f"{self.longest_gap():.0f} s."
        )

    def longest_gap(self) -> float:
        """Return the longest idle time of a GPU while a training waited, in seconds."""
        gaps = [0.0]
        last_start = max(job.start for job in self.gpu_jobs if job.is_training)
        for gpu in range(GPUS):
            own = sorted((s.start, s.end) for s in self.gpu_jobs if s.gpu == gpu)
            for (_, end), (start, _) in pairwise(own):
                if end < last_start:
                    gaps.append(start - end)
        return max(gaps)


def simulate(folder: Path, cluster: Cluster) -> Run:
    """Run the study in a copy of the project."""
    workflow = Workflow(folder)
    catalog = Catalog.load(folder / "config/config.yaml")
    models = [catalog.model("paper", **name) for name in catalog.all_models("paper")]
    flops = [estimates.training_flops(model) for model in models]
    factor = GPUS * SECONDS / sum(flops)
    sleeper = SLEEPER.format(seconds_per_flop=factor)
    (folder / "src/mathprobe/__main__.py").write_text(sleeper)
    start = time.time()
    with (folder / "output.txt").open("w") as output:
        process = workflow.start(
            *("--profile", "slurm", "--slurm-init-seconds-before-status-checks", 5),
            *TARGETS,
            path=cluster.environment["PATH"],
            stdout=output,
        )
        status = process.wait()
    seconds = time.time() - start
    if status != 0:
        raise RuntimeError((folder / "output.txt").read_text()[-3000:])
    listed = cluster.call("squeue", "--states=all", "--noheader", "--format=%i %S %e")
    times = {job: spans for job, *spans in map(str.split, listed.splitlines())}
    gpu_jobs = []
    for file in ("run.json", "predictions.npz"):
        for path in (folder / "results").rglob(file):
            facts = json.loads(path.read_text())
            span = (datetime.fromisoformat(t).timestamp() for t in times[facts["job"]])
            on_gpu = (moment - start for moment in span)
            gpu_jobs.append(GpuJob(int(facts["gpu"]), *on_gpu, file == "run.json"))
    return Run(seconds, [n * factor for n in flops], gpu_jobs, len(times))


def draw(run: Run, path: Path) -> None:
    """Draw a Gantt chart of the GPUs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.4), layout="constrained")
    axes = figure.subplots()
    for is_training, color, label in (
        (True, "C0", "training"),
        (False, "C1", "evaluation"),
    ):
        own = [job for job in run.gpu_jobs if job.is_training is is_training]
        axes.barh(
            [job.gpu for job in own],
            [job.end - job.start for job in own],
            left=[job.start for job in own],
            color=color,
            edgecolor="white",
            label=label,
        )
    axes.axvline(run.bound, color="black", linestyle=":", label="lower bound")
    axes.set(xlabel="seconds since the start", ylabel="GPU", yticks=range(GPUS))
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="makespan-") as place:
        with Cluster(Path(place) / "cluster", gpus=GPUS) as started:
            done = simulate(Path(place) / "copy", started)
        draw(done, Path(sys.argv[1]))
        print(done.text())
