"""A real Slurm cluster of one node on this machine, with simulated GPUs.

Run a command in such a cluster, then stop the cluster (`bash` opens a shell):

    python tests/slurm/cluster.py COMMAND...

Slurm is installed with apt if it is missing, which needs root.  All other files are in
one folder.  Its `bin` has wrappers of Slurm's commands that set SLURM_CONF, because
jobs that are submitted by jobs do not inherit this variable.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS_TO_START = 60.0
SECONDS_TO_ANSWER = 120.0  # timeout of a command, which may wait for a busy daemon

# There is no accounting, as on many small clusters.  DefMemPerCPU is set because a job
# without a memory limit would otherwise reserve all memory.  A requeued job waits until
# its credential expires.  PriorityWeightPartition keeps priorities above 1, so that
# `nice` has an effect.  The node claims more CPUs and memory than the machine has.
# Timeouts are long: on a busy machine, Slurm drains a node that answers too late, and
# `sbatch` and Snakemake fail if the controller does.
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=40
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldTimeout=10
SlurmdTimeout=300
MessageTimeout=100
UnkillableStepTimeout=300
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/multifactor
PriorityWeightPartition=1000
DefMemPerCPU=500
JobRequeue=1
KillWait=20
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} \
RealMemory={memory_mb} Gres=gpu:{model}:{gpus}
PartitionName=cpu Nodes=one Default=YES PriorityJobFactor=1 MaxTime=1440 State=UP
PartitionName=gpu Nodes=one PriorityJobFactor=1 MaxTime=1440 State=UP
"""


class NoSlurm(RuntimeError):
    """Slurm is missing and cannot be installed."""


def install() -> None:
    """Install Slurm with apt if it is missing; raise NoSlurm if that fails."""
    if all(shutil.which(name, path=SYSTEM) for name in (*DAEMONS, *COMMANDS)):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get", path=SYSTEM):
        raise NoSlurm(
            f"Slurm is missing, and its installation ({' '.join(PACKAGES)}) needs root "
            "and apt; skip these tests with `-m 'not slurm and not slurm_slow'`"
        )
    # With this run level, packages do not start daemons.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends"]):
        packages = PACKAGES if "install" in arguments else ()
        done = subprocess.run(
            ["apt-get", "-qq", *arguments, *packages],
            env=quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise NoSlurm(f"apt-get {' '.join(arguments)}: {done.stdout[-2000:]}")


def free_ports(count: int) -> list[int]:
    """Return free ports."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """A cluster of one node with simulated GPUs; a context manager."""

    model = "h200"

    def __init__(
        self, folder: Path, gpus: int = 4, cpus: int = 64, memory_mb: int = 64_000
    ) -> None:
        self.folder = folder
        self.gpus, self.cpus, self.memory_mb = gpus, cpus, memory_mb
        self.daemons: dict[str, subprocess.Popen] = {}
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}:{SYSTEM}",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def __enter__(self) -> "Cluster":
        install()
        self._configure()
        try:
            self._start_munged()
            self._start("slurmctld", "-D", "-c", "-f", self.folder / "slurm.conf")
            self.start_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        """Cancel all jobs and stop the daemons of this cluster."""
        try:
            if "slurmd" in self.daemons:
                self.call("scancel", "--user", pwd.getpwuid(os.getuid()).pw_name)
                empty = "squeue", "--noheader"
                self._wait_for(lambda: not self.call(*empty), "empty queue")
        finally:
            for name in reversed(self.daemons):
                self._end(self.daemons[name])
            self.daemons.clear()

    @staticmethod
    def _end(daemon: subprocess.Popen) -> None:
        daemon.terminate()
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def call(self, *command: object) -> str:
        """Run a command of Slurm and return its output."""
        done = subprocess.run(
            list(map(str, command)),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_TO_ANSWER,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}")
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """Return the state of a job, as printed by `squeue`."""
        output = self.call("squeue", "--states=all", "--noheader", "--format=%i %T")
        return dict(line.split() for line in output.splitlines())[job]

    def wait_for_jobs(self, jobs: list[str]) -> None:
        """Wait until jobs are completed."""

        def completed() -> bool:
            return {self.state(job) for job in jobs} == {"COMPLETED"}

        self._wait_for(completed, f"end of the jobs {', '.join(jobs)}")

    def start_node(self) -> None:
        """Start the daemon of the node and wait until the controller lists it as up."""
        self._start("slurmd", "-D", "-N", "one", "-f", self.folder / "slurm.conf")
        self._wait_for(self._is_up, "node that is up")

    def crash(self, processes: Iterable[int]) -> None:
        """Simulate a node failure: kill its daemon and processes of its jobs.

        Set its state to DOWN, as the controller would do after a timeout.
        """
        self.daemons["slurmd"].kill()
        for process in processes:
            os.kill(process, signal.SIGKILL)
        self.daemons.pop("slurmd").wait()
        down = "State=DOWN", "Reason=crashed"
        self.call("scontrol", "update", "NodeName=one", *down)

    def _is_up(self) -> bool:
        state = self.call("sinfo", "--noheader", "--Node", "--format=%t")
        return bool(state) and set(state.split()) <= {"idle", "mix", "alloc"}

    def _configure(self) -> None:
        controller, node = free_ports(2)
        for name in ("bin", "state", "spool", "gpu"):
            (self.folder / name).mkdir(parents=True)
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            user=pwd.getpwuid(os.getuid()).pw_name,
            folder=self.folder,
            controller=controller,
            node=node,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            model=self.model,
            gpus=self.gpus,
        )
        (self.folder / "slurm.conf").write_text(text)
        files = [self.folder / "gpu" / str(number) for number in range(self.gpus)]
        for file in files:
            file.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(
            "".join(
                f"NodeName=one Name=gpu Type={self.model} File={file}\n"
                for file in files
            )
        )
        for name in COMMANDS:
            shim = self.folder / "bin" / name
            real = shutil.which(name, path=SYSTEM)
            conf = self.folder / "slurm.conf"
            shim.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {real} "$@"\n')
            shim.chmod(0o755)

    def _start_munged(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = {"key-file": key}
        for option in ("socket", "pid-file", "seed-file", "log-file"):
            paths[option] = self.folder / f"munge.{option.removesuffix('-file')}"
        options = [f"--{option}={path}" for option, path in paths.items()]
        # munged refuses a folder below a world-writable one without --force.
        self._start("munged", "--foreground", "--force", *options)
        self._wait_for((self.folder / "munge.socket").exists, "munge's socket")

    def _start(self, name: str, *options: object) -> None:
        with (self.folder / f"{name}.out").open("a") as output:
            self.daemons[name] = subprocess.Popen(
                [shutil.which(name, path=SYSTEM), *map(str, options)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_for(self, condition, what: str) -> None:
        end = time.monotonic() + SECONDS_TO_START
        while not condition():
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    output = (self.folder / f"{name}.out").read_text()
                    raise RuntimeError(f"{name} ended: {output[-2000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"no {what} after {SECONDS_TO_START:.0f} s")
            time.sleep(0.2)


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as place,
        Cluster(Path(place) / "cluster") as cluster,
    ):
        done = subprocess.run(sys.argv[1:] or ["bash"], env=cluster.environment)
    sys.exit(done.returncode)
