"""Commands of the second study: training of a parent and its child, and accuracy."""

import csv
import json
import shutil

import pytest
from msgspec import structs
from test_cli import refused, run

from mathprobe import cli, files
from mathprobe.cli import saved_outputs
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
    files.write_json(lost / "state/done/run", {**facts(lost), "parent": "another"})
    saved = lost / "state/done"
    files.write_json(saved / saved_outputs.CHECKSUMS, saved_outputs._checksums(saved))
    run(*train_arguments(child, lost, trained[0]))
    assert "training again" in capsys.readouterr().out
    assert facts(lost)["parent"] == files.checksum(trained[0] / "model.safetensors")


def facts(folder):
    return json.loads((folder / "state/done/run").read_text())
