"""NVIDIA GPUs of this machine: one for each job, and the energy that it consumes.

A GPU is named by its UUID, which CUDA and the driver share; their indices may differ.
Without `pynvml` (extra `gpu`) or without a driver, no GPU is chosen and energy is None.
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
JOULES = 1e-3  # in a millijoule
T = TypeVar("T")
_locks: list[TextIO] = []  # open, and so locked, until the process ends


def reserve() -> None:
    """Lock a GPU that no other job of this user holds, and show torch no other.

    Does nothing if CUDA_VISIBLE_DEVICES is set, as Slurm does, or if there are fewer
    than two GPUs.  If none is free, jobs share, spread over all.
    """
    if VISIBLE in os.environ:
        return
    uuids = _ask(_list) or []
    if len(uuids) > 1:
        shared = uuids[os.getpid() % len(uuids)]
        os.environ[VISIBLE] = next(filter(_lock, uuids), shared)


def total_energy(device: str) -> float | None:
    """Return the energy that torch's device has consumed so far, in joules.

    None for a processor, and if the driver does not count (GPUs before Volta).
    """
    if device == "cpu":
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"

    def consumed(nvml: ModuleType) -> float:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        return JOULES * nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    return _ask(consumed)


def _ask(question: Callable[[ModuleType], T]) -> T | None:
    """Ask the driver; None if there is none, or if it cannot answer."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return question(pynvml)
    except pynvml.NVMLError:
        return None


def _list(nvml: ModuleType) -> list[str]:
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    return [nvml.nvmlDeviceGetUUID(handle) for handle in handles]


def _lock(uuid: str) -> bool:
    """Lock a GPU; return whether it was free."""
    name = f"mathprobe-{os.getuid()}-{uuid}.lock"
    lock = (Path(tempfile.gettempdir()) / name).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _locks.append(lock)
    return True
