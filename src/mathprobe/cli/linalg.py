"""The commands of the first study: test sets, predictions, scores, checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files
from mathprobe.cli.app import (
    WORKFLOW,
    Out,
    Published,
    Spec,
    Tests,
    Threads,
    Weights,
    command,
)
from mathprobe.errors import InputError

if TYPE_CHECKING:
    from mathprobe.spec import Model


@command(WORKFLOW)
def testset(spec: Spec, out: Out, /) -> None:
    """Make a test set."""
    from mathprobe import dependencies
    from mathprobe.spec import TestSet
    from mathprobe.studies.linalg import data

    test = TestSet.from_json(spec)
    texts = {"spec": test.to_json(), "code": dependencies.digest("testset")}
    files.save_arrays(out, data.make_testset(test), **texts)


@command(WORKFLOW)
def predict(model: Weights, out: Out, /, *, tests: Tests, threads: Threads = 1) -> None:
    """Predict the answers to test sets, by a trained model and by the oracle."""
    from mathprobe.cli.device import set_up_torch

    device = set_up_torch(threads)
    from mathprobe import checkpoint
    from mathprobe.spec import Model
    from mathprobe.studies.linalg import models

    spec = Model.from_dict(checkpoint.model_metadata(model)["spec"])
    seeds = models.build_all(spec)
    checkpoint.load_model(model, seeds)
    seeds = {number: network.to(device) for number, network in seeds.items()}
    arrays = models.predict_all(spec, seeds, _read_tests(tests, spec))
    files.save_arrays(out, arrays, spec=spec.to_json())


def _read_tests(paths: list[Path], model: Model) -> dict[str, dict[str, Any]]:
    """Read test sets of a model, by their distribution."""
    from msgspec import structs

    from mathprobe.spec import TestSet

    tests = {}
    for path in paths:
        arrays = files.load_arrays(path)
        asked, trained = TestSet.from_json(str(arrays.pop("spec"))).data, model.data
        same = structs.replace(
            asked,
            distribution=trained.distribution,
            distribution_settings=trained.distribution_settings,
        )
        if same != trained:
            wrong = "; ".join(trained.differences(same.to_dict()))
            raise InputError(f"{path} is no test of this model: {wrong}")
        tests[asked.distribution] = arrays
    return tests


@command(WORKFLOW)
def score(
    predictions: Path,
    out: Out,
    /,
    *,
    examples: Path,
    tests: Tests,
    tolerances: list[float],
) -> None:
    """Score predictions: a row per test distribution, seed and tolerance.

    Parameters
    ----------
    predictions
        Predictions of a model.
    examples
        Where the errors and other quantities of each example are written.
    tolerances
        Bounds of the relative error below which an answer is right.
    """
    from mathprobe.linalg import scores
    from mathprobe.spec import Model
    from mathprobe.studies.linalg import scoring

    answers = files.load_arrays(predictions)
    spec = Model.from_json(str(answers.pop("spec")))
    measured = scoring.measure(spec, _read_tests(tests, spec), answers)
    files.save_arrays(examples, measured, spec=spec.to_json())
    files.write_csv(out, scoring.accuracy_rows(measured, tolerances), scores.COLUMNS)


@command(WORKFLOW)
def failures(
    examples: Path,
    /,
    *,
    predictions: Path,
    tests: Tests,
    tolerances: list[float],
    in_distribution: Path,
    properties: Path,
    verifiers: Path,
    roc: Path,
) -> None:
    """Measure which properties wrong answers have, and predict which are wrong.

    Parameters
    ----------
    examples
        Errors and quantities of each example, written by `score`.
    predictions
        Predictions of the model.
    tolerances
        Errors from which an answer counts as a failure.
    in_distribution
        Where the examples that figures show are written.
    properties
        Where the statistics of properties are written.
    verifiers
        Where the rates of verifiers are written.
    roc
        Where the ROC curves of verifiers are written.
    """
    from mathprobe.linalg.properties import PROPERTIES
    from mathprobe.spec import Model
    from mathprobe.studies import failures

    measured = files.load_arrays(examples)
    spec = Model.from_json(str(measured.pop("spec")))
    if spec.data.task not in PROPERTIES:
        known = ", ".join(PROPERTIES)
        raise InputError(
            f"{examples}: task {spec.data.task!r} has no properties; {known} have"
        )
    answers = files.load_arrays(predictions)
    shown = failures.in_distribution_arrays(
        spec, measured, _read_tests(tests, spec), answers
    )
    files.save_arrays(in_distribution, shown, spec=spec.to_json())
    paths = {"properties": properties, "verifiers": verifiers, "roc": roc}
    for kind, rows in failures.tables(spec, measured, tolerances).items():
        files.write_csv(paths[kind], rows, failures.COLUMNS[kind])


@command(WORKFLOW)
def condition_numbers(spec: Spec, out: Out, /, *, published: Published) -> None:
    """Sample matrices of every distribution and write quantiles of their condition numbers."""
    from mathprobe.paper import tables
    from mathprobe.paper.published import read_all
    from mathprobe.spec import ConditionNumbers
    from mathprobe.studies.linalg.conditions import condition_numbers

    rows = condition_numbers(ConditionNumbers.from_json(spec))
    table = tables.condition_numbers(rows, read_all(published))
    tables.write(out, table, tables.KINDS["condition_numbers"].columns)


@command(WORKFLOW)
def oracle(spec: Spec, out: Out, /) -> None:
    """Score the oracle through the encodings of the paper's models."""
    from mathprobe.spec import OracleTests
    from mathprobe.studies import oracle_accuracy

    files.write_csv(
        out, oracle_accuracy.table(OracleTests.from_json(spec)), oracle_accuracy.COLUMNS
    )


@command(WORKFLOW)
def evidence(spec: Spec, out: Out, /, *, published: Published) -> None:
    """Check published numbers for consistency and against simulation."""
    from mathprobe.paper.published import read_all
    from mathprobe.spec import Evidence
    from mathprobe.studies import evidence

    rows = evidence.table(read_all(published), Evidence.from_json(spec))
    files.write_csv(out, rows, evidence.COLUMNS)
