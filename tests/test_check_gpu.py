"""The checks of `make check-gpu` run on the CPU too, and notice errors."""

import check_gpu
import measurements
import pytest
import tables
from check_gpu import Failed, Machine

from mathprobe import files


@pytest.fixture
def machine(tmp_path):
    return Machine("cpu", tmp_path)


@pytest.mark.skipif(measurements.DEVICE == "cuda", reason="there is a GPU")
def test_without_a_gpu_the_check_stops_with_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["check_gpu.py"])
    with pytest.raises(SystemExit, match=r"^check-gpu: torch .* finds no GPU on this"):
        check_gpu.main()
    assert "\n" not in check_gpu.missing_gpu()
    assert capsys.readouterr().out == ""


def test_a_failed_check_has_a_verdict_and_the_next_one_runs():
    def fail():
        raise Failed("it does not work")

    row = check_gpu.run_check(fail)
    assert (row["passed"], row["verdict"]) == (False, "failed: it does not work")
    row = check_gpu.run_check(lambda: "works")
    assert (row["passed"], row["verdict"]) == (True, "passed: works")
    assert row["seconds"] >= 0.0


def test_a_command_that_fails_or_never_ends_is_a_failure(machine, monkeypatch, capsys):
    assert machine.run("-c", "print(1)") == "1\n"
    with pytest.raises(Failed, match="exit code 3"):
        machine.run("-c", "print('reason'); raise SystemExit(3)")
    assert "reason" in capsys.readouterr().out
    monkeypatch.setattr(check_gpu, "TIME_LIMIT", 0.5)
    with pytest.raises(Failed, match=r"did not end within 0\.5 s"):
        machine.run("-c", "import time; time.sleep(60)")


def test_a_training_on_another_device_is_a_failure(machine, tmp_path):
    for name in ("cpu", "NVIDIA T4"):
        files.write_json(tmp_path / f"{name}.json", {"device": name})
    machine.check_device([tmp_path / "cpu.json"])
    with pytest.raises(Failed, match=r"trained on \['NVIDIA T4'\], not on cpu"):
        machine.check_device([tmp_path / "NVIDIA T4.json"])
    with pytest.raises(Failed, match=r"trained on \[\], not on cpu"):
        machine.check_device([])


def test_skipped_tests_are_a_failure_on_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(Machine, "run", lambda *arguments: "s\n1 passed, 1 skipped\n")
    assert check_gpu.check_tests(Machine("cpu", tmp_path)) == "1 passed, 1 skipped"
    with pytest.raises(Failed, match="1 skipped"):
        check_gpu.check_tests(Machine("cuda", tmp_path))


def test_a_killed_training_is_compared_with_a_whole_one(machine, monkeypatch):
    monkeypatch.setattr(check_gpu, "UPDATES", 200)
    verdict = check_gpu.check_resume(machine)
    assert verdict.startswith("bitwise identical, killed after ")


@pytest.mark.parametrize("changed", check_gpu.OUTPUTS)
def test_another_result_of_a_resumed_training_is_a_failure(tmp_path, changed):
    folders = tmp_path / "whole", tmp_path / "resumed"
    for folder in folders:
        for name in check_gpu.OUTPUTS:
            files.write_bytes(folder / name, b"1")
    check_gpu.compare_outputs(*folders)
    files.write_bytes(folders[1] / changed, b"2")
    with pytest.raises(Failed, match=f"{changed} of the resumed training differs"):
        check_gpu.compare_outputs(*folders)


def test_the_report_has_the_checks_and_the_short_rates(tmp_path):
    measured = measurements.Measurements(tmp_path / "d.json", "NVIDIA T4")
    row = {"passed": True, "verdict": "passed: 60 passed", "seconds": 12.3}
    measured.add(tables.CHECKS, "tests for CUDA", row)
    rates = {"ours": {"best": 2.0}}
    measured.add(tables.SHORT_RATES, "decoding, n=5", rates)
    measured.add(tables.RATES, "decoding, n=8", rates)
    text = check_gpu.report(measured.content)
    assert text.startswith("### NVIDIA T4\n")
    assert "| tests for CUDA | passed: 60 passed | 12 |" in text
    assert "decoding, n=5" in text
    assert "n=8" not in text


def test_all_checks_are_run_and_reported(tmp_path, monkeypatch, capsys):
    names = [*check_gpu.checks(Machine("cpu", tmp_path), tmp_path)]
    short = {name: lambda: "works" for name in names}
    monkeypatch.setattr(check_gpu, "checks", lambda machine, folder: short)
    options = "--device", "cpu", "--folder", str(tmp_path)
    monkeypatch.setattr("sys.argv", ["check_gpu.py", *options])
    with pytest.raises(SystemExit) as stopped:
        check_gpu.main()
    assert not stopped.value.code
    shown = capsys.readouterr().out
    assert all(f"| {name} | passed: works | 0 |" in shown for name in names)


@pytest.mark.slow
def test_the_smoke_scale_is_computed_in_a_clone(machine, monkeypatch):
    monkeypatch.setattr(check_gpu, "TIME_LIMIT", 3600.0)  # a CPU may be busy
    rules = ("linalg_score", "arith_accuracy", "arith_map")
    verdict = check_gpu.check_smoke_scale(machine, 2, rules)
    assert verdict == "12 models trained"


@pytest.mark.slow
def test_the_short_benchmark_is_stored(machine, tmp_path):
    check_gpu.check_rates(machine, tmp_path)
    [path] = tmp_path.glob("*.json")
    rows = files.read_json(path)["sections"][tables.SHORT_RATES]
    assert {"training, n=5, float32", "decoding, n=5"} <= rows.keys()


@pytest.mark.slow
def test_the_tests_for_cuda_run(machine):
    assert "passed" in check_gpu.check_tests(machine)
