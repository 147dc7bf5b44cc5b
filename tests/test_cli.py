import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
from msgspec import structs

from mathprobe import cli, files, settings
from mathprobe.paper import published
from mathprobe.spec import ConditionNumbers, MatrixSpec, TestSet

PUBLISHED = [f"paper/published/{name}.csv" for name in published.FILES]
ERRATA = "paper/published/errata.yaml", "paper/published/arith_errata.yaml"


def run(*arguments):
    cli.main([str(argument) for argument in arguments])


def refused(*arguments):
    """Return the error message of a command that rejects its input."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert isinstance(caught.value.code, str)
    return caught.value.code


@pytest.fixture(scope="module")
def tests(smoke_model, tmp_path_factory):
    """Paths of the test sets of the smallest model."""
    folder = tmp_path_factory.mktemp("tests")
    paths = []
    for distribution in smoke_model.curve.tests:
        data = structs.replace(smoke_model.data, distribution=distribution)
        paths.append(folder / f"{distribution}.npz")
        run("testset", TestSet(data, 30).to_json(), paths[-1])
    return paths


def train_arguments(spec, folder):
    return [
        *("train", spec.to_json()),
        *("--model", folder / "model.safetensors", "--curve", folder / "curve.csv"),
        *("--run", folder / "run.json", "--state", folder / "state"),
    ]


@pytest.fixture(scope="module")
def trained(smoke_model, tests, tmp_path_factory):
    """A folder named after a recipe, with a model, its predictions and its scores."""
    folder = tmp_path_factory.mktemp("model") / "base"
    run(*train_arguments(smoke_model, folder))
    predictions = folder / "predictions.npz"
    run("predict", folder / "model.safetensors", predictions, "--tests", *tests)
    tolerances = ["--tolerances", 0.05, 0.01]
    outputs = folder / "scores.csv", folder / "examples.npz"
    run("score", predictions, *outputs, "--tests", *tests, *tolerances)
    return folder


def test_a_training_leaves_its_outputs_and_no_checkpoints(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "curve.csv",
        "examples.npz",
        "model.safetensors",
        "predictions.npz",
        "run.json",
        "scores.csv",
        "state",
    ]
    assert {path.name for path in (trained / "state").iterdir()} == {"done", "lock"}


def test_run_json_describes_the_training(trained, smoke_model):
    facts = json.loads((trained / "run.json").read_text())
    assert facts["spec"] == smoke_model.to_dict()
    assert facts["examples"] == smoke_model.schedule.examples
    assert facts["attempts"] == 1
    assert facts["seconds"] > 0
    assert facts["parameters"] > 1000
    assert facts["started"] <= facts["finished"]


def test_scores_have_a_row_per_seed_test_and_tolerance(trained, smoke_model):
    lines = (trained / "scores.csv").read_text().splitlines()
    assert lines[0].startswith("seed,test,tolerance,examples,correct,malformed")
    starts = [line.split(",")[:4] for line in lines[1:]]
    distributions = smoke_model.curve.tests
    expected = itertools.product(distributions, ("1", "2"), ("0.05", "0.01"))
    assert starts == [
        [seed, distribution, t, "30"] for distribution, seed, t in expected
    ]


def test_errors_are_stored_for_each_example(trained):
    arrays = files.load_arrays(trained / "examples.npz")
    assert arrays["semicircle.error"].shape == (2, 30)
    assert arrays["semicircle.oracle_error"].shape == (30,)


def test_failures_are_analysed_only_for_tasks_with_properties(trained, tests, tmp_path):
    outputs = [
        f"--{kind}={tmp_path / kind}"
        for kind in ("properties", "verifiers", "roc", "in-distribution")
    ]
    inputs = "--predictions", trained / "predictions.npz", "--tests", *tests
    arguments = *outputs, *inputs, "--tolerances", 0.05
    message = refused("failures", trained / "examples.npz", *arguments)
    assert (
        "task 'eigenvalues' has no failure analysis; tasks with one are eigen"
        in message
    )


def test_a_test_set_of_another_size_is_rejected(trained, smoke_model, tmp_path):
    data = structs.replace(smoke_model.data, n=3, columns=3)
    run("testset", TestSet(data, 5).to_json(), tmp_path / "other.npz")
    arguments = trained / "model.safetensors", tmp_path / "p", "--tests"
    message = refused("predict", *arguments, tmp_path / "other.npz")
    assert (
        "other.npz is not a test set of this model: columns: expected 2, found 3; n: "
        in message
    )


def test_predictions_are_bitwise_reproducible(trained, tests, tmp_path):
    again = tmp_path / "again.npz"
    run("predict", trained / "model.safetensors", again, "--tests", *tests)
    assert again.read_bytes() == (trained / "predictions.npz").read_bytes()


@pytest.mark.parametrize("kind", ["ood", "curves", "runs"])
def test_tables_are_made_from_model_folders(trained, tmp_path, kind):
    out = tmp_path / "table.csv"
    run("table", kind, out, "--published", *PUBLISHED, "--models", trained)
    assert len(out.read_text().splitlines()) > 1


def test_every_model_has_a_row_per_target_accuracy(trained, tmp_path):
    """A model may have several targets, and a missing model has a row as well."""
    out, half = tmp_path / "table.csv", tmp_path / "half"
    shutil.copytree(trained, half)
    model = "eigenvalues/laplace/n2"
    targets = [f"{model}/base=0.1", f"{model}/half=0.2", f"{model}/half=0.1"]
    run(
        *("table", "learning_speed", out, "--published", *PUBLISHED),
        *("--models", trained, half, "--target-accuracies", *targets),
        "eigenvalues/laplace/n5/p1000=0.3",
        *("--missing", "eigenvalues/laplace/n5/p1000"),
    )
    rows = list(csv.DictReader(out.read_text().splitlines()))
    found = {(row["recipe"], float(row["target"])) for row in rows}
    assert found == {("base", 0.1), ("half", 0.2), ("half", 0.1), ("p1000", 0.3)}


def test_a_target_accuracy_without_a_model_is_rejected(tmp_path):
    given = "--published", *PUBLISHED, "--models", "--target-accuracies", "0.99"
    message = refused("table", "learning_speed", tmp_path / "t", *given)
    assert "--target-accuracies: '0.99' is not MODEL=ACCURACY" in message


def test_condition_numbers_are_merged_with_published_ones(tmp_path):
    spec = ConditionNumbers(5, 200, {})
    run(
        "condition_numbers",
        spec.to_json(),
        tmp_path / "c.csv",
        "--published",
        *PUBLISHED,
    )
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0].endswith("value,low,high,published")
    assert len(lines) == 1 + 7 * 3
    assert lines[1].endswith(",9.4")


def test_stale_lists_models_of_other_code(trained, tmp_path, capsys):
    run("stale", trained.parent)
    assert "0 of 1 models" in capsys.readouterr().err
    facts = json.loads((trained / "run.json").read_text())
    files.write_json(
        tmp_path / "old" / "run.json", {**facts, "history": [{"code": "older"}]}
    )
    run("stale", tmp_path)
    captured = capsys.readouterr()
    assert captured.out.strip().endswith("old")
    assert "1 of 1 models" in captured.err


def test_a_damaged_test_set_is_rejected_with_a_remedy(trained, tests, tmp_path):
    content = bytearray(tests[0].read_bytes())
    content[len(content) // 2] ^= 255
    bad = tmp_path / "bad.npz"
    bad.write_bytes(content)
    message = refused(
        *("predict", trained / "model.safetensors", tmp_path / "p.npz"),
        *("--tests", bad),
    )
    assert message.startswith("mathprobe predict: ")
    assert str(bad) in message
    assert "remove the file and run again" in message
    assert not (tmp_path / "p.npz").exists()


def test_an_unwritable_path_is_reported():
    spec = TestSet(MatrixSpec("eigenvalues", "laplace", 2, 2, {}), 5)
    assert "/proc/nowhere" in refused("testset", spec.to_json(), "/proc/nowhere/t.npz")


def test_an_unknown_distribution_is_rejected_with_the_known_ones(tmp_path):
    spec = TestSet(MatrixSpec("eigenvalues", "cauchy", 2, 2, {}), 5)
    message = refused("testset", spec.to_json(), tmp_path / "t.npz")
    assert (
        "unknown distribution 'cauchy'; known names are semicircle, uniform" in message
    )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_reported(tmp_path):
    message = refused("predict", tmp_path / "none", tmp_path / "p", "--tests", "x.npz")
    assert str(tmp_path / "none") in message


@pytest.mark.parametrize(
    "arguments", [("latex", "paper/templates/runs.tex.j2", "out"), ("macros", "out")]
)
def test_invalid_facts_are_rejected(arguments, trained, tmp_path):
    table, facts = tmp_path / "ood_eigenvalues_n2.csv", tmp_path / "facts.json"
    run("table", "ood", table, "--published", *PUBLISHED, "--models", trained)
    facts.write_text("{")
    files = "--published", *PUBLISHED, "--errata", *ERRATA, "--tables", table
    assert "facts.json: not JSON" in refused(*arguments, "--facts", facts, *files)


def test_facts_depend_on_the_given_configuration(tmp_path, catalog):
    config = settings.merge(catalog.config, {"linalg": {"tests": {"examples": 7}}})
    files.write_json(tmp_path / "config.json", config)
    out = tmp_path / "facts.json"
    run("facts", "paper", out, "--config", tmp_path / "config.json")
    facts = json.loads(out.read_text())
    assert facts["study"]["tests"]["examples"] == 7
    assert facts["arith"] == json.loads(json.dumps(catalog.arith("paper").facts()))


@pytest.mark.parametrize("parameters", ["x=1", "[1]", "3", '{"a": 1'])
def test_parameters_that_are_not_a_json_object_are_rejected(tmp_path, parameters):
    out = (
        tmp_path / "n.ipynb",
        tmp_path / "n.html",
        "--failed-notebook",
        tmp_path / "k.ipynb",
    )
    source = "paper/notebooks/generalization.py"
    template = "--template", "paper/templates/notebook.html.j2"
    message = refused("notebook", source, *out, *template, "--parameters", parameters)
    assert "--parameters: not a JSON object" in message


def test_an_unknown_kind_of_table_lists_the_known_ones(tmp_path):
    published = "--published", *PUBLISHED, "--models"
    message = refused("table", "first_reached", tmp_path / "t", *published)
    assert "unknown kind of table 'first_reached'; known names are ood, " in message


def test_an_invalid_specification_is_rejected(tmp_path):
    assert "TestSet: not JSON" in refused("testset", "{", tmp_path / "t.npz")


@pytest.mark.parametrize("name", sorted(set(cli.app) - {"--help", "-h", "--version"}))
def test_every_command_and_every_option_is_described(name):
    command = cli.app[name]
    assert command.help
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            assert argument.parameter.help, argument.name


def test_the_help_has_groups_and_the_version_is_printed(capsys):
    run("--help")
    user, workflow = capsys.readouterr().out.split("Commands run by the workflow")
    assert "Commands for users" in user
    for name in ("status", "plan", "stale", "archive", "unpack", "record"):
        assert re.search(rf"\b{name}  ", user)
    assert re.search(r"\bpredict  ", workflow)
    run("--version")
    assert capsys.readouterr().out.strip() == metadata.version("mathprobe")


def test_output_that_nobody_reads_is_not_an_error_with_a_message():
    read, write = os.pipe()
    os.close(read)
    command = sys.executable, "-m", "mathprobe", "--help"
    with os.fdopen(write, "wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")
