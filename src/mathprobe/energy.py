"""What a GPU has consumed, where its driver tells (NVIDIA's NVML, volta or later)."""

from __future__ import annotations

import ctypes

from mathprobe.lazy import torch

LIBRARY = "libnvidia-ml.so.1"  # comes with the driver
MILLIJOULES = 1e-3


def gpu_joules(uuid: str) -> float | None:
    """Read a GPU's counter of energy, in joules; None where nothing tells."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    device, consumed = ctypes.c_void_p(), ctypes.c_ulonglong()
    # Each call gives 0 for success; after a failure the next is not made.
    failed = (
        driver.nvmlInit_v2()
        or driver.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(device))
        or driver.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(consumed))
    )
    return None if failed else MILLIJOULES * consumed.value


def device_joules(device: str) -> float | None:
    """Read the counter of the GPU that torch uses; None without one."""
    if device == "cpu":
        return None
    return gpu_joules(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
