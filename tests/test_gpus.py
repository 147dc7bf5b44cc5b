import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mathprobe import gpus

DRIVER = """
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
call("nvmlDeviceGetCount", lambda: len(GPUS))
call("nvmlDeviceGetHandleByIndex", lambda index: ("handle", list(GPUS)[index]))
call("nvmlDeviceGetHandleByUUID", lambda uuid: ("handle", uuid))
call("nvmlDeviceGetUUID", lambda handle: handle[1])
call("nvmlDeviceGetTotalEnergyConsumption", lambda handle: GPUS[handle[1]])
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without GPUs and pynvml, with no lock and no reserved GPU."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpus, "_locks", [])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield tmp_path
    for lock in gpus._locks:
        lock.close()


@pytest.fixture
def driver(machine, monkeypatch):
    """The driver of a machine with three GPUs."""
    (machine / "pynvml.py").write_text(DRIVER)
    monkeypatch.delitem(sys.modules, "pynvml")
    monkeypatch.syspath_prepend(machine)
    import pynvml

    return pynvml


@pytest.fixture
def torch_on(monkeypatch):
    """Return a function that sets torch's GPU; torch omits the prefix `GPU-`."""

    def use(uuid):
        properties = SimpleNamespace(get_device_properties=lambda _: facts)
        facts = SimpleNamespace(uuid=uuid)
        monkeypatch.setattr(gpus, "torch", SimpleNamespace(cuda=properties))

    return use


def another_job(machine):
    """Start a job that reserves a GPU, prints it, and ends after a line of input."""
    code = (
        "import os; from mathprobe import gpus; gpus.reserve();"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); input()"
    )
    unset = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**unset, "PYTHONPATH": str(machine)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_jobs_reserve_different_gpus_and_release_them(machine, driver):
    with another_job(machine) as first, another_job(machine) as second:
        reserved = {job.stdout.readline().strip() for job in (first, second)}
        assert len(reserved) == 2
        assert reserved < set(driver.GPUS)
        first.communicate("\n")
        second.communicate("\n")
    gpus.reserve()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"


@pytest.mark.parametrize(("process", "shared"), [(30, "GPU-a"), (32, "GPU-c")])
def test_jobs_share_a_gpu_if_none_is_free(driver, monkeypatch, process, shared):
    monkeypatch.setattr(os, "getpid", lambda: process)
    for uuid in driver.GPUS:
        gpus.reserve()
        assert os.environ.pop("CUDA_VISIBLE_DEVICES") == uuid
    gpus.reserve()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == shared


def test_cuda_visible_devices_is_respected(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    gpus.reserve()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert gpus._locks == []


def test_a_single_gpu_is_not_locked(driver, monkeypatch):
    monkeypatch.setattr(driver, "GPUS", {"GPU-a": 5000})
    gpus.reserve()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_energy_is_measured_on_the_gpu_that_torch_uses(driver, torch_on):
    torch_on("b")
    assert gpus.total_energy("cuda") == 7.0


def test_the_energy_of_a_cpu_is_unknown(driver):
    assert gpus.total_energy("cpu") is None


@pytest.mark.parametrize(
    "call",
    ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"],
)
def test_energy_is_unknown_if_the_driver_fails(driver, torch_on, monkeypatch, call):
    torch_on("a")
    monkeypatch.setattr(driver, "FAILING", call)
    assert gpus.total_energy("cuda") is None


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount"])
def test_no_gpu_is_reserved_if_the_driver_fails(driver, monkeypatch, call):
    monkeypatch.setattr(driver, "FAILING", call)
    gpus.reserve()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_without_pynvml_no_gpu_is_reserved_and_energy_is_unknown(machine, torch_on):
    torch_on("a")
    gpus.reserve()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert gpus.total_energy("cuda") is None
