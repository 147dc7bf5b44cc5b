"""Whatever happens on the cluster, the results are those of a local run.

A training is held in the middle by SIGSTOP, so that a fault finds it there however fast
the machine is; Slurm wakes what it ends.  The faults run side by side on one cluster,
but for that of a node, which has a cluster of its own.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from cluster import Cluster
from sites import (
    EXAMPLES,
    SECONDS,
    Site,
    has_ended,
    processes_of,
    slurm_job,
    variables_of,
    wait_for,
)

pytestmark = pytest.mark.slurm


def nothing(site, training, process):
    asked = site.cluster.call("scontrol", "show", "job", slurm_job(process))
    assert f"gres:gpu:{site.cluster.model}:1" in asked
    assert variables_of(process)["CUDA_VISIBLE_DEVICES"].isdecimal()
    os.kill(process, signal.SIGCONT)


def scancel(site, training, process):
    site.cluster.call("scancel", slurm_job(process))


def requeue(site, training, process):
    job = slurm_job(process)
    site.cluster.call("scontrol", "requeue", job)
    return job


def node_failure(site, training, process):
    job = slurm_job(process)
    site.cluster.crash(processes_of(job))
    site.cluster.start_node()
    return job


def time_limit_twice(site, training, process):
    for _ in range(2):
        job = slurm_job(process)
        wait_for(lambda p=process: has_ended(p), "end of the training")
        wait_for(lambda j=job: site.cluster.state(j) == "TIMEOUT", "TIMEOUT")
        process = training.hold()
    site.cluster.call(
        "scontrol", "update", f"JobId={slurm_job(process)}", "TimeLimit=60"
    )
    os.kill(process, signal.SIGCONT)


# What happens, to which training (distribution, size and recipe), and in how many attempts.
TOGETHER = {
    nothing: ("uniform_coefficients/n2/base", 1),
    scancel: ("uniform_coefficients/n2/attended", 2),
    requeue: ("gaussian_coefficients/n2/base", 2),
}
LIMITED = {time_limit_twice: ("uniform_coefficients/n2/p1000", 3)}
FAILED = {node_failure: ("gaussian_coefficients/n2/p1000", 2)}
KILLED = ("gaussian_coefficients/n2/attended", 1)
RUNS = {"day": TOGETHER, "minute": LIMITED, "node": FAILED}  # by site
FAULTS = {f.__name__: what for run in RUNS.values() for f, what in run.items()}
FAULTS["snakemake_killed"] = KILLED
each_fault = pytest.mark.parametrize("fault", FAULTS)


def go_through(site, faults):
    """Run Snakemake once while faults happen; give what each returns."""
    trainings = {fault: site.training(name) for fault, (name, _) in faults.items()}
    targets = [training.target for training in trainings.values()]
    all_held = Barrier(len(faults), timeout=SECONDS)

    def happen(fault):
        process = trainings[fault].hold()
        all_held.wait()  # the limit is of each job, not of all together
        return fault(site, trainings[fault], process)

    with site.running(*targets) as snakemake, ThreadPoolExecutor() as pool:
        begun = {fault.__name__: pool.submit(happen, fault) for fault in faults}
        returned = {name: future.result() for name, future in begun.items()}
        assert site.ended(snakemake) == 0, site.said.read_text()[-3000:]
    return returned


def kill_snakemake(site):
    """Kill Snakemake while a training runs, and run it again."""
    training = site.training(KILLED[0])
    with site.running(training.target) as snakemake:
        process = training.hold()
        snakemake.kill()
        snakemake.wait()
    assert site.run("--unlock") == 0
    with site.running(training.target) as snakemake:
        wait_for(lambda: len(training.processes()) == 2, "second job of the training")
        os.kill(process, signal.SIGCONT)
        assert site.ended(snakemake) == 0, site.said.read_text()[-3000:]


@pytest.fixture(scope="module")
def sites(cluster, tmp_path_factory):
    """Sites on which everything has begun, and a place that waits for their ends."""
    root = tmp_path_factory.mktemp("faults")
    with Cluster(root / "other", gpus=1) as other, ThreadPoolExecutor() as pool:
        on = dict.fromkeys(("day", "minute", "killed"), cluster) | {"node": other}
        made = {name: Site(root / name, where) for name, where in on.items()}
        made["day"].edit("runtime: 1440", "runtime: 12")
        made["minute"].edit("runtime: 1440", "runtime: 1")
        begun = {
            name: (made[name], pool.submit(go_through, made[name], faults))
            for name, faults in RUNS.items()
        }
        killed = made["killed"]
        yield begun | {"killed": (killed, pool.submit(kill_snakemake, killed))}


@pytest.fixture(scope="module")
def faulty(sites):
    """A function that waits for the end of a fault, and gives its training."""
    homes = {fault.__name__: home for home, run in RUNS.items() for fault in run}
    homes["snakemake_killed"] = "killed"

    def wait(fault):
        site, run = sites[homes[fault]]
        run.result()
        return site.training(FAULTS[fault][0])

    return wait


@pytest.fixture(scope="module")
def local(sites, cluster, tmp_path_factory):
    """The same trainings, by name, made without a cluster."""
    site = Site(tmp_path_factory.mktemp("local") / "copy", cluster)
    trainings = {name: site.training(name) for name, _ in FAULTS.values()}
    targets = [training.target for training in trainings.values()]
    done = site.workflow.snakemake("--cores", 2, "--show-failed-logs", *targets)
    assert done.returncode == 0, done.stdout
    return trainings


@each_fault
def test_a_fault_changes_no_bit_of_the_result(fault, faulty, local):
    assert faulty(fault).made() == local[FAULTS[fault][0]].made()


@each_fault
def test_nothing_that_was_saved_is_trained_again(fault, faulty):
    history = faulty(fault).history()
    assert len(history) == FAULTS[fault][1]
    begun = [attempt["begun_at"] for attempt in history]
    assert begun == [0, *(attempt["saved_at"] for attempt in history[:-1])]
    assert begun == sorted(set(begun))
    assert history[-1]["saved_at"] == EXAMPLES


@pytest.mark.parametrize(
    ("fault", "home"), [("requeue", "day"), ("node_failure", "node")]
)
def test_slurm_itself_starts_what_it_stopped(fault, home, sites):
    site, run = sites[home]
    shown = site.cluster.call("scontrol", "show", "job", run.result()[fault])
    assert "JobState=COMPLETED" in shown
    assert "Restarts=1" in shown


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "config/config.yaml",
            "mem_mb: 2000",
            "mem_mb: 900000",
            "Memory specification can not be satisfied",
        ),
        (
            "workflow/profiles/slurm/config.yaml",
            "slurm_partition: \"'gpu'",
            "slurm_partition: \"'nowhere'",
            "invalid partition specified: nowhere",
        ),
    ],
    ids=["memory", "partition"],
)
def test_what_slurm_refuses_is_said_in_its_words(
    cluster, tmp_path, file, old, new, said
):
    site = Site(tmp_path / "copy", cluster)
    site.edit(old, new, file)
    run = site.training("uniform_coefficients/n2/base").target.replace(
        "scores.csv", "run.json"
    )
    assert site.run("--retries", "0", run) != 0
    assert said in site.said.read_text()
    assert "Traceback" not in site.said.read_text()
