import os

import pytest

from mathprobe import cli, files, status

MODELS = 12  # of the smoke scale: nine of the first study and three decoders
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


def write_progress(folder, age=0.0, **facts):
    path = folder / status.PROGRESS_FILE
    files.write_json(path, {"examples": 160, "examples_per_second": 40.0, **facts})
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))


def test_a_training_without_files_is_waiting(catalog, results):
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done, one.seconds_left) == ("waiting", 0.0, None)


def test_a_training_with_recent_progress_is_running(catalog, results, folder):
    write_progress(folder, accuracy=0.5)
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done, one.accuracy) == ("running", 0.25, 0.5)
    assert one.seconds_left == 480 / 40


def test_a_training_without_recent_progress_is_stalled(catalog, results, folder):
    write_progress(folder, age=status.STALLED_AFTER + 10)
    assert laplace(catalog, results).state == "stalled"


def test_the_error_of_a_failed_training_is_printed(catalog, results, folder):
    write_progress(folder, failed="not finite")
    one = laplace(catalog, results)
    assert one.state == "failed"
    assert f"{NAME}: not finite" in status.format_table([one])


def test_a_training_with_a_run_file_is_done(catalog, results, folder):
    write_progress(folder)
    files.write_json(folder / "run.json", {"examples_per_second": 7.0})
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done) == ("done", 1.0)


def test_the_table_ends_with_the_count_of_each_state(catalog, results, folder, capsys):
    write_progress(folder)
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


def test_an_unknown_scale_lists_the_known_ones(tmp_path):
    with pytest.raises(SystemExit, match="unknown scale 'huge'; known names are paper"):
        cli.main(["status", str(tmp_path / "huge")])


@pytest.mark.parametrize(
    ("seconds", "text"), [(20, "0 min"), (600, "10 min"), (5400, "1 h 30 min")]
)
def test_times_are_printed_in_hours_and_minutes(seconds, text):
    one = status.TrainingStatus("m", "running", 0, seconds, examples_per_second=1.0)
    assert text in status.format_table([one])


def test_decoders_are_listed_after_the_first_study(catalog, results):
    name = list(catalog.arith("smoke").rows)[-1]
    write_progress(results / "arith" / name, accuracy=0.25)
    last = status.read_all(catalog, results)[-1]
    assert (last.model, last.state, last.fraction_done) == (name, "running", 0.5)
