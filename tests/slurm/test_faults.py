"""After any fault on a cluster, results are bitwise identical to a local run.

SIGSTOP pauses a training, so that the fault occurs during it on a machine of any speed.
Slurm resumes a paused process before ending it.  The faults run in parallel on one
cluster, except the node failure, which has its own cluster.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from cluster import Cluster
from sites import (
    EXAMPLES,
    ON_GPUS,
    SECONDS,
    Site,
    has_ended,
    processes_of,
    slurm_job,
    variables_of,
)

pytestmark = pytest.mark.slurm


def no_fault(site, training, process):
    job = site.cluster.call("scontrol", "show", "job", slurm_job(process))
    assert f"gres:gpu:{site.cluster.model}:1" in job
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
        site.wait_for(lambda p=process: has_ended(p), "end of the training")
        site.wait_for(lambda j=job: site.cluster.state(j) == "TIMEOUT", "TIMEOUT")
        process = training.pause()
    site.cluster.call(
        "scontrol", "update", f"JobId={slurm_job(process)}", "TimeLimit=60"
    )
    os.kill(process, signal.SIGCONT)


# The training of each fault (distribution, size and recipe), and its attempts.
TOGETHER = {
    no_fault: ("uniform_coefficients/n2/base", 1),
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


def run_with_faults(site, faults):
    """Run Snakemake once with several faults; return the result of each fault."""
    trainings = {fault: site.training(name) for fault, (name, _) in faults.items()}
    targets = [training.target for training in trainings.values()]
    all_paused = Barrier(len(faults), timeout=SECONDS)

    def cause(fault):
        process = trainings[fault].pause()
        all_paused.wait()  # `runtime` limits each job, so all trainings run together
        return fault(site, trainings[fault], process)

    with site.running(*targets) as snakemake, ThreadPoolExecutor() as pool:
        futures = {fault.__name__: pool.submit(cause, fault) for fault in faults}
        results = {name: future.result() for name, future in futures.items()}
        assert site.wait(snakemake) == 0, site.log.read_text()[-3000:]
    return results


def kill_snakemake(site):
    """Kill Snakemake during a training, and run it again."""
    training = site.training(KILLED[0])
    with site.running(training.target) as snakemake:
        process = training.pause()
        snakemake.kill()
        snakemake.wait()
    assert site.run("--unlock") == 0
    with site.running(training.target) as snakemake:
        site.wait_for(lambda: len(training.processes()) == 2, "second job")
        os.kill(process, signal.SIGCONT)
        assert site.wait(snakemake) == 0, site.log.read_text()[-3000:]


@pytest.fixture(scope="module")
def sites(cluster, tmp_path_factory):
    """Sites whose runs have started, each with the future of its run."""
    root = tmp_path_factory.mktemp("faults")
    with Cluster(root / "other", gpus=1) as other, ThreadPoolExecutor() as pool:
        on = dict.fromkeys(("day", "minute", "killed"), cluster) | {"node": other}
        sites = {name: Site(root / name, where) for name, where in on.items()}
        sites["day"].edit("max_runtime: 1d", "max_runtime: 12")
        sites["minute"].edit("max_runtime: 1d", "max_runtime: 1")
        runs = {
            name: (sites[name], pool.submit(run_with_faults, sites[name], faults))
            for name, faults in RUNS.items()
        }
        killed = sites["killed"]
        yield runs | {"killed": (killed, pool.submit(kill_snakemake, killed))}


@pytest.fixture(scope="module")
def faulty(sites):
    """Return a function that waits for the end of a fault and returns its training."""
    site_of = {fault.__name__: site for site, run in RUNS.items() for fault in run}
    site_of["snakemake_killed"] = "killed"

    def wait(fault):
        site, run = sites[site_of[fault]]
        run.result()
        return site.training(FAULTS[fault][0])

    return wait


@pytest.fixture(scope="module")
def local(sites, cluster, tmp_path_factory):
    """The same trainings without a cluster, by name."""
    site = Site(tmp_path_factory.mktemp("local") / "copy", cluster)
    trainings = {name: site.training(name) for name, _ in FAULTS.values()}
    targets = [training.target for training in trainings.values()]
    on_cpu = ("--set-resources", *(f"{rule}:device=cpu" for rule in ON_GPUS))
    settings = ("--cores", 2, "--show-failed-logs", *on_cpu)
    done = site.workflow.snakemake(*targets, *settings)
    assert done.returncode == 0, done.stdout
    return trainings


@each_fault
def test_a_fault_leaves_results_bitwise_identical(fault, faulty, local):
    assert faulty(fault).outputs() == local[FAULTS[fault][0]].outputs()


@each_fault
def test_every_attempt_resumes_from_the_last_checkpoint(fault, faulty):
    history = faulty(fault).history()
    assert len(history) == FAULTS[fault][1]
    begun = [attempt["begun_at"] for attempt in history]
    assert begun == [0, *(attempt["saved_at"] for attempt in history[:-1])]
    assert begun == sorted(set(begun))
    assert history[-1]["saved_at"] == EXAMPLES


@pytest.mark.parametrize(
    ("fault", "site"), [("requeue", "day"), ("node_failure", "node")]
)
def test_slurm_requeues_jobs(fault, site, sites):
    site, run = sites[site]
    output = site.cluster.call("scontrol", "show", "job", run.result()[fault])
    assert "JobState=COMPLETED" in output
    assert "Restarts=1" in output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mem_mb: 2000",
            "mem_mb: 900000",
            "Memory specification can not be satisfied",
        ),
        (
            "partition: gpu",
            "partition: nowhere",
            "invalid partition specified: nowhere",
        ),
    ],
    ids=["memory", "partition"],
)
def test_errors_of_slurm_are_printed(cluster, tmp_path, old, new, message):
    site = Site(tmp_path / "copy", cluster)
    site.edit(old, new)
    run = site.training("uniform_coefficients/n2/base").target.replace(
        "scores.csv", "run.json"
    )
    assert site.run("--retries", "0", run) != 0
    assert message in site.log.read_text()
    assert "Traceback" not in site.log.read_text()
