"""The cluster on which the other tests of this folder run."""

import os
import subprocess
import sys

import cluster as module
import pytest
from cluster import Cluster, NoSlurm, install

pytestmark = pytest.mark.slurm


def started_by(folder):
    """Return the processes that have a folder in their command."""
    found = []
    for process in os.listdir("/proc"):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as command:
                if str(folder).encode() in command.read():
                    found.append(int(process))
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            continue
    return found


def test_two_jobs_get_different_gpus(cluster):
    seen = [cluster.folder / f"seen{number}" for number in range(2)]
    ids = [
        cluster.call(
            *("sbatch", "--parsable", "--partition=gpu", "--gpus=h200:2"),
            *("--output=/dev/null", "--wrap"),
            f"echo $CUDA_VISIBLE_DEVICES > {path}; sleep 3",
        )
        for path in seen
    ]
    cluster.wait_for_jobs(ids)
    gpus = [path.read_text().strip() for path in seen]
    assert sorted(gpus) == ["0,1", "2,3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpus=9"], "Requested node configuration is not available"),
        (["--mem=900G"], "Memory specification can not be satisfied"),
        (["--partition=nowhere"], "invalid partition specified: nowhere"),
    ],
)
def test_requests_beyond_the_cluster_are_rejected(cluster, options, message):
    with pytest.raises(RuntimeError, match=message):
        cluster.call("sbatch", *options, "--wrap", "true")


def test_all_processes_end_with_the_cluster(tmp_path):
    folder = tmp_path / "cluster"
    with Cluster(folder) as one:
        one.call("sbatch", "--output=/dev/null", "--wrap", "sleep 100")
        assert len(started_by(folder)) >= len(module.DAEMONS)
    assert started_by(folder) == []


def test_a_command_runs_in_a_cluster():
    done = subprocess.run(
        [sys.executable, module.__file__, "sinfo", "--noheader", "--format=%R"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cpu", "gpu"]


def test_a_failed_installation_raises_noslurm(monkeypatch):
    monkeypatch.setattr(module, "SYSTEM", "/nowhere")
    with pytest.raises(NoSlurm, match="needs root and apt; skip these tests with"):
        install()
