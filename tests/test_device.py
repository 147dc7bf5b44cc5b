"""Commands never replace their device silently, and their results are reproducible."""

import os
import subprocess
import sys

import pytest
import torch

from mathprobe import gpus
from mathprobe.cli import device
from mathprobe.errors import InputError

NO_GPU = "Found no NVIDIA driver on your system"


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets what torch and the driver find on this machine."""
    monkeypatch.setenv(gpus.VISIBLE, "")  # to restore it, even if it is not set
    monkeypatch.delenv(gpus.VISIBLE)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(gpus, "claim", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100")

    def have(*uuids, usable=0, problem=NO_GPU):
        monkeypatch.setattr(gpus, "list_uuids", lambda: list(uuids))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: usable)
        found = "" if usable else problem
        monkeypatch.setattr(device, "_cuda_problem", lambda: found)

    yield have
    for lock in gpus._locks.values():
        lock.close()
    gpus._locks.clear()


def test_auto_uses_the_cpu_if_there_is_no_gpu(machine, capsys):
    machine()
    assert device.set_up_torch("auto", 1) == "cpu"
    assert capsys.readouterr().out == "device: cpu\n"


@pytest.mark.parametrize("requested", ["auto", "cuda"])
def test_a_gpu_is_used_and_named(machine, capsys, requested):
    machine("GPU-a", usable=1)
    assert device.set_up_torch(requested, 1) == "cuda"
    assert capsys.readouterr().out == "device: NVIDIA A100\n"


def test_cpu_ignores_gpus(machine, monkeypatch):
    machine("GPU-a", "GPU-b", usable=2)
    assert device.set_up_torch("cpu", 1) == "cpu"
    assert gpus.VISIBLE not in os.environ


@pytest.mark.parametrize("hidden", gpus.HIDDEN)
def test_auto_uses_the_cpu_if_gpus_are_hidden(machine, monkeypatch, hidden):
    machine("GPU-a")
    monkeypatch.setenv(gpus.VISIBLE, hidden)
    assert device.set_up_torch("auto", 1) == "cpu"


def test_cuda_without_a_gpu_is_refused_with_a_remedy(machine, monkeypatch):
    machine()
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(InputError) as caught:
        device.set_up_torch("cuda", 1)
    assert str(caught.value) == (
        f"--device cuda: torch cannot use a GPU ({NO_GPU}). Found: torch "
        f"{torch.__version__} built without CUDA, 0 GPUs listed by nvidia-smi, "
        "CUDA_VISIBLE_DEVICES not set. To solve this, install torch for CUDA and run "
        "on a machine with a GPU, or use --device cpu"
    )


@pytest.mark.parametrize(
    ("build", "uuids", "visible", "remedy"),
    [
        (None, ["GPU-a"], None, "install torch for CUDA, or use"),
        ("12.6", [], "0", "run on a machine with a GPU, or use"),
        ("12.6", ["GPU-a"], "7", "check the driver and CUDA_VISIBLE_DEVICES, or use"),
    ],
)
def test_auto_does_not_ignore_a_gpu_that_torch_cannot_use(
    machine, monkeypatch, build, uuids, visible, remedy
):
    machine(*uuids)
    monkeypatch.setattr(torch.version, "cuda", build)
    if visible:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    with pytest.raises(InputError, match="--device auto") as caught:
        device.set_up_torch("auto", 1)
    message = str(caught.value)
    assert f"built for CUDA {build}" in message or build is None
    assert f"{len(uuids)} GPUs listed" in message
    assert remedy in message
    assert "\n" not in message


def test_a_reserved_gpu_that_a_container_hides_is_reported(machine):
    machine("GPU-a", "GPU-b", problem="No CUDA GPUs are available")
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES 'GPU-a'"):
        device.set_up_torch("auto", 1)


def test_a_reservation_that_torch_ignores_is_reported(machine):
    machine("GPU-a", "GPU-b", usable=2)
    with pytest.raises(InputError, match="it found 2 GPUs, not only GPU-a"):
        device.set_up_torch("cuda", 1)


def test_several_gpus_without_a_reservation_are_reported(machine, capsys):
    machine(usable=2)  # the driver lists no GPU
    assert device.set_up_torch("auto", 1) == "cuda"
    expected = "none of 2 GPUs is reserved, using the first\ndevice: NVIDIA A100\n"
    assert capsys.readouterr().out == expected


def test_why_torch_cannot_use_a_gpu_is_one_line():
    problem = device._cuda_problem()
    assert bool(problem) is not torch.cuda.is_available()
    assert "\n" not in problem


def test_reproducible_settings_override_those_of_the_machine():
    """Some containers of vendors allow TF32 by this variable."""
    code = """if True:
        import torch
        print(torch.get_float32_matmul_precision())
        from mathprobe.cli.device import set_up_torch
        set_up_torch("cpu", 2)
        print(torch.get_float32_matmul_precision(), torch.get_num_threads())
        print(torch.are_deterministic_algorithms_enabled())
        """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["high", "device:", "cpu", "highest", "2", "True"]
