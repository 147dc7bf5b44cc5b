"""NVIDIA GPUs of this machine: one GPU for each job, and its energy consumption.

GPUs are identified by UUID, because their indices in CUDA and in the driver may differ.
`nvidia-smi`, a part of the driver, lists them.  In MIG mode, the instances of a GPU are
listed instead of the GPU, and a job uses one instance.  Energy needs `pynvml` (extra
`gpu`).
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

from mathprobe import files
from mathprobe.lazy import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
HIDDEN = ("", "-1", "NoDevFiles")  # values that hide all GPUs; the last is Slurm's
JOULES_PER_MILLIJOULE = 1e-3
_UUID = re.compile(r"UUID: ((?:GPU|MIG)-[^)]+)\)")
# By UUID; open, and therefore locked, until the process ends.
_locks: dict[str, TextIO] = {}


def list_uuids() -> list[str]:
    """Return the UUIDs of the GPUs, or of their MIG instances, that the driver lists.

    The list is empty without a driver.
    """
    uuids: list[str] = []
    for uuid in _UUID.findall(_nvidia_smi("--list-gpus")):
        if uuid.startswith("MIG-") and uuids and uuids[-1].startswith("GPU-"):
            uuids.pop()  # the GPU to which the instance belongs
        uuids.append(uuid)
    return uuids


def driver_version() -> str | None:
    """Return the version of the driver, or None without a driver."""
    query = ("--query-gpu=driver_version", "--format=csv,noheader")
    return next(iter(_nvidia_smi(*query).splitlines()), None)


def _nvidia_smi(*arguments: str) -> str:
    """Return the output of `nvidia-smi`, or an empty text if it is missing or fails."""
    command = ["nvidia-smi", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout


def seem_present() -> bool:
    """Return whether a GPU is announced by CUDA_VISIBLE_DEVICES or by the driver.

    The driver counts only if the variable is not set.
    """
    if VISIBLE in os.environ:
        return os.environ[VISIBLE] not in HIDDEN
    return bool(list_uuids())


def reserve() -> str | None:
    """Lock a GPU that no other job of this user has locked, and hide all others.

    Call it before torch uses CUDA.  If no GPU is free, one is shared, chosen by the
    process ID.  Returns the UUID, or None if nothing is hidden: if CUDA_VISIBLE_DEVICES
    is set, for example by Slurm, or if there are fewer than two GPUs.
    """
    if VISIBLE in os.environ:
        return None
    uuids = list_uuids()
    if len(uuids) < 2:
        return None
    shared = uuids[os.getpid() % len(uuids)]
    os.environ[VISIBLE] = next(filter(_try_lock, uuids), shared)
    return os.environ[VISIBLE]


def claim() -> None:
    """Lock the GPU that torch uses; if another job has locked it, record the sharing.

    Prints that the GPU is shared.
    """
    uuid = _current_uuid()
    if uuid not in _locks and not _try_lock(uuid):
        with _lock_file(uuid).open("a", encoding="utf-8") as lock:
            lock.write(f"{os.getpid()}\n")
        print(f"{uuid}: shared with another job, so energy is not recorded", flush=True)


def total_energy(device: str) -> float | None:
    """Return the energy in joules that a GPU has consumed since the driver was loaded.

    `device` is a torch device.  The result is None for the CPU, for a GPU that another
    job has shared since `claim`, for a MIG instance, without `pynvml`, and for GPUs
    that do not measure energy (before Volta).
    """
    if device == "cpu" or not _is_exclusive(_current_uuid()):
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(_current_uuid())
        return JOULES_PER_MILLIJOULE * pynvml.nvmlDeviceGetTotalEnergyConsumption(
            handle
        )
    except pynvml.NVMLError:
        return None


def _current_uuid() -> str:
    """Return the UUID of the GPU, or of the MIG instance, that torch uses."""
    visible = os.environ.get(VISIBLE, "")
    if visible.startswith("MIG-"):
        return visible.split(",")[0]  # CUDA uses only the first instance
    return f"GPU-{torch.cuda.get_device_properties().uuid}"


def _is_exclusive(uuid: str) -> bool:
    """Return whether this job has a whole GPU, which no other job has shared."""
    lock = _locks.get(uuid)
    is_whole = uuid.startswith("GPU-")
    return is_whole and lock is not None and not os.fstat(lock.fileno()).st_size


def _lock_file(uuid: str) -> Path:
    return Path(tempfile.gettempdir()) / f"mathprobe-{os.getuid()}-{uuid}.lock"


def _try_lock(uuid: str) -> bool:
    """Lock a GPU; return False if another process has locked it.

    Jobs that share the GPU write to the lock file, so it is emptied.
    """
    with suppress(BlockingIOError), ExitStack() as opened:
        lock = opened.enter_context(_lock_file(uuid).open("a", encoding="utf-8"))
        files.lock_file(lock, fcntl.LOCK_NB)
        lock.truncate(0)
        _locks[uuid] = lock
        opened.pop_all()
        return True
    return False
