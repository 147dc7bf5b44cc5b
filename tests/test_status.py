import os

import pytest

from mathprobe import cli, files, status

MODELS = 12  # of the smallest scale: seven and two of two tables, three decoders
NAME = "eigenvalues/laplace/n2/base"


@pytest.fixture
def results(tmp_path):
    return tmp_path / "smoke"


@pytest.fixture
def folder(results):
    return results / "linalg" / NAME


def laplace(catalog, results):
    found = {one.model: one for one in status.read_all(catalog, results)}
    assert len(found) == MODELS
    return found[NAME]


def note(folder, age=0.0, **facts):
    path = folder / status.PROGRESS_FILE
    files.write_json(path, {"examples": 160, "examples_per_second": 40.0, **facts})
    made = path.stat().st_mtime
    os.utime(path, (made - age, made - age))


def test_what_has_no_files_waits(catalog, results):
    one = laplace(catalog, results)
    assert (one.state, one.share, one.seconds_left) == ("waiting", 0.0, None)


def test_what_has_spoken_lately_runs(catalog, results, folder):
    note(folder, accuracy=0.5)
    one = laplace(catalog, results)
    assert (one.state, one.share, one.accuracy) == ("running", 0.25, 0.5)
    assert one.seconds_left == 480 / 40


def test_what_has_been_quiet_is_stalled(catalog, results, folder):
    note(folder, age=status.STALLED_AFTER + 10)
    assert laplace(catalog, results).state == "stalled"


def test_what_failed_says_why(catalog, results, folder):
    note(folder, failed="not finite")
    one = laplace(catalog, results)
    assert one.state == "failed"
    assert f"{NAME}: not finite" in status.format_table([one])


def test_what_left_its_run_is_done(catalog, results, folder):
    note(folder)
    files.write_json(folder / "run.json", {"examples_per_second": 7.0})
    one = laplace(catalog, results)
    assert (one.state, one.share) == ("done", 1.0)


def test_the_table_counts_what_it_shows(catalog, results, folder, capsys):
    note(folder)
    cli.main(["status", str(results)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "model",
        "state",
        "done",
        "accuracy",
        "examples/s",
        "left",
    ]
    assert len(lines) == 1 + MODELS + 1
    assert lines[-1] == f"1 running, {MODELS - 1} waiting"


def test_a_folder_of_no_scale_lists_the_scales(tmp_path):
    with pytest.raises(SystemExit, match="unknown scale 'huge'; known names are paper"):
        cli.main(["status", str(tmp_path / "huge")])


@pytest.mark.parametrize(
    ("seconds", "said"), [(20, "0 min"), (600, "10 min"), (5400, "1 h 30 min")]
)
def test_times_are_said_in_minutes_and_hours(seconds, said):
    one = status.TrainingStatus("m", "running", 0, seconds, examples_per_second=1.0)
    assert said in status.format_table([one])


def test_decoders_of_arithmetic_stand_behind_the_first_study(catalog, results):
    name = list(catalog.arith("smoke").rows)[-1]
    note(results / "arith" / name, accuracy=0.25)
    last = status.read_all(catalog, results)[-1]
    assert (last.model, last.state, last.share) == (name, "running", 0.5)
