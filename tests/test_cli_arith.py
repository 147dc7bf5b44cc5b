"""Commands of the second study: training of a parent and its child, and accuracy."""

import csv
import json
import shutil

import pytest
from msgspec import structs
from test_cli import refused, run

from mathprobe import checkpoint, cli, files, provenance
from mathprobe.cli import saved_outputs
from mathprobe.errors import InputError
from mathprobe.studies.arith import accuracy as counted
from mathprobe.studies.arith import models


def train_arguments(spec, folder, parent=None):
    parents = [] if parent is None else ["--parent", parent / "model.safetensors"]
    return [
        *("arith_train", spec.to_json(), *parents),
        *("--model", folder / "model.safetensors", "--curve", folder / "curve.csv"),
        *("--run", folder / "run.json", "--state", folder / "state"),
    ]


@pytest.fixture(scope="module")
def child(catalog):
    small = catalog.arith("smoke")
    return next(
        model
        for model in map(small.model, small.rows)
        if model.insertion and not model.schedule.grokfast
    )


@pytest.fixture(scope="module")
def trained(child, tmp_path_factory):
    """Folders of a parent and its child."""
    folders = [tmp_path_factory.mktemp(name) for name in ("parent", "child")]
    run(*train_arguments(child.insertion.parent, folders[0]))
    run(*train_arguments(child, folders[1], folders[0]))
    return folders


@pytest.fixture(scope="module")
def accuracy(trained, catalog):
    out = trained[1] / "accuracy.csv"
    test = catalog.arith("smoke").accuracy()
    run("arith_accuracy", trained[1] / "model.safetensors", test.to_json(), out)
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_leaves_its_outputs_and_no_checkpoints(trained):
    for folder in trained:
        left = {path.name for path in folder.iterdir()} - {"accuracy.csv"}
        assert left == {"curve.csv", "model.safetensors", "run.json", "state"}
        assert {path.name for path in (folder / "state").iterdir()} == {"done", "lock"}


def test_run_json_describes_the_training(trained, child):
    facts = json.loads((trained[1] / "run.json").read_text())
    assert facts["spec"] == child.to_dict()
    assert (facts["study"], facts["examples"]) == ("arith", child.schedule.examples)
    assert facts["spec"]["insertion"]["parent"]["name"] == child.insertion.parent.name


def test_a_stored_model_is_loaded(trained, child):
    spec, network = models.load(trained[1] / "model.safetensors")
    assert spec == child
    assert len(network.blocks) == child.network.layers


def test_accuracy_has_all_operations_and_their_classes(accuracy, catalog):
    expected = catalog.arith("smoke").accuracy().questions
    assert tuple(accuracy[0]) == counted.COLUMNS
    for operation in ("addition", "subtraction"):
        rows = [row for row in accuracy if row["operation"] == operation]
        total, *classes = rows
        assert total["class"] == counted.ALL
        assert int(total["questions"]) == expected
        for count in ("questions", "fails", "malformed"):
            assert int(total[count]) == sum(int(row[count]) for row in classes)


def test_training_is_bitwise_reproducible(trained, child, tmp_path):
    run(*train_arguments(child, tmp_path, trained[0]))
    for name in ("model.safetensors", "curve.csv"):
        assert (tmp_path / name).read_bytes() == (trained[1] / name).read_bytes()


def test_a_child_needs_its_parent(child, tmp_path):
    message = refused(*train_arguments(child, tmp_path))
    assert message.endswith(
        f"{child.name} needs its parent {child.insertion.parent.name}"
    )


def test_a_parent_with_another_specification_is_rejected(trained, child, tmp_path):
    schedule = structs.replace(child.schedule, learning_rate=1.0)
    other = structs.replace(child.insertion.parent, schedule=schedule)
    wanted = structs.replace(child.insertion, parent=other)
    spec = structs.replace(child, insertion=wanted)
    message = refused(*train_arguments(spec, tmp_path, trained[0]))
    assert "is not the parent of" in message
    assert "schedule.learning_rate: expected 1.0, found 0.003" in message


def test_stale_compares_the_code_of_each_study(trained, capsys):
    cli.main(["stale", str(trained[1])])
    assert "0 of 1 models, 0 of 0 test sets" in capsys.readouterr().err


def test_a_lost_child_is_restored_if_its_parent_is_the_same(
    trained, child, tmp_path, capsys
):
    lost = tmp_path / "child"
    shutil.copytree(trained[1], lost)
    (lost / "run.json").unlink()
    run(*train_arguments(child, lost, trained[0]))
    assert "restored from" in capsys.readouterr().out
    (lost / "run.json").unlink()
    [saved] = (lost / "state/done").iterdir()
    change_parent(saved, "run", "another")
    files.write_json(saved / saved_outputs.CHECKSUMS, saved_outputs._checksums(saved))
    shutil.move(saved, saved.with_name("of another parent"))
    run(*train_arguments(child, lost, trained[0]))
    message = "kept, of another training (other weights of the parent)\ntraining again"
    assert message in capsys.readouterr().out
    facts = json.loads((lost / "run.json").read_text())
    assert facts["parent"] == files.checksum(trained[0] / "model.safetensors")


def change_parent(folder, name, parent):
    """Change the checksum of the parent's weights in a run.json."""
    facts = json.loads((folder / name).read_text())
    files.write_json(folder / name, {**facts, "parent": parent})


def test_a_child_of_other_weights_of_its_parent_is_stale(trained, child, tmp_path):
    folders = [tmp_path / child.insertion.parent.name, tmp_path / child.name]
    for trained_folder, folder in zip(trained, folders, strict=True):
        shutil.copytree(trained_folder, folder)
    runs = [folder / "run.json" for folder in folders]
    assert not any(map(provenance.has_other_parent, runs))
    change_parent(folders[1], "run.json", "another")
    assert list(map(provenance.has_other_parent, runs)) == [False, True]


def test_a_child_does_not_resume_from_other_weights_of_its_parent(
    trained, child, tmp_path, monkeypatch
):
    save, folder = checkpoint.save_checkpoint, tmp_path / "child"

    def stop(*arguments):
        save(*arguments)
        raise InputError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save_checkpoint", stop)
        arguments = train_arguments(child, folder, trained[0])
        assert "stopped" in refused(*arguments, "--save-every", 0)
        patched.setattr(files, "checksum", lambda path: "of other weights")
        message = refused(*arguments)
    assert "that started from other weights of the parent: remove its" in message
