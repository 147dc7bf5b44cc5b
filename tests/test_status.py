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
    files.write_json(
        path,
        {"examples": 160, "examples_per_second": 80.0, "seconds_left": 12.0, **facts},
    )
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))


def test_a_training_without_files_is_waiting(catalog, results):
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done, one.seconds_left) == ("waiting", 0.0, None)


def test_a_training_with_recent_progress_is_running(catalog, results, folder):
    write_progress(folder, accuracy=0.5)
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done, one.accuracy) == ("running", 0.25, 0.5)
    assert (one.seconds_left, one.examples_per_second) == (12.0, 80.0)


def test_a_training_without_recent_progress_is_stalled(catalog, results, folder):
    write_progress(folder, age=status.STALLED_AFTER + 10)
    assert laplace(catalog, results).state == "stalled"


def test_the_error_of_a_failed_training_is_printed(catalog, results, folder):
    write_progress(folder, failed="not finite")
    one = laplace(catalog, results)
    assert one.state == "failed"
    assert f"{NAME}: not finite" in status.format_table([one])


def write_run(folder):
    files.write_json(folder / "run.json", {"examples": 640, "examples_per_second": 7.0})
    rows = [(1, 320, 0.1), (2, 320, 0.2), (1, 640, 0.5), (2, 640, 0.6)]
    keys = ("seed", "examples", "accuracy")
    files.write_csv(
        folder / "curve.csv", (dict(zip(keys, r, strict=True)) for r in rows), keys
    )


def test_a_training_with_a_run_file_is_done(catalog, results, folder):
    write_progress(folder)
    write_run(folder)
    one = laplace(catalog, results)
    assert (one.state, one.fraction_done, one.accuracy) == ("done", 1.0, 0.55)


@pytest.mark.parametrize("is_done", [True, False])
def test_a_training_on_demand_is_listed_last(catalog, results, is_done):
    name = "inverse/uniform_coefficients/n5/p1000"
    folder = results / "linalg" / name
    write_run(folder) if is_done else write_progress(folder, total=320)
    last = status.read_all(catalog, results)[-1]
    assert (last.model, last.state) == (name, "done" if is_done else "running")
    assert last.fraction_done == (1.0 if is_done else 0.5)


def test_the_live_table_ends_when_all_trainings_are_done(
    catalog, results, monkeypatch, capsys
):
    done = status.TrainingStatus("m", "done", 640, 640, 0.55)
    states = iter([[status.TrainingStatus("m", "waiting", 0, 640), done], [done]])
    monkeypatch.setattr(status, "read_all", lambda *_: next(states))
    monkeypatch.setattr("time.sleep", lambda _: None)
    cli.main(["status", str(results), "--watch"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "1 done"
    assert shown[-1].split() == ["m", "done", "100%", "0.550"]


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
    one = status.TrainingStatus("m", "running", 0, 100, seconds_left=seconds)
    assert text in status.format_table([one])


def test_decoders_are_listed_after_the_first_study(catalog, results):
    name = list(catalog.arith("smoke").rows)[-1]
    write_progress(results / "arith" / name, accuracy=0.25)
    last = status.read_all(catalog, results)[-1]
    assert (last.model, last.state, last.fraction_done) == (name, "running", 0.5)
