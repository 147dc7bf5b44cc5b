"""What all commands share: their registry, and the device on which torch works."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from mathprobe import gpus

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser
COMMANDS: dict[str, tuple[Callable[[Parser], None], Callable[[Arguments], None]]] = {}


def command(prepare: Callable[[Parser], None]) -> Callable:
    """Register a command under its function's name, with its arguments."""

    def register(function: Callable[[Arguments], None]) -> Callable:
        COMMANDS[function.__name__] = prepare, function
        return function

    return register


def set_up_torch(threads: int) -> str:
    """Return the device that torch uses, set up to give the same bits every time."""
    gpus.choose()
    # cuBLAS reads this at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    # Does what `use_deterministic_algorithms` does, without loading the compiler.
    torch.set_deterministic_debug_mode("error")
    # Nothing here reads memory that it has not written; filling it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Name a device as its maker does."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device
