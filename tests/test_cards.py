import os
import subprocess
import sys

import pytest

from mathprobe import cards
from mathprobe.errors import InputError


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """A machine with three cards, and none that this process holds."""
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.setattr(cards, "DEVICES", tmp_path)
    monkeypatch.setattr(cards, "_held", [])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for lock in cards._held:
        lock.close()


def another_job(devices, count):
    """Start a job that takes cards, says which, and ends when told to."""
    code = (
        "import os; from pathlib import Path; from mathprobe import cards\n"
        f"cards.DEVICES = Path({str(devices)!r}); cards.take({count})\n"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); input()"
    )
    unset = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=unset,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_jobs_take_different_cards_and_give_them_back(devices):
    with another_job(devices, 2) as first:
        assert first.stdout.readline() == "0,1\n"
        with another_job(devices, 1) as second:
            assert second.stdout.readline() == "2\n"
            first.communicate("\n")
            cards.take(2)
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
            second.communicate("\n")


def test_a_choice_that_is_made_is_kept(devices, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    cards.take(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert cards._held == []


def test_a_single_card_may_be_shared(devices):
    for name in ("nvidia1", "nvidia2"):
        (devices / name).unlink()
    cards.take(1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("process", "shared"), [(30, "0,1"), (31, "1,2"), (32, "2,0")])
def test_jobs_share_where_too_few_cards_are_free(devices, monkeypatch, process, shared):
    monkeypatch.setattr(os, "getpid", lambda: process)
    with another_job(devices, 2) as first:
        assert first.stdout.readline() == "0,1\n"
        cards.take(2)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == shared
        with another_job(devices, 1) as second:  # the one that was free still is
            assert second.stdout.readline() == "2\n"
            second.communicate("\n")
        first.communicate("\n")


def test_more_cards_than_there_are_is_refused(devices):
    with pytest.raises(InputError, match="4 cards asked for: this machine has 3"):
        cards.take(4)
