"""The lost outputs of a finished training are restored completely, or not at all."""

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
    """Simulates SIGKILL: no code catches it."""


@pytest.fixture(scope="module")
def done(smoke_model, tmp_path_factory):
    """The folder of a finished training."""
    folder = tmp_path_factory.mktemp("done")
    run(*train_arguments(smoke_model, folder))
    return folder


@pytest.fixture
def emptied(done, tmp_path):
    """A copy of this folder whose outputs Snakemake has deleted."""
    folder = tmp_path / "emptied"
    shutil.copytree(done, folder)
    lose(folder)
    return folder


@pytest.fixture
def trained(monkeypatch):
    """The arguments of each training that is run."""
    calls, train = [], training._train

    def counted_train(*arguments):
        calls.append(arguments)
        train(*arguments)

    monkeypatch.setattr(training, "_train", counted_train)
    return calls


def lose(folder):
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)


def content(folder, names=OUTPUTS):
    return {name: (folder / name).read_bytes() for name in names}


def left(folder):
    return {path.name for path in (folder / "state").iterdir()}


def killed_at(monkeypatch, place, name, call):
    """Raise Killed at the `call`-th call of a function."""
    function, calls = getattr(place, name), []

    def killing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        return function(*arguments)

    monkeypatch.setattr(place, name, killing)


def test_lost_outputs_are_restored_without_training(
    smoke_model, done, emptied, trained, capsys
):
    run(*train_arguments(smoke_model, emptied))
    assert trained == []
    assert content(emptied) == content(done)
    assert left(emptied) == {"done", "lock"}
    assert list(emptied.glob(".*")) == []
    assert capsys.readouterr().out == (
        f"{emptied / 'run.json'}: restored from {emptied / 'state/done'}; "
        f"to train again, remove {emptied / 'state'} and rerun\n"
    )


def test_outputs_can_be_restored_repeatedly(smoke_model, done, emptied, trained):
    for _ in range(2):
        run(*train_arguments(smoke_model, emptied))
        lose(emptied)
    assert trained == []


@pytest.mark.parametrize("lost", OUTPUTS)
def test_a_single_lost_output_is_restored(smoke_model, done, tmp_path, trained, lost):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    (tmp_path / lost).unlink()
    run(*train_arguments(smoke_model, tmp_path))
    assert trained == []
    assert content(tmp_path) == content(done)


def test_saved_outputs_are_hard_links(done):
    for name, output in zip(saved_outputs.OUTPUTS, OUTPUTS, strict=True):
        assert (done / "state/done" / name).samefile(done / output)


def test_a_file_system_without_hard_links_has_copies(
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


def test_a_training_without_checkpoint_folder_is_run_again(
    smoke_model, done, emptied, trained
):
    shutil.rmtree(emptied / "state")
    run(*train_arguments(smoke_model, emptied))
    assert len(trained) == 1
    assert content(emptied, OUTPUTS[:2]) == content(done, OUTPUTS[:2])


def test_other_settings_are_trained_again(smoke_model, emptied, trained, capsys):
    other = structs.replace(smoke_model, seeds=1)
    run(*train_arguments(other, emptied))
    assert len(trained) == 1
    assert json.loads((emptied / "run.json").read_text())["spec"]["seeds"] == 1
    assert (
        "of another specification, code or machine; training again"
        in capsys.readouterr().out
    )
    lose(emptied)
    run(*train_arguments(other, emptied))
    assert len(trained) == 1


def test_other_code_is_trained_again(smoke_model, emptied, trained, monkeypatch):
    monkeypatch.setattr(provenance.dependencies, "digest", lambda command: "newer")
    run(*train_arguments(smoke_model, emptied))
    assert len(trained) == 1
    assert json.loads((emptied / "run.json").read_text())["code"] == "newer"


def test_other_code_of_the_first_attempt_is_trained_again(
    smoke_model, emptied, trained
):
    saved = emptied / "state/done"
    facts = json.loads((saved / "run").read_text())
    facts["history"].insert(0, {**facts["history"][0], "code": "older"})
    files.write_json(saved / "run", facts)
    sums = json.loads((saved / saved_outputs.CHECKSUMS).read_text())
    files.write_json(
        saved / saved_outputs.CHECKSUMS, {**sums, "run": files.checksum(saved / "run")}
    )
    run(*train_arguments(smoke_model, emptied))
    assert len(trained) == 1


def test_another_number_of_threads_is_trained_again(
    smoke_model, emptied, trained, monkeypatch
):
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)
    run(*train_arguments(smoke_model, emptied), "--threads", 2)
    assert len(trained) == 1


@pytest.mark.parametrize("name", [*saved_outputs.OUTPUTS, saved_outputs.CHECKSUMS])
@pytest.mark.parametrize("damage", ["gone", "half", "changed"])
def test_damaged_outputs_are_trained_again(
    smoke_model, done, emptied, trained, name, damage
):
    path = emptied / "state/done" / name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        middle = len(data) // 2
        rest = bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes(data[:middle] + (rest if damage == "changed" else b""))
    run(*train_arguments(smoke_model, emptied))
    assert len(trained) == 1
    assert content(emptied, OUTPUTS[:2]) == content(done, OUTPUTS[:2])


def test_existing_outputs_are_trained_again_on_request(
    smoke_model, done, tmp_path, trained
):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    run(*train_arguments(smoke_model, tmp_path))
    assert len(trained) == 1
    assert left(tmp_path) == {"done", "lock"}


@pytest.mark.parametrize(
    ("place", "name", "call", "again"),
    [
        (files, "checksum", 1, True),
        (Path, "rename", 1, True),
        *((files, "link_or_copy", call, False) for call in (1, 2, 3)),
        (saved_outputs, "clear_state_folder", 1, False),
    ],
)
def test_a_training_killed_at_its_end_leaves_all_outputs_or_none(
    smoke_model, done, tmp_path, trained, monkeypatch, place, name, call, again
):
    with monkeypatch.context() as patched:
        killed_at(patched, place, name, call)
        with pytest.raises(Killed):
            run(*train_arguments(smoke_model, tmp_path))
    lose(tmp_path)  # as Snakemake does
    run(*train_arguments(smoke_model, tmp_path))
    assert len(trained) == 1 + again
    assert content(tmp_path, OUTPUTS[:2]) == content(done, OUTPUTS[:2])
    assert left(tmp_path) == {"done", "lock"}


@pytest.mark.parametrize("call", range(1, 4))
@pytest.mark.parametrize("name", ["link", "replace"])
def test_an_interrupted_restore_is_completed(
    smoke_model, done, emptied, trained, monkeypatch, name, call
):
    with monkeypatch.context() as patched:
        killed_at(patched, files.os, name, call)
        with pytest.raises(Killed):
            run(*train_arguments(smoke_model, emptied))
    assert not (emptied / "run.json").exists()
    run(*train_arguments(smoke_model, emptied))
    assert trained == []
    assert content(emptied) == content(done)
    assert list(emptied.glob(".*")) == []


def test_partly_removed_outputs_are_trained_again_without_old_checkpoints(
    smoke_model, emptied, trained, monkeypatch
):
    (emptied / "state/000000000001.safetensors").write_text("of another training")
    other = structs.replace(smoke_model, seeds=1)
    with monkeypatch.context() as patched:
        killed_at(patched, saved_outputs.shutil, "rmtree", 1)
        with pytest.raises(Killed):
            run(*train_arguments(other, emptied))
    assert left(emptied) == {"done", "lock"}
    (emptied / "state/done/run").unlink()
    run(*train_arguments(other, emptied))
    assert len(trained) == 1
