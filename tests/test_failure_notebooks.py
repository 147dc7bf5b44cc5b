"""The notebooks of sections 2 and 3 on right, mixed and malformed predictions."""

import re

import numpy as np
import pytest
import torch
from synthetic import CATALOG, PRINTED, PROJECT, PUBLISHED

from mathprobe import files
from mathprobe.paper import notebooks, tables
from mathprobe.studies import failures
from mathprobe.studies.linalg import heads, scoring
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset
from mathprobe.studies.linalg.models import build

NOTEBOOKS = PROJECT / "paper" / "notebooks"
HOME = {"eigenvectors": "uniform_wigner", "inverse": "uniform_coefficients"}


def corrupted(best, answers):
    """Return answers of two seeds; none, every third or all are corrupted."""
    made = torch.from_numpy(best).repeat(2, 1, 1, 1)
    if answers == "mixed":
        made[:, ::3] += 0.5
    if answers == "malformed":
        made[:] = torch.nan
    return made.numpy()


def written(folder, task, answers):
    """Write the files of a model; return the parameters of the notebooks."""
    distribution = HOME[task]
    spec = CATALOG.model("demo", task, distribution, 2, "base")
    test = make_testset(CATALOG.testset("demo", task, distribution, 2))
    test = {
        name: values[:60] if values.ndim else values for name, values in test.items()
    }
    best = Codecs(spec).oracle(torch.from_numpy(test["matrix"])).numpy()
    made = {
        f"{distribution}.prediction": corrupted(best, answers),
        f"{distribution}.oracle": best,
    }
    measured = scoring.measure(spec, {distribution: test}, made)
    statistics = failures.tables(spec, measured, [0.05, 0.01])
    arrays = failures.in_distribution_arrays(spec, measured, {distribution: test}, made)
    parameters = {"predictions": folder / task / "base" / "in_distribution.npz"}
    files.save_arrays(
        parameters["predictions"], {**arrays, "spec": np.array(spec.to_json())}
    )
    kinds = {"failures": "properties", "verifiers": "verifiers", "roc": "roc"}
    for kind, source in kinds.items():
        path = folder / f"{kind}_{task}_n2.csv"
        csv = folder / task / f"{source}.csv"
        files.write_csv(csv, statistics[source], failures.COLUMNS[source])
        run = {"spec": spec.to_dict()}
        model = tables.model_rows("base", run, tables.read(csv))
        made = tables.build(kind, [model], PUBLISHED)
        tables.write(path, made, tables.KINDS[kind].columns)
        parameters[kind] = path
    return parameters


def heads_of(task):
    """Return the tables of the heads of an untrained network: no answer is right."""
    spec = CATALOG.model("smoke", task, HOME[task], 2, "base")
    test = make_testset(CATALOG.testset("smoke", task, HOME[task], 2))
    return heads.tables(spec, {1: build(spec, 1)}, test, 0.05)


@pytest.fixture(scope="module", params=["exact", "mixed", "malformed"])
def results(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    each = [written(folder, task, request.param) for task in HOME]
    given = {name: [str(one[name]) for one in each] for name in each[0]}
    given["published"] = list(map(str, PRINTED))
    for name, rows in heads_of("eigenvectors").items():
        given[name] = [str(folder / f"{name}.csv")]
        files.write_csv(given[name][0], rows, heads.COLUMNS[name])
    given["figures"] = str(folder / "figures")
    return request.param, folder, given


def executed(name, results, needed):
    _, folder, given = results
    parameters = {key: given[key] for key in needed.split()}
    source = NOTEBOOKS / f"{name}.py"
    template = PROJECT / "paper/templates/notebook.html.j2"
    return notebooks.execute(source, template, parameters, folder / "failed.ipynb").html


def drawn(results):
    return {path.stem for path in (results[1] / "figures").glob("*.svg")}


def test_spectral_properties_runs_on_any_predictions(results):
    needed = "failures predictions ablations attention published figures"
    html = executed("spectral_properties", results, needed)
    assert {"failure_properties", "heads"} <= drawn(results)
    counts = re.findall(r"(\d+) wrong, (\d+) malformed", html)
    with_examples = sum(int(wrong) > int(malformed) for wrong, malformed in counts)
    assert len(counts) == len(HOME)
    assert html.count("<table") == 2 * len(HOME) + with_examples + 1
    assert ">eigenvectors, 2 × 2<" in html
    assert "seed 1: 0 right answers; control: 0 become wrong" in html
    assert "Nothing is published for these models" in html
    wrong = {"exact": 0, "mixed": 40, "malformed": 120}[results[0]]
    found = re.findall(r"eigenvectors, n=2, base: (\d+) wrong, (\d+) malformed", html)
    assert [int(count) for count in found[0]] == [wrong, 120 * (wrong == 120)]
    assert str(results[1]) not in html


def test_verifiers_runs_on_any_predictions(results):
    needed = "verifiers roc predictions figures"
    html = executed("verifiers", results, needed)
    assert {"condition_error", "roc"} <= drawn(results)
    accepted = re.search(r"(\d+) of 60 predictions are accepted", html)[1]
    assert int(accepted) == {"exact": 60, "mixed": 40, "malformed": 0}[results[0]]
    assert "below 1.045" in html
    assert str(results[1]) not in html
