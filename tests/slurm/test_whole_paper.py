"""The whole paper's DAG on four made-up GPUs; `simulation.py` tells what is real."""

from itertools import pairwise

import pytest
from cluster import Cluster
from simulation import GPUS, draw, simulate

pytestmark = pytest.mark.slurm_slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of the whole paper, with sleeping trainings."""
    folder = tmp_path_factory.mktemp("whole")
    with Cluster(folder / "cluster", gpus=GPUS) as cluster:
        return simulate(folder / "copy", cluster)


def test_the_whole_paper_comes_near_its_lower_bound(run):
    assert run.bound <= run.seconds <= 1.15 * run.bound, run.text()


def test_the_whole_paper_is_few_jobs(run):
    assert 2 * len(run.work) <= run.slurm_jobs <= 300


def test_no_gpu_has_two_jobs_at_a_time(run, tmp_path):
    for gpu in range(GPUS):
        own = sorted((stay.begun, stay.ended) for stay in run.stays if stay.gpu == gpu)
        assert all(a[1] <= b[0] for a, b in pairwise(own))
    draw(run, tmp_path / "makespan.svg")
    assert (tmp_path / "makespan.svg").read_text().count("<path") > len(run.work)
