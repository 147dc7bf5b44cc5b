import pytest
import torch

from mathprobe.linalg import scores
from mathprobe.spec import TestSet
from mathprobe.studies import failures
from mathprobe.studies.linalg import scoring
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset


@pytest.fixture(scope="module")
def spec(catalog):
    return catalog.model("demo", "eigenvectors", "uniform_wigner", 2, "base")


@pytest.fixture(scope="module")
def tests(spec):
    return {"uniform_wigner": make_testset(TestSet(spec.data, 40))}


@pytest.fixture(scope="module")
def answers(spec, tests):
    """A seed that is the oracle, one whose answers are malformed, and the oracle."""
    test = tests["uniform_wigner"]
    best = Codecs(spec).oracle(torch.from_numpy(test["matrix"]))
    made = torch.stack([best, torch.full_like(best, torch.nan)]).numpy()
    return {"uniform_wigner.prediction": made, "uniform_wigner.oracle": best.numpy()}


@pytest.fixture(scope="module")
def judged(spec, tests, answers):
    return scoring.measure(spec, tests, answers)


def test_the_oracle_is_measured_as_the_seeds_are(judged):
    names = {name.rsplit(".", 1)[1] for name in judged}
    seeds = {name for name in names if not name.startswith("oracle_")}
    assert names - seeds == {f"oracle_{name}" for name in seeds}
    for name in seeds:
        values = judged[f"uniform_wigner.{name}"]
        assert values.shape == (2, 40)
        assert (values[0] == judged[f"uniform_wigner.oracle_{name}"]).all()


def test_failures_are_told_of_every_seed_and_of_the_oracle(spec, judged):
    rows = failures.tables(spec, judged, [0.05, 0.01])
    told = [
        {
            tuple(
                row[k] for k in ("quantity", "group", "tolerance", "statistic", "at")
            ): row
            for row in rows["properties"]
            if row["seed"] == who
        }
        for who in (1, 2, "oracle")
    ]
    for key, row in told[2].items():
        assert {**row, "seed": 1} == told[0][key]
        assert told[1][key]["value"] in (0.0, None)
    assert {row["seed"] for row in rows["verifiers"]} == {1, 2, "oracle"}
    for kind, made in rows.items():
        assert all(tuple(row) == failures.COLUMNS[kind] for row in made)


def test_verifiers_are_judged_at_the_first_tolerance(spec, judged):
    bounds = [1e-9], [0.5]
    strict, loose = (failures.tables(spec, judged, each) for each in bounds)
    for made, count in ((strict, 0), (loose, 40)):
        below = next(row for row in made["verifiers"] if row["seed"] == 1)
        assert (below["statistic"], below["examples"]) == ("successes_below", count)


def test_only_the_training_distribution_has_roc_curves(spec, judged):
    abroad = {
        name.replace("uniform_wigner", "laplace"): values
        for name, values in judged.items()
    }
    curves = failures.tables(spec, {**judged, **abroad}, [0.05])["roc"]
    assert curves == failures.tables(spec, judged, [0.05])["roc"]
    assert failures.tables(spec, abroad, [0.05])["roc"] == []


def test_what_is_kept_at_home_is_what_was_measured_and_asked(
    spec, tests, answers, judged, monkeypatch
):
    monkeypatch.setattr(failures, "STORED_EXAMPLES", 7)
    abroad = {"laplace.error": judged["uniform_wigner.error"]}
    kept = failures.in_distribution_arrays(spec, {**judged, **abroad}, tests, answers)
    shown = {name for name in kept if name.startswith("shown.")}
    assert kept.keys() - shown == judged.keys()
    matrix, answer, prediction = (
        torch.from_numpy(kept[f"shown.{name}"])
        for name in ("matrix", "answer", "prediction")
    )
    error = scores.relative_error("eigenvectors", matrix, answer, prediction)
    assert (error.numpy() == judged["uniform_wigner.error"][0, :7]).all()
