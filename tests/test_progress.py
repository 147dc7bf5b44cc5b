import json
import math
from types import SimpleNamespace
from typing import ClassVar

import pytest

from mathprobe import paths, progress
from mathprobe.errors import InputError
from mathprobe.training import CURVE_COLUMNS, Progress

ORIGIN = {"revision": "7e10"}


class Halfway:
    """A training of 4000 examples that began this attempt at 1000."""

    schedule = SimpleNamespace(examples=4000)
    curve: ClassVar = []
    columns = CURVE_COLUMNS
    examples = 1000
    seconds = 75.0
    train_states: ClassVar = {1: None}
    accuracy = 0.25

    def summary(self):
        return {"examples": self.examples}


def start(folder):
    return progress.ProgressReporter("a", Halfway(), folder, ORIGIN)


@pytest.fixture
def reporter(tmp_path):
    with progress.ProgressReporter("laplace", Halfway(), tmp_path, ORIGIN) as reporter:
        yield reporter


def read_progress(folder):
    return json.loads((folder / paths.PROGRESS).read_text())


def test_a_line_reports_the_progress(reporter, monkeypatch):
    reporter.started = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0)
    reporter.trainer.examples = 2000
    assert reporter.format_line(Progress(2000, 0.5, 0.25)) == (
        "laplace: 2,000 of 4,000 examples, loss 0.500, accuracy 0.250, "
        "100 examples/s, 00:20 left"
    )


def test_the_rate_is_that_of_all_seeds_together(reporter, tmp_path, monkeypatch):
    reporter.started = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0)
    reporter.trainer.examples = 2000
    reporter.seeds = 3
    line = reporter.format_line(Progress(2000, 0.5, 0.25))
    assert "300 examples/s, 00:20 left" in line
    reporter.write()
    written = read_progress(tmp_path)
    assert (written["examples_per_second"], written["seconds_left"]) == (300, 20)


def test_an_unknown_loss_or_accuracy_is_not_reported(reporter, tmp_path):
    assert "accuracy" not in reporter.format_line(Progress(2000, 0.5, math.nan))
    reporter(Progress(2000, math.nan, 0.25))
    assert "loss" not in reporter.format_line(Progress(2000, math.nan, 0.25))
    assert read_progress(tmp_path)["accuracy"] == 0.25
    assert "loss" not in read_progress(tmp_path)


def test_the_last_line_reports_the_end(reporter):
    reporter.trainer.examples = 2000  # stopped early
    expected = "finished after 2,000 of 4,000 examples and 01:15, accuracy 0.250"
    assert reporter.format_end() == f"laplace: {expected}"


def test_a_log_has_a_line_a_minute(reporter, capsys):
    for minutes in (0, 1, 0, 1):
        reporter.printed -= 60.0 * minutes
        reporter(Progress(2000, 0.5, 0.25))
    assert capsys.readouterr().err.count("laplace: 2,000") == 2


def test_the_progress_file_has_the_progress(reporter, tmp_path):
    assert read_progress(tmp_path)["examples"] == 1000
    reporter.trainer.examples = 2000
    reporter(Progress(2000, 0.5, 0.25))
    stored = read_progress(tmp_path)
    assert (stored["examples"], stored["total"]) == (2000, 4000)
    assert (stored["loss"], stored["accuracy"]) == (0.5, 0.25)


def test_the_curve_is_written_when_it_has_grown(reporter, tmp_path):
    row = {"seed": 1, "examples": 2000, "test": "laplace", "accuracy": 0.1}
    reporter.trainer.curve = [{**row, "malformed": 0.0, "loss": 1.0}]
    reporter(Progress(2000, 0.5, 0.25))
    text = (tmp_path / progress.CURVE_FILE).read_text()
    assert text.splitlines()[1] == "1,2000,laplace,0.1,0.0,1.0"
    so_far = json.loads((tmp_path / paths.UNFINISHED).read_text())
    assert so_far == {"examples": 1000, "finished": None, **ORIGIN}


def test_a_failure_is_recorded_but_not_a_stop(tmp_path):
    with pytest.raises(InputError), start(tmp_path):
        raise InputError("the loss is not finite")
    assert read_progress(tmp_path)["failed"] == "the loss is not finite"
    with pytest.raises(SystemExit), start(tmp_path):
        raise SystemExit(75)
    assert "failed" not in read_progress(tmp_path)


def test_a_terminal_has_a_progress_bar(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.ProgressReporter("laplace", Halfway(), tmp_path, ORIGIN) as reporter:
        reporter(Progress(2000, 0.5, 0.25))
        assert reporter.bar.n == 2000
