"""The door: every command that the rules call.

Each command reads what it is given, calls one function, and writes its outputs whole.
Heavy imports stand inside the commands, so that each costs only what it uses.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files, provenance
from mathprobe.errors import InputError
from mathprobe.spec import Ceilings, Conditions, Evidence, Model, TestSet

if TYPE_CHECKING:
    from mathprobe.team import Team
    from mathprobe.training import Trainer

PUBLISHED = Path("paper/published/charton2022.yaml")
SHARE_REACHED = 0.79  # of matrix products, by training at n = 5: benchmarks/README.md
STOPPED = 75  # EX_TEMPFAIL: the state is saved, run again to go on

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser
COMMANDS: dict[str, tuple[Callable[[Parser], None], Callable[[Arguments], None]]] = {}


def command(prepare: Callable[[Parser], None]) -> Callable:
    """Register a command under its function's name, with its arguments."""

    def register(function: Callable[[Arguments], None]) -> Callable:
        COMMANDS[function.__name__] = prepare, function
        return function

    return register


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
    parser.add_argument("--published", type=Path, required=True)


@command(_conditions)
def conditions(args: Arguments) -> None:
    """Sample matrices of every law and write quantiles of their condition numbers."""
    from mathprobe import catalog
    from mathprobe.paper import tables
    from mathprobe.studies import linalg

    rows = linalg.condition_numbers(Conditions.parse(args.spec))
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
        same = replace(asked, law=trained.law, law_settings=trained.law_settings)
        if same != trained:
            wrong = "; ".join(trained.differences(same.plain()))
            raise InputError(f"{path} is no test of this model: {wrong}")
        tests[asked.law] = arrays
    return tests


def _set_up_torch(threads: int) -> str:
    """Choose the device, and the same bits every time on it."""
    # cuBLAS reads this at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory that it has not written; filling it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return "cuda" if torch.cuda.is_available() else "cpu"


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def _train(parser: Parser) -> None:
    parser.add_argument("spec", help="specification of the model, as JSON")
    for output in ("--model", "--curve", "--run"):
        parser.add_argument(output, type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of states")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="one for every GPU")
    parser.add_argument("--save-every", type=float, default=5.0, help="minutes")


@command(_train)
def train(args: Arguments) -> None:
    """Train a model, or go on where its training was stopped."""
    device = _set_up_torch(args.threads)
    from mathprobe import checkpoint, team, training

    spec = Model.parse(args.spec)
    origin = {**provenance.stamp(), "device": _device_name(device)}
    origin |= {"threads": args.threads, "processes": args.processes}
    with files.only_one(args.state):
        for folder in (args.state, args.model.parent):
            files.clear_leftovers(folder)
        if args.processes > 1:  # before several read it at once
            checkpoint.load_state(args.state)  # sets a damaged one aside
        together = args.spec, args.state, args.threads
        with team.lead(args.processes, _help_to_train, *together) as led:
            trainer = _train_to_the_end(args, device, led, origin)
        seeds = {seed: one.network for seed, one in trainer.learners.items()}
        checkpoint.save_model(args.model, seeds, {"spec": spec.plain()})
        files.write_csv(args.curve, trainer.curve, training.CURVE_COLUMNS)
        run = {**trainer.summary(), **origin, "finished": provenance.now()}
        files.write_json(args.run, run)
        shutil.rmtree(args.state, ignore_errors=True)


def _train_to_the_end(
    args: Arguments, device: str, team: Team, origin: dict[str, Any]
) -> Trainer:
    from mathprobe.progress import Watcher
    from mathprobe.studies import linalg
    from mathprobe.training import Interrupted

    spec = Model.parse(args.spec)
    trainer = linalg.trainer(spec, device, team)
    kept = ("device", "threads", "processes", "code", "started")
    trainer.history[-1] |= {key: origin[key] for key in kept}
    if trainer.resume(args.state):
        print(f"going on after {trainer.examples:,} examples", flush=True)
    label = f"{spec.data.task} n={spec.data.n} {spec.data.law}"
    with Watcher(label, trainer, args.state) as watch:
        try:
            trainer.run(args.state, 60.0 * args.save_every, watch)
        except Interrupted as reason:
            text = f"{reason}: state saved in {args.state}; run again to go on"
            print(text, flush=True)
            raise SystemExit(STOPPED) from None
    return trainer


def _help_to_train(team: Team, spec: str, state: Path, threads: int) -> None:
    """Train along with the process that leads the team."""
    device = _set_up_torch(threads)
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
    device = _set_up_torch(args.threads)
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
    parser.add_argument("--tolerances", type=float, nargs="+", required=True)


@command(_failures)
def failures(args: Arguments) -> None:
    """Say what wrong answers keep, and how well condition numbers predict them."""
    from mathprobe.studies import linalg

    measured = files.load_arrays(args.examples)
    spec = Model.parse(str(measured.pop("spec")))
    if spec.data.task not in linalg.PROPERTIES:
        known = ", ".join(linalg.PROPERTIES)
        raise InputError(
            f"{args.examples}: task {spec.data.task!r} has no properties; {known} have"
        )
    for kind, rows in linalg.failures(measured, args.tolerances).items():
        files.write_csv(getattr(args, kind), rows, linalg.FAILURE_COLUMNS[kind])


def _table(parser: Parser) -> None:
    kinds = ["ood", "tolerances", "curves", "learning_speed", "runs"]
    kinds += ["failures", "verifiers", "roc"]
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--target", type=float, help="accuracy, for learning_speed")


@command(_table)
def table(args: Arguments) -> None:
    """Put what several models did into one tidy table, beside the published numbers."""
    from mathprobe import catalog
    from mathprobe.paper import tables

    source = catalog.MEASURED.get(args.kind)
    models = [
        tables.Trained(
            folder.name,
            files.read_json(folder / "run.json"),
            tables.read(folder / "scores.csv"),
            tables.read(folder / "curve.csv"),
            tables.read(folder / source) if source else [],
        )
        for folder in args.models
    ]
    options = {} if args.target is None else {"target": args.target}
    published = catalog.read(args.published)
    rows = getattr(tables, args.kind)(models, published, **options)
    files.write_csv(args.out, rows, tables.COLUMNS[args.kind])


def _with_facts(parser: Parser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--facts", required=True, help="scale and settings, as JSON")
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--errata", type=Path, required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)


def _facts(args: Arguments) -> dict[str, Any]:
    from mathprobe import catalog
    from mathprobe.paper.views import Labels

    published = catalog.read(args.published)
    try:
        facts = json.loads(args.facts)
    except ValueError as error:
        raise InputError(f"--facts: not JSON ({error})") from error
    facts["errata"] = catalog.read(args.errata)
    labels = Labels(published["labels"])
    return {**facts, "published": published, "labels": labels}


def _read_tables(paths: list[Path]) -> dict[str, list[dict[str, Any]]]:
    from mathprobe.paper import tables

    return {path.stem: tables.read(path) for path in paths}


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    return {path.stem: path for path in paths}


def _latex(parser: Parser) -> None:
    parser.add_argument("template", type=Path)
    _with_facts(parser)


@command(_latex)
def latex(args: Arguments) -> None:
    """Fill a LaTeX template with tidy tables."""
    from mathprobe.paper import latex

    page = latex.render(args.template, _read_tables(args.tables), _facts(args))
    files.write_text(args.out, page)


@command(_with_facts)
def numbers(args: Arguments) -> None:
    """Write the numbers that the prose names."""
    from mathprobe.paper import latex, numbers

    named = numbers.results(_read_tables(args.tables), _facts(args))
    files.write_text(args.out, latex.define(named))


def _notebook(parser: Parser) -> None:
    parser.add_argument("source", type=Path)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("html", type=Path)
    parser.add_argument("--kept", type=Path, required=True, help="of a failed run")
    parser.add_argument("--parameters", nargs="+", required=True, metavar="NAME=VALUE")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--parameters: {text!r} is not NAME=VALUE")
    return name, value


@command(_notebook)
def notebook(args: Arguments) -> None:
    """Execute a notebook; it writes its own figures."""
    from mathprobe.paper import notebooks

    parameters = dict(map(_pair, args.parameters))
    executed = notebooks.execute(args.source, parameters, args.kept)
    files.write_text(args.notebook, executed.ipynb)
    files.write_text(args.html, executed.html)


def _report(parser: Parser) -> None:
    _with_facts(parser)
    parser.add_argument("--template", type=Path, required=True)
    for parts in ("--figures", "--notebooks"):
        parser.add_argument(parts, type=Path, nargs="+", required=True)


@command(_report)
def report(args: Arguments) -> None:
    """Gather tables, figures and notebooks into one HTML page."""
    from mathprobe.paper import report

    parts = (_by_stem(paths) for paths in (args.tables, args.figures, args.notebooks))
    page = report.build(args.template, *parts, _facts(args))
    files.write_text(args.out, page)


@command(lambda parser: None)
def tex(args: Arguments) -> None:
    """Find a TeX, or unpack a private one; say in one line which."""
    from mathprobe.paper import tex

    engine = tex.provide()
    print(engine.line)
    if not engine.usable:
        sys.exit(tex.skipped_box(engine.note))


def _typeset(parser: Parser) -> None:
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", type=Path, nargs="+", required=True)


@command(_typeset)
def typeset(args: Arguments) -> None:
    """Typeset the paper with the tables, numbers and figures of a scale."""
    from mathprobe.paper import tex

    engine = tex.find()
    if not engine.usable:
        raise InputError(f"no TeX\n{tex.skipped_box(engine.note)}")
    with tempfile.TemporaryDirectory() as build:
        for part in args.parts:
            copied = Path(build) / part.parent.name / part.name
            copied.parent.mkdir(exist_ok=True)
            shutil.copyfile(part, copied)
        files.write_bytes(args.out, tex.typeset(args.source, Path(build), engine))


def _codes(run: Path) -> set[str]:
    """Give the digests of the code that made a model, over all attempts."""
    return {attempt["code"] for attempt in files.read_json(run)["history"]}


def _stale(parser: Parser) -> None:
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))


@command(_stale)
def stale(args: Arguments) -> None:
    """List the models that code older than this made; nothing retrains by itself."""
    now = provenance.code_digest()
    runs = sorted(args.results.rglob("run.json"))
    old = [path for path in runs if _codes(path) != {now}]
    for path in old:
        print(path.parent)
    print(f"{len(old)} of {len(runs)} models were made by other code", file=sys.stderr)


def _status(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results/{scale}")
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))


@command(_status)
def status(args: Arguments) -> None:
    """Show where every training of a scale is; `watch` keeps it live."""
    from mathprobe import catalog, status

    print(status.text(status.survey(catalog.load(args.config), args.results)))


def _plan(parser: Parser) -> None:
    parser.add_argument("target", type=Path, help="results/{scale}/paper.pdf")
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--published", type=Path, default=PUBLISHED)
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--flops-per-second", type=float, help="of one device, training")
    first = "of the first table's models, all seeds together"
    rate.add_argument("--examples-per-second", type=float, help=first)
    parser.add_argument(
        "--share",
        type=float,
        default=SHARE_REACHED,
        help="of the measured rate of matrix products that training reaches "
        "(%(default)s, as measured on a processor; less on a GPU with small batches)",
    )


@command(_plan)
def plan(args: Arguments) -> None:
    """Say what a scale's paper costs: models, examples, FLOP, hours of a device."""
    from mathprobe import catalog, plan

    books, scale = catalog.load(args.config), args.target.parent.name
    costs = plan.survey(books, args.target, catalog.read(args.published))
    if args.flops_per_second:
        rate = plan.Rate(args.flops_per_second, "as given")
    elif args.examples_per_second:
        rate = plan.from_examples(books, scale, args.examples_per_second)
    else:
        rate = plan.measured(books, scale, args.share)
    print(plan.text(costs, rate))


def _record(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results/{scale}")
    parser.add_argument("--record", type=Path, default=Path("paper/record"))


@command(_record)
def record(args: Arguments) -> None:
    """Keep the metrics of all finished models of a scale, and where they are from."""
    from mathprobe import record

    for folder in record.keep(args.results, args.record):
        print(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what is wrong with its input is said in one line."""
    parser = Parser(
        prog="mathprobe", description="What the rules of the workflow call."
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (prepare, function) in COMMANDS.items():
        prepare(verbs.add_parser(name, help=function.__doc__))
    args = parser.parse_args(arguments)
    try:
        COMMANDS[args.command][1](args)
    except (InputError, OSError) as error:
        sys.exit(f"mathprobe {args.command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"mathprobe {args.command}: interrupted")
