"""Inputs of jobs for a record that has models which are not finished."""

import pytest

from mathprobe import files, paths, strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.inputs import Inputs
from mathprobe.settings import merge


class Wildcards(dict):
    """The wildcards of a job, as Snakemake passes them."""

    __getattr__ = dict.__getitem__


FINISHED = "linalg/eigenvalues/laplace/n5/base"
UNFINISHED = "linalg/eigenvalues/gaussian/n5/base"
DECODER = "arith/add_d5_l1_h3_t30K_s372001"


@pytest.fixture
def inputs(tmp_path):
    for name in (paths.RUN, "scores.csv", "curve.csv"):
        files.write_text(tmp_path / FINISHED / name, "{}")
    files.write_text(tmp_path / DECODER / paths.RUN, "{}")
    for name in (paths.UNFINISHED, "curve.csv"):
        files.write_text(tmp_path / UNFINISHED / name, "{}")
    record = {"record": {"folder": str(tmp_path)}}
    return Inputs(Catalog(merge(strict_yaml.read("config/config.yaml"), record)))


def of_table(kind):
    same = {"scale": "record", "task": "eigenvalues", "n": "5"}
    return Wildcards(same, kind=kind)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "results/demo/linalg/eigenvalues/laplace+laplace/n2/base/scores.csv",
            "mixture 'laplace+laplace': 'laplace' is repeated",
        ),
        (
            "results/demo/linalg/eigenvalues/laplace/n2x3/base/scores.csv",
            "task 'eigenvalues': 2 x 3: matrices must be square",
        ),
        (
            "results/demo/arith/add_d6_l2_h3_t15K_s372001/run.json",
            "config/arith_models_demo.tsv: unknown model",
        ),
        ("/results/demo/paper.pdf", "targets are relative to the folder"),
    ],
)
def test_a_target_that_cannot_be_made_is_refused(inputs, target, message):
    with pytest.raises(InputError) as caught:
        inputs.check([target])
    assert str(caught.value).startswith(f"{target}: {message}")


def test_an_unfinished_model_is_missing_from_tables_of_finished_ones(inputs, tmp_path):
    for kind in ("ood", "tolerances", "learning_speed"):
        found = inputs.table_inputs(of_table(kind))
        assert found[0] == f"{tmp_path}/{FINISHED}/run.json"
        assert not any("gaussian" in path for path in found)
        assert "eigenvalues/gaussian/n5/base" in inputs.missing(of_table(kind))


def test_an_unfinished_model_has_a_learning_curve(inputs, tmp_path):
    found = inputs.table_inputs(of_table("curves"))
    folder = f"{tmp_path}/{UNFINISHED}"
    assert found[:2] == [f"{folder}/unfinished.json", f"{folder}/curve.csv"]
    assert "eigenvalues/gaussian/n5/base" not in inputs.missing(of_table("curves"))


def test_costs_are_those_of_all_models_of_both_studies(inputs, tmp_path):
    found = inputs.cost_inputs(of_table("costs"))
    expected = (
        f"{UNFINISHED}/unfinished.json",
        f"{FINISHED}/run.json",
        f"{DECODER}/run.json",
    )
    assert found == [f"{tmp_path}/{path}" for path in expected]


def test_a_recorded_model_without_the_file_of_a_table_is_missing_from_it(
    inputs, tmp_path
):
    (tmp_path / FINISHED / "scores.csv").unlink()
    assert inputs.table_inputs(of_table("ood")) == []
    assert "eigenvalues/laplace/n5/base" in inputs.missing(of_table("ood"))
    assert inputs.arith_table_inputs(Wildcards(scale="record", kind="claims")) == []
