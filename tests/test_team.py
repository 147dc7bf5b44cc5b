"""Data-parallel training in two processes, on the processor (gloo)."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file

from mathprobe import cli
from mathprobe.team import ALONE, Team


@pytest.fixture(scope="module")
def spec(smoke_model):
    schedule = structs.replace(smoke_model.schedule, examples=64 * 130)
    return structs.replace(smoke_model, schedule=schedule)


def command(spec, folder, processes, minutes=5.0):
    return [
        *(sys.executable, "-m", "mathprobe", "train", spec.json()),
        *("--model", str(folder / "model.safetensors")),
        *("--curve", str(folder / "curve.csv"), "--run", str(folder / "run.json")),
        *("--state", str(folder / "state"), "--processes", str(processes)),
        *("--save-every", str(minutes)),
    ]


def train(spec, folder, processes):
    done = subprocess.run(
        command(spec, folder, processes), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def pair(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return folder, train(spec, folder, 2)


def curve(folder):
    with (folder / "curve.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_processes_train_what_one_does(spec, pair, tmp_path):
    folder, weights = pair
    alone = train(spec, tmp_path, 1)
    # Biases of keys change no output; Adam blows the rounding of their gradients up.
    for name in (name for name in alone if "key_value.bias" not in name):
        torch.testing.assert_close(weights[name], alone[name], rtol=1e-3, atol=1e-4)
    assert curve(folder) == pytest.approx(curve(tmp_path), rel=1e-4)
    run = json.loads((folder / "run.json").read_text())
    assert run["processes"] == run["history"][0]["processes"] == 2


def test_a_stopped_pair_goes_on_to_the_same_bits(spec, pair, tmp_path):
    process = start(spec, tmp_path)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0]
    assert process.returncode == cli.STOPPED, said
    weights = train(spec, tmp_path, 2)
    assert all(torch.equal(weights[name], weight) for name, weight in pair[1].items())


def start(spec, folder):
    """Start a pair that saves after every update, and wait for its first state."""
    process = subprocess.Popen(
        command(spec, folder, 2, 0.0),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not list(folder.glob("state/*.safetensors")):
        time.sleep(0.01)
    return process


def children(process):
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
    )
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, args in lines if "spawn_main" in args]


def test_a_pair_that_loses_one_ends(spec, tmp_path):
    process = start(spec, tmp_path)
    (follower,) = children(process)
    os.kill(follower, signal.SIGKILL)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "a process of the training died (-9)" in said


def test_followers_die_with_their_leader(spec, tmp_path):
    process = start(spec, tmp_path)
    (follower,) = children(process)
    process.kill()
    process.communicate()
    for _ in range(500):
        if not alive(follower):
            return
        time.sleep(0.02)
    pytest.fail("the follower lives on")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_parts_are_the_whole():
    batch = torch.arange(13)
    parts = [Team(rank, 3).part(batch) for rank in range(3)]
    assert torch.equal(torch.cat(parts), batch)
    assert torch.equal(ALONE.part(batch), batch)
