"""The first study on four made-up GPUs; `simulation.py` tells what is real in it."""

from itertools import pairwise

import pytest
from cluster import Cluster
from simulation import GPUS, draw, simulate

pytestmark = pytest.mark.slurm_slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of the study, with sleeping trainings."""
    folder = tmp_path_factory.mktemp("study")
    with Cluster(folder / "cluster", gpus=GPUS) as cluster:
        return simulate(folder / "copy", cluster)


def test_the_study_comes_near_its_lower_bound(run):
    assert run.bound <= run.seconds <= 1.15 * run.bound, run.text()


def test_the_study_is_two_jobs_for_each_model(run):
    assert run.slurm_jobs == 2 * len(run.work) + 3  # conditions, ceilings, evidence


def test_no_gpu_has_two_jobs_at_a_time(run, tmp_path):
    for gpu in range(GPUS):
        own = sorted((stay.begun, stay.ended) for stay in run.stays if stay.gpu == gpu)
        assert all(a[1] <= b[0] for a, b in pairwise(own))
    draw(run, tmp_path / "makespan.svg")
    assert (tmp_path / "makespan.svg").read_text().count("<path") > len(run.work)
