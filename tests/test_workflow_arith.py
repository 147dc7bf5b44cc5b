"""Dry runs of the second study: parents are trained before their children."""

import re

import pytest

from workflow import Workflow

CHILD = "results/paper/arith/ins1_mix_d10_l3_h3_t50K_gf_s572091"
PARENT = "results/paper/arith/add_d10_l2_h3_t40K_gf_s572091"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Workflow(tmp_path_factory.mktemp("arith") / "copy")


def test_a_parent_is_trained_before_its_child(copy):
    assert copy.planned_jobs(f"{CHILD}/accuracy.csv") == {
        "arith_accuracy": 1,
        "arith_train": 2,
    }
    output = copy.snakemake(f"{CHILD}/model.safetensors", "-n", "-p").stdout
    models = re.findall(r"--parent (\S+).*--model (\S+)", output)
    assert models == [(f"{PARENT}/model.safetensors", f"{CHILD}/model.safetensors")]


def test_a_model_without_a_parent_needs_no_other_training(copy):
    assert copy.planned_jobs(f"{PARENT}/run.json") == {"arith_train": 1}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("results/paper/arith/add_d5_l9/run.json", "unknown model 'add_d5_l9'"),
        (f"{PARENT}/run.json".replace("paper", "demo"), "unknown model 'add_d10_l2"),
    ],
)
def test_an_unknown_model_is_rejected(copy, path, message):
    done = copy.snakemake(path, "-n")
    assert done.returncode != 0
    assert message in done.stdout


def test_an_added_row_adds_a_model_and_changes_no_other(copy):
    table = copy.folder / "config/arith_models.tsv"
    rows = table.read_text()
    cells = [*("add", "3", "1", "3", "1000", "5"), "", "", *("no", "ours")]
    table.write_text(rows + "\t".join(cells) + "\n")
    path = "results/paper/arith/add_d3_l1_h3_t1K_s5/accuracy.csv"
    assert copy.planned_jobs(path) == {"arith_accuracy": 1, "arith_train": 1}
    table.write_text(rows)
