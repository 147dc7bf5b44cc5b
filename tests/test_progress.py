import re

import pytest

from mathprobe import progress
from mathprobe.training import Progress


@pytest.fixture
def watcher():
    with progress.Watcher("laplace", 4000, done=1000) as made:
        yield made


def test_a_line_says_where_the_training_is(watcher):
    watcher.begun -= 10.0
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


def test_a_person_gets_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.Watcher("laplace", 4000) as made:
        made(Progress(2000, 0.5, 0.25))
        assert made.bar.n == 2000
