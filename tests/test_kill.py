"""Interrupted trainings have bitwise the same result as an uninterrupted one.

Training processes are killed at random times, most of them while they write a
checkpoint.
"""

import json
import random
import signal
import time
from itertools import count

import pytest
from msgspec import structs
from processes import Command
from test_cli import refused, run, train_arguments

from mathprobe import checkpoint
from mathprobe.cli import training

OUTPUTS = ("model.safetensors", "curve.csv")
LOGS = count()  # their names


@pytest.fixture(scope="module")
def spec(smoke_model):
    """A training of three blocks of updates, with a curve."""
    longer = {"examples": 64 * 150, "curve_every": 64 * 60}
    return structs.replace(
        smoke_model, schedule=structs.replace(smoke_model.schedule, **longer)
    )


@pytest.fixture(scope="module")
def whole(spec, tmp_path_factory):
    """The outputs of an uninterrupted training."""
    return finish(spec, tmp_path_factory.mktemp("whole"))


def start_in_background(spec, folder, minutes=5.0, limit=None):
    folder.mkdir(exist_ok=True)
    log = folder / f"{next(LOGS)}.log"
    return Command(
        [*train_arguments(spec, folder), "--save-every", minutes], log, limit
    )


def saved(folder):
    """Return the number of updates of the last checkpoint, or 0."""
    names = (path.stem for path in folder.glob("state/[0-9]*.safetensors"))
    return max(map(int, names), default=0)


def start(spec, folder, updates=1, **options):
    """Start a training that saves after every update, and wait for some updates."""
    goal = saved(folder) + updates
    process = start_in_background(spec, folder, 0.0, **options)
    while process.is_alive() and saved(folder) < goal:
        time.sleep(0.005)
    return process


def finish(spec, folder):
    """Train to the end, in this process, and return the outputs."""
    run(*train_arguments(spec, folder))
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def kill_at_random(spec, folder, kills, rng):
    """Kill a training repeatedly; return the saved updates after each kill."""
    reached = []
    while len(reached) < kills:
        process = start(spec, folder, rng.randint(1, 25))
        time.sleep(rng.uniform(0.0, 0.02))  # the duration of an update
        process.kill()
        process.join()
        if (folder / "run.json").exists():
            break  # it finished first
        reached.append(checkpoint.load_checkpoint(folder / "state").updates)
    return reached


@pytest.mark.parametrize(
    "kills", [8, pytest.param(200, marks=pytest.mark.slow)], ids=str
)
def test_killed_trainings_end_bitwise_identical(spec, whole, tmp_path, kills):
    rng, rounds, reached = random.Random(kills), 0, []
    while len(reached) < kills:
        folder = tmp_path / str(rounds)
        stops = kill_at_random(spec, folder, kills - len(reached), rng)
        assert stops == sorted(stops)  # no checkpoint is ever lost
        reached += stops
        assert finish(spec, folder) == whole
        assert list(folder.glob(".*")) == []
        rounds += 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_stop_signal_saves_a_checkpoint_and_is_reported(
    spec, whole, tmp_path, capsys, name
):
    process = start(spec, tmp_path)
    process.send(signal.Signals[name])
    output = process.output()
    assert process.exitcode == training.STOPPED
    assert f"stopped by {name}: checkpoint saved" in output
    assert not (tmp_path / "model.safetensors").exists()
    assert finish(spec, tmp_path) == whole
    assert "resuming after" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["attempts"] == 2


def test_a_full_disk_stops_with_a_message_and_without_loss(spec, whole, tmp_path):
    process = start(spec, tmp_path, limit=20_000)
    output = process.output()
    assert process.exitcode == 1
    assert "mathprobe train: [Errno 27] File too large" in output
    assert "Traceback" not in output
    assert finish(spec, tmp_path) == whole


def test_a_second_process_for_the_same_output_waits_and_finds_it_trained(
    spec, whole, tmp_path
):
    first = start(spec, tmp_path)
    first.send(signal.SIGSTOP)
    second = start_in_background(spec, tmp_path)
    second.wait_for("in use by another process; waiting")
    first.send(signal.SIGCONT)
    assert "already trained by another process" in second.output()
    first.join()
    assert first.exitcode == second.exitcode == 0
    assert {name: (tmp_path / name).read_bytes() for name in OUTPUTS} == whole
    assert json.loads((tmp_path / "run.json").read_text())["attempts"] == 1
    left = {path.name for path in (tmp_path / "state").iterdir()}
    assert left == {"done", "lock"}


def test_a_second_process_resumes_where_the_first_was_stopped(spec, whole, tmp_path):
    first = start(spec, tmp_path)
    first.send(signal.SIGSTOP)
    second = start_in_background(spec, tmp_path)
    second.wait_for("in use by another process; waiting")
    first.terminate()
    first.send(signal.SIGCONT)
    first.join()
    assert first.exitcode == training.STOPPED
    assert "resuming after" in second.output()
    assert second.exitcode == 0
    assert {name: (tmp_path / name).read_bytes() for name in OUTPUTS} == whole
    attempts = json.loads((tmp_path / "run.json").read_text())["history"]
    assert [a["begun_at"] for a in attempts] == [0, attempts[0]["saved_at"]]
    assert attempts[-1]["saved_at"] == spec.schedule.examples


def test_a_changed_specification_is_refused_with_the_difference(spec, tmp_path):
    process = start(spec, tmp_path)
    process.kill()
    process.join()
    other = structs.replace(spec, seeds=3)
    message = refused(*train_arguments(other, tmp_path))
    assert "seeds: expected 3, found 2" in message
    assert "remove its .safetensors files to start again" in message
