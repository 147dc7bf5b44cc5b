"""The first study's commands: test sets, trainings, predictions, scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from mathprobe.team import Team


def _spec_and_out(parser: Parser) -> None:
    parser.add_argument("spec", help="specification, as JSON")
    parser.add_argument("out", type=Path)


@command(_spec_and_out)
def testset(args: Arguments) -> None:
    """Make a test set."""
    from mathprobe.studies import linalg

    spec = TestSet.parse(args.spec)
    _save_with_spec(args.out, linalg.make_testset(spec), spec)


def _conditions(parser: Parser) -> None:
    _spec_and_out(parser)
    parser.add_argument("--published", type=Path, nargs="+", required=True, help="CSV")


@command(_conditions)
def conditions(args: Arguments) -> None:
    """Sample matrices of every law and write quantiles of their condition numbers."""
    from mathprobe.paper import published, tables
    from mathprobe.studies import linalg

    rows = linalg.condition_numbers(Conditions.parse(args.spec))
    beside = tables.condition_numbers(rows, published.read_all(args.published))
    tables.write(args.out, beside, tables.KINDS["condition_numbers"].columns)


@command(_conditions)
def evidence(args: Arguments) -> None:
    """Hold what the paper prints against itself and against samples."""
    from mathprobe.paper import published
    from mathprobe.studies import evidence

    printed = published.read_all(args.published)
    rows = evidence.table(printed, Evidence.parse(args.spec))
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
        same = replace(asked, law=trained.law, law_settings=trained.law_settings)
        if same != trained:
            wrong = "; ".join(trained.differences(same.plain()))
            raise InputError(f"{path} is no test of this model: {wrong}")
        tests[asked.law] = arrays
    return tests


def _train(parser: Parser) -> None:
    training.options(parser)
    parser.add_argument("--processes", type=int, default=1, help="one for every GPU")


@command(_train)
def train(args: Arguments) -> None:
    """Train a model, or go on where its training was stopped."""
    device = set_up_torch(args.threads, args.processes)
    from mathprobe import checkpoint, team
    from mathprobe.studies import linalg

    spec = Model.parse(args.spec)
    origin = training.origin(linalg.STUDY, args, device, args.processes)
    label = f"{spec.data.task} n={spec.data.n} {spec.data.law}"
    with training.alone(args, spec, origin) as made:
        if made:
            return
        if args.processes > 1:  # before several read it at once
            checkpoint.load_state(args.state)  # sets a damaged one aside
        together = args.spec, args.state, args.threads
        with team.lead(args.processes, _help_to_train, *together) as led:
            trainer = linalg.trainer(spec, device, led)
            training.to_the_end(trainer, args, label, origin)
        training.keep(trainer, args, origin)


def _help_to_train(team: Team, spec: str, state: Path, threads: int) -> None:
    """Train along with the process that leads the team."""
    device = set_up_torch(threads)
    from mathprobe.studies import linalg

    trainer = linalg.trainer(Model.parse(spec), device, team)
    trainer.resume(state)
    trainer.follow()


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
    from mathprobe.studies import linalg

    spec = Model.of(checkpoint.model_facts(args.model)["spec"])
    seeds = linalg.networks(spec)
    checkpoint.load_model(args.model, seeds)
    seeds = {number: network.to(device) for number, network in seeds.items()}
    arrays = linalg.predictions(spec, seeds, _read_tests(args.tests, spec))
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
    from mathprobe.studies import linalg

    answers = files.load_arrays(args.predictions)
    spec = Model.parse(str(answers.pop("spec")))
    measured = linalg.examples(spec, _read_tests(args.tests, spec), answers)
    _save_with_spec(args.examples, measured, spec)
    rows = linalg.score(measured, args.tolerances)
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
    from mathprobe.studies import failures, linalg

    measured = files.load_arrays(args.examples)
    spec = Model.parse(str(measured.pop("spec")))
    if spec.data.task not in linalg.PROPERTIES:
        known = ", ".join(linalg.PROPERTIES)
        raise InputError(
            f"{args.examples}: task {spec.data.task!r} has no properties; {known} have"
        )
    answers = files.load_arrays(args.predictions)
    shown = failures.home(spec, measured, _read_tests(args.tests, spec), answers)
    _save_with_spec(args.home, shown, spec)
    for kind, rows in failures.tables(spec, measured, args.tolerances).items():
        files.write_csv(getattr(args, kind), rows, failures.COLUMNS[kind])
