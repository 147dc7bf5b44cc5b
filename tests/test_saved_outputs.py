"""The lost outputs of a finished training are restored completely, or not at all."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from msgspec import structs
from test_cli import run, train_arguments

from mathprobe import checkpoint, files, provenance
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


def saved(folder):
    """The only folder of saved outputs."""
    [found] = (folder / "state/done").iterdir()
    return found


def change_run(folder, **changes):
    """Change the saved run.json, and its checksum."""
    facts = json.loads((saved(folder) / "run").read_text())
    files.write_json(saved(folder) / "run", {**facts, **changes})
    sums = saved_outputs._checksums(saved(folder))
    files.write_json(saved(folder) / saved_outputs.CHECKSUMS, sums)


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
    run_file = emptied / "run.json"
    assert capsys.readouterr().out.endswith(
        f"{run_file}: restored from {saved(emptied)}; "
        f"to train again, remove {saved(emptied)} and {run_file}\n"
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
        assert (saved(done) / name).samefile(done / output)


def test_a_file_system_without_hard_links_has_copies(
    smoke_model, done, tmp_path, trained, no_links
):
    run(*train_arguments(smoke_model, tmp_path))
    before = content(tmp_path)
    assert not (saved(tmp_path) / "model").samefile(tmp_path / OUTPUTS[0])
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


def test_outputs_of_other_settings_are_kept_and_found_again(
    smoke_model, done, emptied, trained, capsys
):
    other, first = structs.replace(smoke_model, seeds=1), saved(emptied)
    run(*train_arguments(other, emptied))
    assert len(trained) == 1
    assert json.loads((emptied / "run.json").read_text())["spec"]["seeds"] == 1
    assert (
        f"{first}: kept, of another training (seeds: expected 1, found 2)\n"
        "training again\n" in capsys.readouterr().out
    )
    for spec in (smoke_model, other, smoke_model):
        lose(emptied)
        run(*train_arguments(spec, emptied))
    assert len(trained) == 1
    assert content(emptied) == content(done)


def test_checkpoints_of_other_settings_are_kept(smoke_model, emptied, trained):
    other = emptied / "state/000000000001.safetensors"
    other.write_text("of an interrupted training with other settings")
    run(*train_arguments(smoke_model, emptied))
    assert trained == []
    assert other.exists()


def changed_origin(monkeypatch, **changes):
    """Change the provenance of the next trainings."""
    collect = provenance.collect
    monkeypatch.setattr(
        provenance, "collect", lambda study: {**collect(study), **changes}
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("code", "newer", " (now newer)"),
        ("lapack", "open 0.3", " (now open 0.3)"),
        ("versions", {"torch": "3.0"}, " (now 3.0)"),
    ],
)
def test_other_code_and_other_machines_restore_with_a_message(
    smoke_model, done, emptied, trained, monkeypatch, capsys, key, value, message
):
    changed_origin(monkeypatch, **{key: value})
    run(*train_arguments(smoke_model, emptied))
    assert trained == []
    assert content(emptied) == content(done)
    printed = capsys.readouterr().out
    assert "made with " in printed
    assert message in printed


def test_an_attempt_with_other_code_is_named(smoke_model, emptied, trained, capsys):
    facts = json.loads((saved(emptied) / "run").read_text())
    older = {**facts["history"][0], "code": "older"}
    change_run(emptied, history=[older, *facts["history"]])
    run(*train_arguments(smoke_model, emptied))
    assert trained == []
    assert "made with code older (now " in capsys.readouterr().out


def test_a_restored_model_of_other_code_is_stale(smoke_model, emptied, monkeypatch):
    run_file = emptied / "run.json"
    run(*train_arguments(smoke_model, emptied))
    assert not provenance.is_stale(run_file)
    run_file.unlink()
    monkeypatch.setattr(provenance.dependencies, "digest", lambda command: "newer")
    run(*train_arguments(smoke_model, emptied))
    assert provenance.is_stale(run_file)


@pytest.mark.parametrize("name", [*saved_outputs.OUTPUTS, saved_outputs.CHECKSUMS])
@pytest.mark.parametrize("damage", ["gone", "half", "changed"])
def test_damaged_outputs_are_trained_again(
    smoke_model, done, emptied, trained, name, damage, capsys
):
    whole = saved(emptied)
    path = whole / name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        middle = len(data) // 2
        rest = bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes(data[:middle] + (rest if damage == "changed" else b""))
    run(*train_arguments(smoke_model, emptied))
    assert len(trained) == 1
    assert content(emptied, OUTPUTS[:2]) == content(done, OUTPUTS[:2])
    damaged = whole.with_suffix(".damaged")
    assert f"{damaged}: kept, but it is damaged" in capsys.readouterr().out
    assert set((emptied / "state/done").iterdir()) == {whole, damaged}


def test_finished_outputs_are_not_trained_again(
    smoke_model, done, tmp_path, trained, capsys
):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "state")  # as in results that were copied without it
    run(*train_arguments(smoke_model, tmp_path))
    assert trained == []
    assert content(tmp_path) == content(done)
    assert "run.json: already trained; to train again, " in capsys.readouterr().out


def halve(path):
    half = path.read_bytes()[:-40]
    path.unlink()  # it may be a link
    path.write_bytes(half)


def state_another_specification(path):
    metadata = checkpoint.model_metadata(path)
    other = {**metadata, "spec": {**metadata["spec"], "seeds": 1}}
    checkpoint.save_model(path, {}, other)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("model.safetensors", halve),
        ("run.json", halve),
        ("model.safetensors", state_another_specification),
    ],
)
def test_damaged_and_other_outputs_are_replaced_by_the_saved_ones(
    smoke_model, done, tmp_path, trained, name, change
):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    change(tmp_path / name)
    run(*train_arguments(smoke_model, tmp_path))
    assert trained == []
    assert content(tmp_path) == content(done)


@pytest.mark.parametrize(
    ("place", "name", "call", "again"),
    [
        (files, "checksum", 1, True),
        (Path, "rename", 1, False),
        *((files, "link_or_copy", call, False) for call in (1, 2, 3)),
        (saved_outputs, "_move_to_done", 1, False),
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


def test_a_copied_result_is_restored(smoke_model, done, tmp_path, trained):
    """A plain copy has new time stamps, and its saved outputs are not links."""
    shutil.copytree(done, tmp_path / "copy", copy_function=shutil.copyfile)
    lose(tmp_path / "copy")
    run(*train_arguments(smoke_model, tmp_path / "copy"))
    assert trained == []
    assert content(tmp_path / "copy") == content(done)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "cuda",
            "12.6",
            f"cuda {torch.version.cuda} (now 12.6): the data are the same, but",
        ),
        ("lapack", "open 0.3", "(now open 0.3):"),
    ],
)
def test_a_training_resumed_elsewhere_is_reported(
    smoke_model, tmp_path, monkeypatch, capsys, key, value, message
):
    stop_after_a_checkpoint(smoke_model, tmp_path, monkeypatch)
    changed_origin(monkeypatch, **{key: value})
    run(*train_arguments(smoke_model, tmp_path))
    printed = capsys.readouterr().out
    assert "resuming a training begun with " in printed
    weights = "the weights may differ from those of an uninterrupted training"
    assert f"{message} {weights}\n" in printed
    first, second = json.loads((tmp_path / "run.json").read_text())["history"]
    assert (first[key] == value, second[key]) == (False, value)


def test_resuming_on_the_same_machine_is_not_reported(
    smoke_model, tmp_path, monkeypatch, capsys
):
    stop_after_a_checkpoint(smoke_model, tmp_path, monkeypatch)
    run(*train_arguments(smoke_model, tmp_path))
    printed = capsys.readouterr().out
    assert "resuming after" in printed
    assert "resuming a training begun" not in printed


def stop_after_a_checkpoint(spec, folder, monkeypatch):
    """Train until the first checkpoint is saved, then stop."""
    with monkeypatch.context() as patched:
        killed_at(patched, checkpoint, "save_checkpoint", 2)
        with pytest.raises(Killed):
            run(*train_arguments(spec, folder), "--save-every", 0)
