"""The first study's commands: test sets, trainings, predictions, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import structs

from mathprobe import files
from mathprobe.cli import training
from mathprobe.cli.commands import (
    Arguments,
    Parser,
    command,
    set_up_torch,
)
from mathprobe.errors import InputError
from mathprobe.spec import Ceilings, Conditions, Evidence, Model, TestSet


def _spec_and_out(parser: Parser) -> None:
    parser.add_argument("spec", help="specification, as JSON")
    parser.add_argument("out", type=Path)


@command(_spec_and_out)
def testset(args: Arguments) -> None:
    """Make a test set."""
    from mathprobe.studies.linalg import data

    spec = TestSet.parse(args.spec)
    _save_with_spec(args.out, data.make_testset(spec), spec)


def _conditions(parser: Parser) -> None:
    _spec_and_out(parser)
    parser.add_argument("--published", type=Path, required=True)


@command(_conditions)
def conditions(args: Arguments) -> None:
    """Sample matrices of every law and write quantiles of their condition numbers."""
    from mathprobe import catalog
    from mathprobe.paper import tables
    from mathprobe.studies.linalg.conditions import condition_numbers

    rows = condition_numbers(Conditions.parse(args.spec))
    beside = tables.condition_numbers(rows, catalog.read(args.published))
    files.write_csv(args.out, beside, tables.COLUMNS["condition_numbers"])


@command(_conditions)
def evidence(args: Arguments) -> None:
    """Hold what the paper prints against itself and against samples."""
    from mathprobe import catalog
    from mathprobe.studies import evidence

    published = catalog.read(args.published)
    rows = evidence.table(published, Evidence.parse(args.spec))
    files.write_csv(args.out, rows, evidence.COLUMNS)


@command(_spec_and_out)
def ceilings(args: Arguments) -> None:
    """Score exact answers through the encodings of the paper's models."""
    from mathprobe.studies import ceilings

    rows = ceilings.table(Ceilings.parse(args.spec))
    files.write_csv(args.out, rows, ceilings.COLUMNS)


def _save_with_spec(path: Path, arrays: dict[str, Any], spec: Model | TestSet) -> None:
    import numpy as np

    files.save_arrays(path, {**arrays, "spec": np.array(spec.json())})


def _read_tests(paths: list[Path], model: Model) -> dict[str, dict[str, Any]]:
    """Read test sets of a model, by their law."""
    tests = {}
    for path in paths:
        arrays = files.load_arrays(path)
        asked, trained = TestSet.parse(str(arrays.pop("spec"))).data, model.data
        same = structs.replace(
            asked, law=trained.law, law_settings=trained.law_settings
        )
        if same != trained:
            wrong = "; ".join(trained.differences(same.plain()))
            raise InputError(f"{path} is no test of this model: {wrong}")
        tests[asked.law] = arrays
    return tests


@command(training.options)
def train(args: Arguments) -> None:
    """Train a model, or go on where its training was stopped."""
    device = set_up_torch(args.threads)
    from mathprobe.studies.linalg import STUDY
    from mathprobe.studies.linalg.training import trainer as prepare

    spec = Model.parse(args.spec)
    origin = training.origin(STUDY, args, device)
    label = f"{spec.data.task} n={spec.data.n} {spec.data.law}"
    with training.alone(args, spec, origin) as made:
        if made:
            return
        trainer = prepare(spec, device)
        training.to_the_end(trainer, args, label, origin)
        training.keep(trainer, args, origin)


def _predict(parser: Parser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tests", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=1)


@command(_predict)
def predict(args: Arguments) -> None:
    """Have a trained model, and the oracle, answer test sets."""
    device = set_up_torch(args.threads)
    from mathprobe import checkpoint
    from mathprobe.studies.linalg import models

    spec = Model.of(checkpoint.model_facts(args.model)["spec"])
    seeds = models.networks(spec)
    checkpoint.load_model(args.model, seeds)
    seeds = {number: network.to(device) for number, network in seeds.items()}
    arrays = models.predictions(spec, seeds, _read_tests(args.tests, spec))
    _save_with_spec(args.out, arrays, spec)


def _score(parser: Parser) -> None:
    parser.add_argument("predictions", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=Path, required=True, help="of each error")
    parser.add_argument("--tests", type=Path, nargs="+", required=True)
    parser.add_argument("--tolerances", type=float, nargs="+", required=True)


@command(_score)
def score(args: Arguments) -> None:
    """Score predictions: a row per test law and tolerance."""
    from mathprobe.linalg import scores
    from mathprobe.studies.linalg import scoring

    answers = files.load_arrays(args.predictions)
    spec = Model.parse(str(answers.pop("spec")))
    measured = scoring.examples(spec, _read_tests(args.tests, spec), answers)
    _save_with_spec(args.examples, measured, spec)
    rows = scoring.score(measured, args.tolerances)
    files.write_csv(args.out, rows, scores.COLUMNS)


def _failures(parser: Parser) -> None:
    parser.add_argument("examples", type=Path)
    for table in ("--properties", "--verifiers", "--roc"):
        parser.add_argument(table, type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True, help="of what is shown")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--tests", type=Path, nargs="+", required=True)
    parser.add_argument("--tolerances", type=float, nargs="+", required=True)


@command(_failures)
def failures(args: Arguments) -> None:
    """Say what wrong answers keep, and how well condition numbers predict them."""
    from mathprobe.linalg.properties import PROPERTIES
    from mathprobe.studies import failures

    measured = files.load_arrays(args.examples)
    spec = Model.parse(str(measured.pop("spec")))
    if spec.data.task not in PROPERTIES:
        known = ", ".join(PROPERTIES)
        raise InputError(
            f"{args.examples}: task {spec.data.task!r} has no properties; {known} have"
        )
    answers = files.load_arrays(args.predictions)
    shown = failures.home(spec, measured, _read_tests(args.tests, spec), answers)
    _save_with_spec(args.home, shown, spec)
    for kind, rows in failures.tables(spec, measured, args.tolerances).items():
        files.write_csv(getattr(args, kind), rows, failures.COLUMNS[kind])
