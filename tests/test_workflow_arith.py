"""Dry runs of the second study: parents are trained before their children."""

import re
import shutil

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


def test_an_unknown_model_is_rejected(copy):
    done = copy.snakemake("results/paper/arith/add_d5_l9/run.json", "-n")
    assert done.returncode != 0
    assert "unknown model 'add_d5_l9'" in done.stdout


def test_an_added_row_adds_a_model_and_changes_no_other(copy):
    table = copy.folder / "config/arith_models.tsv"
    rows = table.read_text()
    cells = [*("add", "3", "1", "3", "1000", "5"), "", "", *("no", "ours")]
    table.write_text(rows + "\t".join(cells) + "\n")
    path = "results/paper/arith/add_d3_l1_h3_t1K_s5/accuracy.csv"
    assert copy.planned_jobs(path) == {"arith_accuracy": 1, "arith_train": 1}
    table.write_text(rows)


SMALL = "results/smoke/arith/ins1_mix_d2_l2_h3_t0.02K_s1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A copy with a trained decoder and its parent."""
    workflow = Workflow(tmp_path_factory.mktemp("trained") / "copy")
    done = workflow.snakemake(f"{SMALL}/run.json", "--cores", 2)
    assert done.returncode == 0, done.stdout
    return workflow


def weights(workflow):
    """Return the weights of all models."""
    paths = workflow.folder.glob("results/smoke/arith/*/model.safetensors")
    return {path.parent.name: path.read_bytes() for path in paths}


def models(workflow):
    return [f"results/smoke/arith/{name}/run.json" for name in weights(workflow)]


def test_a_touched_parent_trains_nothing(trained):
    [parent] = set(weights(trained)) - {SMALL.split("/")[-1]}
    (trained.folder / f"results/smoke/arith/{parent}/model.safetensors").touch()
    # As for a model of the paper, which is too large for Snakemake's checksums.
    large = "--max-checksum-file-size", 0
    assert trained.planned_jobs(f"{SMALL}/run.json", *large) == {}


def test_copied_results_train_nothing(trained, tmp_path):
    """The copy has new time stamps, in any order, and no records of Snakemake."""
    other = Workflow(tmp_path / "copy")
    names = [name.split("/")[-2] for name in models(trained)]
    for order in (names, names[::-1]):
        for name in order:
            folder = f"results/smoke/arith/{name}"
            target = other.folder / folder
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                trained.folder / folder, target, copy_function=shutil.copyfile
            )
        assert other.planned_jobs(f"{SMALL}/run.json") == {}


@pytest.mark.parametrize("options", [["--force"], ["--delete-all-output", None]])
def test_a_finished_model_whose_outputs_snakemake_deletes_is_restored(trained, options):
    before, targets = weights(trained), models(trained)
    assert len(before) == 2
    for option in options:  # `--delete-all-output` deletes and makes nothing
        done = trained.snakemake(*targets, "--cores", 1, *filter(None, [option]))
        assert done.returncode == 0, done.stdout
    assert done.stdout.count("run.json: restored from") == 2
    assert weights(trained) == before
