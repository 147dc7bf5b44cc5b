"""A finished training is found again when its outputs are lost, whole or not at all."""

import json
import shutil
from pathlib import Path

import pytest
from msgspec import structs
from test_cli import run, train_arguments

from mathprobe import files, provenance
from mathprobe.cli import saved_outputs, training

OUTPUTS = ("model.safetensors", "curve.csv", "run.json")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.fixture(scope="module")
def done(smoke_model, tmp_path_factory):
    """The folder of a training that came to its end."""
    folder = tmp_path_factory.mktemp("done")
    run(*train_arguments(smoke_model, folder))
    return folder


@pytest.fixture
def late(done, tmp_path):
    """The same, as a late second job finds it."""
    folder = tmp_path / "late"
    shutil.copytree(done, folder)
    lose(folder)
    return folder


@pytest.fixture
def trained(monkeypatch):
    """How often a training was begun."""
    begun, train = [], training._finish

    def finish(*arguments):
        begun.append(arguments)
        train(*arguments)

    monkeypatch.setattr(training, "_finish", finish)
    return begun


def lose(folder):
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)


def content(folder, names=OUTPUTS):
    return {name: (folder / name).read_bytes() for name in names}


def left(folder):
    return {path.name for path in (folder / "state").iterdir()}


def killed_at(monkeypatch, place, name, call):
    """Have the call of this number to a function be the last thing that happens."""
    function, calls = getattr(place, name), []

    def last(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        return function(*arguments)

    monkeypatch.setattr(place, name, last)


def test_lost_outputs_are_put_back_and_nothing_is_trained(
    smoke_model, done, late, trained, capsys
):
    run(*train_arguments(smoke_model, late))
    assert trained == []
    assert content(late) == content(done)
    assert left(late) == {"done", "lock"}
    assert list(late.glob(".*")) == []
    assert capsys.readouterr().out == (
        f"{late / 'run.json'}: trained before, put back from {late / 'state/done'}; "
        f"to train anew, remove {late / 'state'} and run again\n"
    )


def test_it_is_found_again_and_again(smoke_model, done, late, trained):
    for _ in range(2):
        run(*train_arguments(smoke_model, late))
        lose(late)
    assert trained == []


@pytest.mark.parametrize("lost", OUTPUTS)
def test_one_lost_output_is_enough(smoke_model, done, tmp_path, trained, lost):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    (tmp_path / lost).unlink()
    run(*train_arguments(smoke_model, tmp_path))
    assert trained == []
    assert content(tmp_path) == content(done)


def test_what_is_kept_costs_no_disk(done):
    for name, output in zip(saved_outputs.OUTPUTS, OUTPUTS, strict=True):
        assert (done / "state/done" / name).samefile(done / output)


def test_a_disk_without_links_keeps_copies(
    smoke_model, done, tmp_path, trained, no_links
):
    run(*train_arguments(smoke_model, tmp_path))
    before = content(tmp_path)
    assert not (tmp_path / "state/done/model").samefile(tmp_path / OUTPUTS[0])
    lose(tmp_path)
    run(*train_arguments(smoke_model, tmp_path))
    assert len(trained) == 1
    assert content(tmp_path) == before


@pytest.fixture
def no_links(monkeypatch):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", refuse)


def test_without_the_folder_of_states_it_is_trained_anew(
    smoke_model, done, late, trained
):
    shutil.rmtree(late / "state")
    run(*train_arguments(smoke_model, late))
    assert len(trained) == 1
    assert content(late, OUTPUTS[:2]) == content(done, OUTPUTS[:2])


def test_other_settings_are_trained(smoke_model, late, trained, capsys):
    other = structs.replace(smoke_model, seeds=1)
    run(*train_arguments(other, late))
    assert len(trained) == 1
    assert json.loads((late / "run.json").read_text())["spec"]["seeds"] == 1
    assert (
        "of other settings, code or machine; training anew" in capsys.readouterr().out
    )
    lose(late)
    run(*train_arguments(other, late))
    assert len(trained) == 1


def test_other_code_is_trained(smoke_model, late, trained, monkeypatch):
    monkeypatch.setattr(provenance.dependencies, "digest", lambda command: "newer")
    run(*train_arguments(smoke_model, late))
    assert len(trained) == 1
    assert json.loads((late / "run.json").read_text())["code"] == "newer"


def test_other_code_of_a_first_attempt_is_trained(smoke_model, late, trained):
    there = late / "state/done"
    facts = json.loads((there / "run").read_text())
    facts["history"].insert(0, {**facts["history"][0], "code": "older"})
    files.write_json(there / "run", facts)
    sums = json.loads((there / saved_outputs.CHECKSUMS).read_text())
    files.write_json(
        there / saved_outputs.CHECKSUMS, {**sums, "run": files.checksum(there / "run")}
    )
    run(*train_arguments(smoke_model, late))
    assert len(trained) == 1


def test_another_number_of_threads_is_trained(smoke_model, late, trained, monkeypatch):
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)
    run(*train_arguments(smoke_model, late), "--threads", 2)
    assert len(trained) == 1


@pytest.mark.parametrize("name", [*saved_outputs.OUTPUTS, saved_outputs.CHECKSUMS])
@pytest.mark.parametrize("damage", ["gone", "half", "changed"])
def test_what_is_damaged_is_trained_anew(
    smoke_model, done, late, trained, name, damage
):
    path = late / "state/done" / name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        middle = len(data) // 2
        rest = bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes(data[:middle] + (rest if damage == "changed" else b""))
    run(*train_arguments(smoke_model, late))
    assert len(trained) == 1
    assert content(late, OUTPUTS[:2]) == content(done, OUTPUTS[:2])


def test_outputs_that_are_there_are_trained_anew_when_asked(
    smoke_model, done, tmp_path, trained
):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    run(*train_arguments(smoke_model, tmp_path))
    assert len(trained) == 1
    assert left(tmp_path) == {"done", "lock"}


@pytest.mark.parametrize(
    ("place", "name", "call", "anew"),
    [
        (files, "checksum", 1, True),
        (Path, "rename", 1, True),
        *((files, "link_or_copy", call, False) for call in (1, 2, 3)),
        (saved_outputs, "clear_state_folder", 1, False),
    ],
)
def test_a_training_killed_at_its_end_leaves_all_or_nothing(
    smoke_model, done, tmp_path, trained, monkeypatch, place, name, call, anew
):
    with monkeypatch.context() as patched:
        killed_at(patched, place, name, call)
        with pytest.raises(Killed):
            run(*train_arguments(smoke_model, tmp_path))
    lose(tmp_path)  # as Snakemake does
    run(*train_arguments(smoke_model, tmp_path))
    assert len(trained) == 1 + anew
    assert content(tmp_path, OUTPUTS[:2]) == content(done, OUTPUTS[:2])
    assert left(tmp_path) == {"done", "lock"}


@pytest.mark.parametrize("call", range(1, 4))
@pytest.mark.parametrize("name", ["link", "replace"])
def test_what_is_half_put_back_is_put_back_whole(
    smoke_model, done, late, trained, monkeypatch, name, call
):
    with monkeypatch.context() as patched:
        killed_at(patched, files.os, name, call)
        with pytest.raises(Killed):
            run(*train_arguments(smoke_model, late))
    assert not (late / "run.json").exists()
    run(*train_arguments(smoke_model, late))
    assert trained == []
    assert content(late) == content(done)
    assert list(late.glob(".*")) == []


def test_what_is_half_dropped_is_trained_anew_and_no_state_stays(
    smoke_model, late, trained, monkeypatch
):
    (late / "state/000000000001.safetensors").write_text("of another training")
    other = structs.replace(smoke_model, seeds=1)
    with monkeypatch.context() as patched:
        killed_at(patched, saved_outputs.shutil, "rmtree", 1)
        with pytest.raises(Killed):
            run(*train_arguments(other, late))
    assert left(late) == {"done", "lock"}
    (late / "state/done/run").unlink()
    run(*train_arguments(other, late))
    assert len(trained) == 1
