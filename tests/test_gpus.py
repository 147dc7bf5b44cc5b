"""Reserved and shared GPUs, on a machine with a simulated driver."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mathprobe import gpus

NVML = """
class NVMLError(Exception): ...
GPUS = {"GPU-a": 5000, "GPU-b": 7000, "GPU-c": 9000}  # millijoules, by UUID
FAILING = ""

def call(name, answer):
    def called(*arguments):
        if name == FAILING:
            raise NVMLError(name)
        return answer(*arguments)
    globals()[name] = called

call("nvmlInit", lambda: None)
call("nvmlDeviceGetHandleByUUID", lambda uuid: ("handle", uuid))
call("nvmlDeviceGetTotalEnergyConsumption", lambda handle: GPUS[handle[1]])
"""
UUIDS = ["GPU-a", "GPU-b", "GPU-c"]
GPU_LINE = "GPU {}: NVIDIA A100-SXM4-40GB (UUID: {})\n"
MIG_LINE = "  MIG 3g.20gb     Device  {}: (UUID: {})\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without GPUs and pynvml, with no lock and no reserved GPU."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpus, "_locks", {})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv(gpus.VISIBLE, "")  # to restore it, even if it is not set
    monkeypatch.delenv(gpus.VISIBLE)
    install_smi(tmp_path, "exit 1\n")
    yield tmp_path
    for lock in gpus._locks.values():
        lock.close()


def install_smi(folder, script):
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def install_gpus(folder, listing):
    """Install a driver whose tool prints this list of GPUs and version 570.1."""
    (folder / "listing").write_text(listing)
    query = "[ $1 = --list-gpus ] && exec cat"
    install_smi(folder, f"{query} {folder}/listing\nprintf '570.1\\n570.1\\n'\n")


@pytest.fixture
def driver(machine, monkeypatch):
    """The driver of a machine with three GPUs."""
    install_gpus(machine, "".join(GPU_LINE.format(*item) for item in enumerate(UUIDS)))
    (machine / "pynvml.py").write_text(NVML)
    monkeypatch.delitem(sys.modules, "pynvml")
    monkeypatch.syspath_prepend(machine)
    import pynvml

    return pynvml


@pytest.fixture
def torch_on(monkeypatch):
    """Return a function that sets torch's GPU; torch omits the prefix `GPU-`."""

    def use(uuid):
        properties = SimpleNamespace(uuid=uuid)
        cuda = SimpleNamespace(get_device_properties=lambda: properties)
        monkeypatch.setattr(gpus, "torch", SimpleNamespace(cuda=cuda))

    return use


def another_job(machine, code="gpus.reserve()"):
    """Start a job that prints its reserved GPU, and ends after a line of input."""
    code = (
        f"import os; from mathprobe import gpus; {code};"
        "print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True); input()"
    )
    path = os.pathsep.join([str(machine), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_jobs_reserve_different_gpus_and_release_them(machine, driver):
    with another_job(machine) as first, another_job(machine) as second:
        reserved = {job.stdout.readline().strip() for job in (first, second)}
        assert len(reserved) == 2
        assert reserved < set(UUIDS)
        first.communicate("\n")
        second.communicate("\n")
    assert gpus.reserve() == os.environ[gpus.VISIBLE] == "GPU-a"


@pytest.mark.parametrize(("process", "shared"), [(30, "GPU-a"), (32, "GPU-c")])
def test_jobs_share_a_gpu_if_none_is_free(driver, monkeypatch, process, shared):
    monkeypatch.setattr(os, "getpid", lambda: process)
    for uuid in [*UUIDS, shared]:
        assert gpus.reserve() == os.environ.pop(gpus.VISIBLE) == uuid


def test_cuda_visible_devices_is_respected(driver, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "1")
    assert gpus.reserve() is None
    assert os.environ[gpus.VISIBLE] == "1"
    assert gpus._locks == {}


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_gpu_is_not_selected(machine, count):
    install_gpus(machine, GPU_LINE.format(0, "GPU-a") * count)
    assert gpus.reserve() is None
    assert gpus.VISIBLE not in os.environ


def test_instances_of_a_gpu_are_reserved_instead_of_the_gpu(machine):
    whole = GPU_LINE.format(0, "GPU-a")
    parts = [MIG_LINE.format(k, f"MIG-{k}") for k in range(2)]
    install_gpus(machine, whole + GPU_LINE.format(1, "GPU-b") + "".join(parts))
    assert gpus.list_uuids() == ["GPU-a", "MIG-0", "MIG-1"]
    for uuid in ("GPU-a", "MIG-0", "MIG-1"):
        assert gpus.reserve() == os.environ.pop(gpus.VISIBLE) == uuid


@pytest.mark.parametrize("script", ["exit 9\n", "echo No devices were found; exit 6\n"])
def test_a_driver_that_fails_lists_no_gpu(machine, script):
    install_smi(machine, script)
    assert gpus.list_uuids() == []
    assert gpus.driver_version() is None
    assert not gpus.seem_present()


def test_the_driver_has_a_version(driver):
    assert gpus.driver_version() == "570.1"


@pytest.mark.parametrize(
    ("visible", "present"),
    [(None, True), ("0", True), ("", False), ("-1", False), ("NoDevFiles", False)],
)
def test_hidden_gpus_do_not_seem_present(driver, monkeypatch, visible, present):
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    assert gpus.seem_present() is present


def test_a_named_gpu_seems_present_without_a_driver(machine, monkeypatch):
    assert not gpus.seem_present()
    monkeypatch.setenv(gpus.VISIBLE, "GPU-a")
    assert gpus.seem_present()


def test_energy_is_measured_on_the_gpu_that_torch_uses(driver, torch_on):
    torch_on("b")
    gpus.claim()
    assert gpus.total_energy("cuda") == 7.0


def test_the_energy_of_a_cpu_is_unknown(driver):
    assert gpus.total_energy("cpu") is None


CLAIM = (
    "from types import SimpleNamespace as S;"
    "gpus.torch = S(cuda=S(get_device_properties=lambda: S(uuid='b'))); gpus.claim()"
)


def test_the_energy_of_a_shared_gpu_is_unknown_to_both_jobs(
    machine, driver, torch_on, capsys
):
    torch_on("b")
    gpus.claim()
    assert gpus.total_energy("cuda") == 7.0
    with another_job(machine, CLAIM) as other:
        assert "GPU-b: shared with another job" in other.stdout.readline()
        other.communicate("\n")
    assert gpus.total_energy("cuda") is None  # also after the other job
    assert capsys.readouterr().out == ""


def test_the_energy_of_a_gpu_of_another_job_is_unknown(
    machine, driver, torch_on, capsys
):
    torch_on("b")
    with another_job(machine, CLAIM) as other:
        other.stdout.readline()
        gpus.claim()
        other.communicate("\n")
    assert "GPU-b: shared with another job" in capsys.readouterr().out
    assert gpus.total_energy("cuda") is None


def test_a_gpu_is_exclusive_again_after_jobs_have_shared_it(machine, driver, torch_on):
    torch_on("b")
    with another_job(machine, CLAIM) as other:
        other.stdout.readline()
        gpus.claim()
        other.communicate("\n")
    gpus.claim()
    assert gpus.total_energy("cuda") == 7.0


def test_the_energy_of_an_instance_is_unknown(driver, torch_on, monkeypatch):
    torch_on("a")  # the whole GPU
    monkeypatch.setenv(gpus.VISIBLE, "MIG-0")
    gpus.claim()
    assert list(gpus._locks) == ["MIG-0"]
    assert gpus.total_energy("cuda") is None


@pytest.mark.parametrize(
    "call",
    ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"],
)
def test_energy_is_unknown_if_the_driver_fails(driver, torch_on, monkeypatch, call):
    torch_on("a")
    gpus.claim()
    monkeypatch.setattr(driver, "FAILING", call)
    assert gpus.total_energy("cuda") is None


def test_without_pynvml_energy_is_unknown(driver, torch_on, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    torch_on("a")
    gpus.claim()
    assert gpus.total_energy("cuda") is None
