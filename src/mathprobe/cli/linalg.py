"""Commands of the first study: test sets, predictions, scores and checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files
from mathprobe.cli.app import (
    WORKFLOW,
    Device,
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
def predict(
    model: Weights,
    out: Out,
    /,
    *,
    tests: Tests,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Predict the answers of test sets, with a trained model and with the oracle."""
    from mathprobe.cli.device import set_up_torch
    from mathprobe.studies.linalg import models

    spec, networks = models.load(model, set_up_torch(device, threads))
    arrays = models.predict_all(spec, networks, _read_tests(tests, spec))
    files.save_arrays(out, arrays, spec=spec.to_json())


def _read_tests(paths: list[Path], model: Model) -> dict[str, dict[str, Any]]:
    """Read the test sets of a model, by distribution."""
    from msgspec import structs

    from mathprobe.spec import TestSet

    tests = {}
    for path in paths:
        arrays = files.load_arrays(path)
        test, trained = TestSet.from_json(str(arrays.pop("spec"))).data, model.data
        # Only the distribution may differ from the training data.
        expected = structs.replace(
            test,
            distribution=trained.distribution,
            distribution_settings=trained.distribution_settings,
        )
        if expected != trained:
            reasons = "; ".join(trained.differences(expected.to_dict()))
            raise InputError(f"{path} is not a test set of this model: {reasons}")
        tests[test.distribution] = arrays
    return tests


@command(WORKFLOW)
def score(
    predictions: Path,
    out: Out,
    examples: Path,
    /,
    *,
    tests: Tests,
    tolerances: list[float],
) -> None:
    """Score predictions: one row for each test distribution, seed and tolerance.

    Parameters
    ----------
    predictions
        Predictions of a model, written by `predict`.
    examples
        Output file of the errors and other quantities of each example.
    tolerances
        Relative errors below which an answer is correct.
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
    """Measure properties of correct and wrong answers, and evaluate verifiers.

    Parameters
    ----------
    examples
        Errors and other quantities of each example, written by `score`.
    predictions
        Predictions of the model, written by `predict`.
    tolerances
        Relative errors above which an answer is a failure; verifiers use the first.
    in_distribution
        Output file of the in-distribution examples, for notebooks.
    properties
        Output file of the statistics of properties.
    verifiers
        Output file of the rates of verifiers.
    roc
        Output file of the ROC curves of verifiers.
    """
    from mathprobe.linalg.properties import PROPERTIES
    from mathprobe.spec import Model
    from mathprobe.studies import failures

    measured = files.load_arrays(examples)
    spec = Model.from_json(str(measured.pop("spec")))
    if spec.data.task not in PROPERTIES:
        raise InputError(
            f"{examples}: task {spec.data.task!r} has no failure analysis; "
            f"tasks with one are {', '.join(PROPERTIES)}"
        )
    arrays = failures.in_distribution_arrays(
        spec, measured, _read_tests(tests, spec), files.load_arrays(predictions)
    )
    files.save_arrays(in_distribution, arrays, spec=spec.to_json())
    paths = {"properties": properties, "verifiers": verifiers, "roc": roc}
    for kind, rows in failures.tables(spec, measured, tolerances).items():
        files.write_csv(paths[kind], rows, failures.COLUMNS[kind])


@command(WORKFLOW)
def heads(
    model: Weights,
    /,
    *,
    tests: Tests,
    tolerance: float,
    ablations: Path,
    attention: Path,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Ablate heads and MLPs, and measure where cross-attention looks.

    Parameters
    ----------
    tests
        Test sets; the first one is used.
    tolerance
        Relative error below which an answer is right.
    ablations
        Output file: right answers that become wrong, by ablated component.
    attention
        Output file: cross-attention to the coefficients of the matrix.
    """
    from mathprobe.cli.device import set_up_torch
    from mathprobe.studies.linalg import heads, models

    spec, networks = models.load(model, set_up_torch(device, threads))
    test = next(iter(_read_tests(tests, spec).values()))
    paths = {"ablations": ablations, "attention": attention}
    for kind, rows in heads.tables(spec, networks, test, tolerance).items():
        files.write_csv(paths[kind], rows, heads.COLUMNS[kind])


@command(WORKFLOW)
def condition_numbers(spec: Spec, out: Out, /, *, published: Published) -> None:
    """Write quantiles of the condition numbers of random matrices."""
    from mathprobe.paper import tables
    from mathprobe.paper.published import read_all
    from mathprobe.spec import ConditionNumbers
    from mathprobe.studies.linalg.conditions import condition_numbers

    rows = condition_numbers(ConditionNumbers.from_json(spec))
    table = tables.condition_numbers(rows, read_all(published))
    tables.write(out, table, tables.KINDS["condition_numbers"].columns)


@command(WORKFLOW)
def oracle(spec: Spec, out: Out, /) -> None:
    """Measure the accuracy of the oracle with the encodings of the paper's models."""
    from mathprobe.spec import OracleTests
    from mathprobe.studies import oracle_accuracy

    rows = oracle_accuracy.table(OracleTests.from_json(spec))
    files.write_csv(out, rows, oracle_accuracy.COLUMNS)


@command(WORKFLOW)
def evidence(spec: Spec, out: Out, /, *, published: Published) -> None:
    """Check numbers published by Charton, for consistency and by simulation."""
    from mathprobe.paper.published import read_all
    from mathprobe.spec import Evidence
    from mathprobe.studies import evidence_rows
    from mathprobe.studies.evidence import EVIDENCE

    given = read_all(published), Evidence.from_json(spec)
    rows = evidence_rows.table(EVIDENCE, *given)
    files.write_csv(out, rows, evidence_rows.COLUMNS)
