import pytest

from mathprobe import energy


class Driver:
    """NVML as far as it is used: one device that has consumed 5000 mJ."""

    failing = ""

    def __getattr__(self, name):
        def call(*arguments):
            if name == "nvmlDeviceGetHandleByUUID":
                assert arguments[0] == b"GPU-1"
            if name == "nvmlDeviceGetTotalEnergyConsumption":
                arguments[1]._obj.value = 5000
            return int(name == self.failing)

        return call


@pytest.fixture
def driver(monkeypatch):
    made = Driver()
    monkeypatch.setattr(energy.ctypes, "CDLL", lambda name: made)
    return made


def test_a_driver_tells_joules(driver):
    assert energy.gpu_joules("GPU-1") == 5.0


@pytest.mark.parametrize(
    "call",
    [
        "nvmlInit_v2",
        "nvmlDeviceGetHandleByUUID",
        "nvmlDeviceGetTotalEnergyConsumption",
    ],
)
def test_a_driver_that_fails_tells_nothing(driver, call):
    driver.failing = call
    assert energy.gpu_joules("GPU-1") is None


def test_without_a_driver_nothing_tells(monkeypatch):
    monkeypatch.setattr(energy, "LIBRARY", "no-such-library.so")
    assert energy.gpu_joules("GPU-1") is None
