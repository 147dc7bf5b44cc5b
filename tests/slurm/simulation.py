"""The first study on a made-up cluster, where trainings sleep instead of training.

    python tests/slurm/simulation.py docs/makespan.svg

The DAG, the profile and Slurm are the real ones.  Each training sleeps in proportion to
its operations, from when Slurm started its job: the start of a job, seconds beside
days, would else be long beside minutes.  Everything else makes empty files.  The figure
shows which training had which GPU when; the text compares the run with its lower bound.
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
SECONDS = 1800.0  # of trainings, with all GPUs busy
# All models of the first study, and what needs none.
TABLES = ("runs.csv", "verifiers.tex", "condition_numbers.csv", "ceilings.csv")
TARGETS = [f"results/paper/tables/{table}" for table in (*TABLES, "evidence.csv")]
SLEEPER = """\
import json, os, subprocess, sys, time
from datetime import datetime
from pathlib import Path

from mathprobe import estimates
from mathprobe.spec import Model

job = os.environ.get("SLURM_JOB_ID")
if sys.argv[1] == "train":
    asked = ["squeue", "--noheader", "--jobs", job, "--format=%S"]
    begun = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    seconds = estimates.training_flops(Model.from_json(sys.argv[2])) * {seconds_per_operation}
    end = datetime.fromisoformat(begun.strip()).timestamp() + seconds
    time.sleep(max(0.0, end - time.time()))
facts = {{"job": job, "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}}
for argument in sys.argv[2:]:
    path = Path(argument)
    if argument.startswith("results/") and path.suffix and not path.exists():
        path.write_text(json.dumps(facts))
"""


@dataclass(frozen=True)
class Stay:
    """A job's time on a GPU, in seconds since the run began."""

    gpu: int
    begun: float
    ended: float
    trains: bool


@dataclass(frozen=True)
class Run:
    """What happened: the time of all, what was on the GPUs, what Slurm was sent."""

    seconds: float
    work: list[float]  # of each training: what it sleeps
    stays: list[Stay]
    slurm_jobs: int

    @property
    def bound(self) -> float:
        """Give the time below which no order of the trainings can come."""
        return max(sum(self.work) / GPUS, max(self.work))

    def text(self) -> str:
        """Say how near to the bound the run came."""
        trained = [stay for stay in self.stays if stay.trains]
        first, last = min(s.begun for s in trained), max(s.ended for s in trained)
        return (
            f"{len(self.work)} trainings on {GPUS} GPUs, {self.slurm_jobs} jobs for "
            f"Slurm: {self.seconds:.0f} s, {self.seconds / self.bound - 1:.1%} above "
            f"the bound of {self.bound:.0f} s (the longest training takes "
            f"{max(self.work):.0f} s); trainings ran from {first:.0f} s to "
            f"{last:.0f} s; while one waited, no GPU waited for more than "
            f"{self.longest_gap():.0f} s"
        )

    def longest_gap(self) -> float:
        """Give the longest time that a GPU was idle while a training waited."""
        gaps = [0.0]
        last_start = max(stay.begun for stay in self.stays if stay.trains)
        for gpu in range(GPUS):
            own = sorted((s.begun, s.ended) for s in self.stays if s.gpu == gpu)
            for (_, ended), (begun, _) in pairwise(own):
                if ended < last_start:
                    gaps.append(begun - ended)
        return max(gaps)


def simulate(folder: Path, cluster: Cluster) -> Run:
    """Run the study in a copy of the project."""
    workflow = Workflow(folder)
    catalog = Catalog.load(folder / "config/config.yaml")
    models = [catalog.model("paper", **name) for name in catalog.all_models("paper")]
    operations = [estimates.training_flops(model) for model in models]
    factor = GPUS * SECONDS / sum(operations)
    sleeper = SLEEPER.format(seconds_per_operation=factor)
    (folder / "src/mathprobe/__main__.py").write_text(sleeper)
    begun = time.time()
    with (folder / "said.txt").open("w") as said:
        process = workflow.start(
            *("--profile", "slurm", "--slurm-init-seconds-before-status-checks", 5),
            *TARGETS,
            path=cluster.environment["PATH"],
            stdout=said,
        )
        status = process.wait()
    seconds = time.time() - begun
    if status != 0:
        raise RuntimeError((folder / "said.txt").read_text()[-3000:])
    shown = cluster.call("squeue", "--states=all", "--noheader", "--format=%i %S %e")
    times = {job: spans for job, *spans in map(str.split, shown.splitlines())}
    stays = []
    for file in ("run.json", "predictions.npz"):
        for path in (folder / "results").rglob(file):
            facts = json.loads(path.read_text())
            span = (datetime.fromisoformat(t).timestamp() for t in times[facts["job"]])
            on_gpu = (moment - begun for moment in span)
            stays.append(Stay(int(facts["gpu"]), *on_gpu, file == "run.json"))
    return Run(seconds, [n * factor for n in operations], stays, len(times))


def draw(run: Run, path: Path) -> None:
    """Draw which job had which GPU when."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.4), layout="constrained")
    axes = figure.subplots()
    for trains, colour, what in ((True, "C0", "training"), (False, "C1", "answers")):
        own = [stay for stay in run.stays if stay.trains is trains]
        axes.barh(
            [stay.gpu for stay in own],
            [stay.ended - stay.begun for stay in own],
            left=[stay.begun for stay in own],
            color=colour,
            edgecolor="white",
            label=what,
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
