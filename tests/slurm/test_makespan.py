"""The first study on four simulated GPUs; see `simulation.py`."""

from itertools import pairwise

import pytest
from cluster import Cluster
from simulation import GPUS, draw, simulate

pytestmark = pytest.mark.slurm_slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the study, in which trainings sleep."""
    folder = tmp_path_factory.mktemp("study")
    with Cluster(folder / "cluster", gpus=GPUS) as cluster:
        return simulate(folder / "copy", cluster)


def test_the_makespan_is_close_to_its_lower_bound(run):
    assert run.bound <= run.seconds <= 1.15 * run.bound, run.text()


def test_the_study_has_two_slurm_jobs_per_model(run):
    assert (
        run.slurm_jobs == 2 * len(run.work) + 3
    )  # condition numbers, oracle, evidence


def test_no_gpu_has_two_jobs_at_a_time(run, tmp_path):
    for gpu in range(GPUS):
        own = sorted((job.start, job.end) for job in run.gpu_jobs if job.gpu == gpu)
        assert all(a[1] <= b[0] for a, b in pairwise(own))
    draw(run, tmp_path / "makespan.svg")
    assert (tmp_path / "makespan.svg").read_text().count("<path") > len(run.work)
