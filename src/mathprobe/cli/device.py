"""Set-up of torch and its device."""

from __future__ import annotations

import os

from mathprobe import gpus
from mathprobe.errors import InputError
from mathprobe.lazy import torch


def set_up_torch(device: str, threads: int) -> str:
    """Set up torch for bitwise reproducible results; print and return its device.

    `device` is `cpu`, `cuda` or `auto`, which is `cuda` if there is a GPU, else `cpu`.
    The result is `cpu` or `cuda`.  Raises InputError if torch cannot use a GPU although
    `device` is `cuda`, or although it is `auto` and there seems to be a GPU.
    """
    chosen = "cpu" if device == "cpu" else _reserve_gpu(device)
    make_deterministic()
    torch.set_num_threads(threads)
    print(f"device: {device_name(chosen)}", flush=True)
    return chosen


def make_deterministic() -> None:
    """Make the results of torch bitwise reproducible; call it before torch uses CUDA.

    Products of float32 matrices use float32, not TF32, even if the machine has another
    default.
    """
    # Makes cuBLAS deterministic; cuBLAS reads the variable at its first use.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    # Like `use_deterministic_algorithms`, but does not load the compiler.
    torch.set_deterministic_debug_mode("error")
    torch.set_float32_matmul_precision("highest")
    # No code here reads uninitialised memory; filling it costs time.  The module
    # replaces itself by a class, which is unknown to mypy.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _reserve_gpu(device: str) -> str:
    """Reserve a GPU and return `cuda`; return `cpu` for `auto` without a GPU.

    Raises InputError as `set_up_torch` does.
    """
    reserved = gpus.reserve()
    problem = _cuda_problem()
    count = 0 if problem else torch.cuda.device_count()
    if reserved and count > 1:
        problem = f"it found {count} GPUs, not only {reserved}"
    if problem and (device == "cuda" or gpus.seem_present()):
        raise InputError(_explain(device, problem))
    if problem:
        return "cpu"
    if count > 1:
        print(f"none of {count} GPUs is reserved, using the first", flush=True)
    gpus.claim()
    return "cuda"


def _cuda_problem() -> str:
    """Return why torch cannot use a GPU, or an empty text if it can."""
    try:
        torch.zeros((), device="cuda")
    except (AssertionError, RuntimeError) as error:
        return str(error).strip().splitlines()[0].rstrip(".")
    return ""


def _explain(device: str, problem: str) -> str:
    """Return the message of the error: the request, the machine and the remedy."""
    build, listed = torch.version.cuda, len(gpus.list_uuids())
    visible = os.environ.get(gpus.VISIBLE)
    remedies = [] if build else ["install torch for CUDA"]
    remedies += [] if listed else ["run on a machine with a GPU"]
    remedy = " and ".join(remedies) or f"check the driver and {gpus.VISIBLE}"
    return (
        f"--device {device}: torch cannot use a GPU ({problem}). "
        f"Found: torch {torch.__version__} built "
        f"{f'for CUDA {build}' if build else 'without CUDA'}, "
        f"{listed} GPUs listed by nvidia-smi, "
        f"{gpus.VISIBLE} {'not set' if visible is None else repr(visible)}. "
        f"To solve this, {remedy}, or use --device cpu"
    )


def device_name(device: str) -> str:
    """Return the name of the GPU model, or `cpu`."""
    return torch.cuda.get_device_name() if device == "cuda" else device
