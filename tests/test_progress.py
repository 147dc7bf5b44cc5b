import json
import re
from types import SimpleNamespace
from typing import ClassVar

import pytest

from mathprobe import progress
from mathprobe.errors import InputError
from mathprobe.training import CURVE_COLUMNS, Progress


class Halfway:
    """A training of 4000 examples that began this attempt at 1000."""

    schedule = SimpleNamespace(examples=4000)
    curve: ClassVar = []
    columns = CURVE_COLUMNS
    examples = 1000


@pytest.fixture
def watcher(tmp_path):
    with progress.ProgressReporter("laplace", Halfway(), tmp_path) as made:
        yield made


def journal(folder):
    return json.loads((folder / progress.PROGRESS_FILE).read_text())


def test_a_line_says_where_the_training_is(watcher):
    watcher.begun -= 10.0
    watcher.trainer.examples = 2000
    line = watcher.line(Progress(2000, 0.5, 0.25))
    assert re.fullmatch(
        r"laplace: 2,000 of 4,000 examples, loss 0.500, accuracy 0.250, "
        r"(100|99) examples/s, 00:20 left",
        line,
    )


def test_a_log_gets_a_line_a_minute(watcher, capsys):
    for minutes in (0, 1, 0, 1):
        watcher.said -= 60.0 * minutes
        watcher(Progress(2000, 0.5, 0.25))
    assert capsys.readouterr().err.count("laplace: 2,000") == 2


def test_others_read_where_it_is(watcher, tmp_path):
    assert journal(tmp_path)["examples"] == 1000
    watcher.trainer.examples = 2000
    watcher(Progress(2000, 0.5, 0.25))
    note = journal(tmp_path)
    assert (note["examples"], note["total"]) == (2000, 4000)
    assert (note["loss"], note["accuracy"]) == (0.5, 0.25)


def test_the_curve_is_written_as_it_grows(watcher, tmp_path):
    row = {"seed": 1, "examples": 2000, "test": "laplace", "accuracy": 0.1}
    watcher.trainer.curve = [{**row, "malformed": 0.0, "loss": 1.0}]
    watcher(Progress(2000, 0.5, 0.25))
    text = (tmp_path / progress.CURVE_FILE).read_text()
    assert text.splitlines()[1] == "1,2000,laplace,0.1,0.0,1.0"


def test_a_failure_is_noted_and_a_stop_is_none(tmp_path):
    with pytest.raises(InputError), progress.ProgressReporter("a", Halfway(), tmp_path):
        raise InputError("the loss is not finite")
    assert journal(tmp_path)["failed"] == "the loss is not finite"
    with pytest.raises(SystemExit), progress.ProgressReporter("a", Halfway(), tmp_path):
        raise SystemExit(75)
    assert "failed" not in journal(tmp_path)


def test_a_person_gets_a_bar(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.ProgressReporter("laplace", Halfway(), tmp_path) as made:
        made(Progress(2000, 0.5, 0.25))
        assert made.bar.n == 2000
