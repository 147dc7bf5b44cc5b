"""The device on which torch computes."""

from __future__ import annotations

import os


def set_up_torch(threads: int) -> str:
    """Return the device that torch uses, set up to give the same bits every time."""
    from mathprobe import gpus

    gpus.reserve()
    # cuBLAS reads this at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    # Does what `use_deterministic_algorithms` does, without loading the compiler.
    torch.set_deterministic_debug_mode("error")
    # Nothing here reads memory that it has not written; filling it costs time.
    # Set in a module that makes itself a class, which the checker cannot see.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Return the name that the maker of a device gives it."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device
