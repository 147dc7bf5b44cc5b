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
def predictions(spec, tests):
    """Return predictions: seed 1 equals the oracle, seed 2 is malformed."""
    test = tests["uniform_wigner"]
    oracle = Codecs(spec).oracle(torch.from_numpy(test["matrix"]))
    seeds = torch.stack([oracle, torch.full_like(oracle, torch.nan)]).numpy()
    return {"uniform_wigner.prediction": seeds, "uniform_wigner.oracle": oracle.numpy()}


@pytest.fixture(scope="module")
def measurements(spec, tests, predictions):
    return scoring.measure(spec, tests, predictions)


def test_the_oracle_has_the_quantities_of_the_seeds(measurements):
    names = {name.rsplit(".", 1)[1] for name in measurements}
    seeds = {name for name in names if not name.startswith("oracle_")}
    assert names - seeds == {f"oracle_{name}" for name in seeds}
    for name in seeds:
        values = measurements[f"uniform_wigner.{name}"]
        assert values.shape == (2, 40)
        assert (values[0] == measurements[f"uniform_wigner.oracle_{name}"]).all()


def test_tables_have_rows_for_every_seed_and_the_oracle(spec, measurements):
    rows = failures.tables(spec, measurements, [0.05, 0.01])
    by_seed = [
        {
            tuple(
                row[k] for k in ("quantity", "group", "tolerance", "statistic", "at")
            ): row
            for row in rows["properties"]
            if row["seed"] == seed
        }
        for seed in (1, 2, "oracle")
    ]
    for key, row in by_seed[2].items():
        assert {**row, "seed": 1} == by_seed[0][key]
        assert by_seed[1][key]["value"] in (0.0, None)
    assert {row["seed"] for row in rows["verifiers"]} == {1, 2, "oracle"}
    for kind, of_kind in rows.items():
        assert all(tuple(row) == failures.COLUMNS[kind] for row in of_kind)


def test_verifiers_are_evaluated_at_the_first_tolerance(spec, measurements):
    for tolerance, count in ((1e-9, 0), (0.5, 40)):
        tables = failures.tables(spec, measurements, [tolerance])
        below = next(row for row in tables["verifiers"] if row["seed"] == 1)
        assert (below["statistic"], below["examples"]) == ("successes_below", count)


def test_only_the_training_distribution_has_roc_curves(spec, measurements):
    out_of_distribution = {
        name.replace("uniform_wigner", "laplace"): values
        for name, values in measurements.items()
    }
    both = failures.tables(spec, {**measurements, **out_of_distribution}, [0.05])
    assert both["roc"] == failures.tables(spec, measurements, [0.05])["roc"]
    assert failures.tables(spec, out_of_distribution, [0.05])["roc"] == []


def test_in_distribution_arrays_are_measurements_and_first_examples(
    spec, tests, predictions, measurements, monkeypatch
):
    monkeypatch.setattr(failures, "STORED_EXAMPLES", 7)
    out_of_distribution = {"laplace.error": measurements["uniform_wigner.error"]}
    arrays = failures.in_distribution_arrays(
        spec, {**measurements, **out_of_distribution}, tests, predictions
    )
    shown = {name for name in arrays if name.startswith("shown.")}
    assert arrays.keys() - shown == measurements.keys()
    matrix, answer, prediction = (
        torch.from_numpy(arrays[f"shown.{name}"])
        for name in ("matrix", "answer", "prediction")
    )
    error = scores.relative_error("eigenvectors", matrix, answer, prediction)
    assert (error.numpy() == measurements["uniform_wigner.error"][0, :7]).all()
