"""NVIDIA GPUs of this machine: one GPU for each job, and its energy consumption.

GPUs are identified by UUID, because their indices in CUDA and in the driver may differ.
Without `pynvml` (extra `gpu`) or without a driver, no GPU is reserved and the energy is
None.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TextIO, TypeVar

from mathprobe.lazy import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
JOULES_PER_MILLIJOULE = 1e-3
T = TypeVar("T")
_locks: list[TextIO] = []  # open, and therefore locked, until the process ends


def reserve() -> None:
    """Lock a GPU that no other job of this user has locked, and hide all others.

    Does nothing if CUDA_VISIBLE_DEVICES is set, for example by Slurm, or if there are
    fewer than two GPUs.  If no GPU is free, one is shared, chosen by the process ID.
    """
    if VISIBLE in os.environ:
        return
    uuids = _query(_list_uuids) or []
    if len(uuids) > 1:
        shared = uuids[os.getpid() % len(uuids)]
        os.environ[VISIBLE] = next(filter(_try_lock, uuids), shared)


def total_energy(device: str) -> float | None:
    """Return the energy in joules that a GPU has consumed since the driver was loaded.

    `device` is a torch device.  The result is None for the CPU, and for GPUs that do
    not measure energy (before Volta).
    """
    if device == "cpu":
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"

    def energy(nvml: ModuleType) -> float:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        return JOULES_PER_MILLIJOULE * nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    return _query(energy)


def _query(function: Callable[[ModuleType], T]) -> T | None:
    """Return `function(pynvml)`, or None without a driver or if the call fails."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return function(pynvml)
    except pynvml.NVMLError:
        return None


def _list_uuids(nvml: ModuleType) -> list[str]:
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    return [nvml.nvmlDeviceGetUUID(handle) for handle in handles]


def _try_lock(uuid: str) -> bool:
    """Lock a GPU; return False if another process has locked it."""
    name = f"mathprobe-{os.getuid()}-{uuid}.lock"
    lock = (Path(tempfile.gettempdir()) / name).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _locks.append(lock)
    return True
