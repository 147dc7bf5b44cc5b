"""Set-up of torch and its device."""

from __future__ import annotations

import os


def set_up_torch(threads: int) -> str:
    """Set up torch for bitwise reproducible results and return its device.

    The device is `cuda` if there is a GPU, else `cpu`.
    """
    from mathprobe import gpus

    gpus.reserve()
    # Makes cuBLAS deterministic; cuBLAS reads the variable at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    # Like `use_deterministic_algorithms`, but does not load the compiler.
    torch.set_deterministic_debug_mode("error")
    # No code here reads uninitialised memory; filling it costs time.  The module
    # replaces itself by a class, which is unknown to mypy.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Return the name of the GPU model, or `cpu`."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device
