"""The second study's commands: trainings of decoders, their accuracy, its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files
from mathprobe.cli import training
from mathprobe.cli.commands import Arguments, Parser, command, set_up_torch
from mathprobe.errors import InputError
from mathprobe.spec import Accuracy, ArithModel

if TYPE_CHECKING:
    from mathprobe.nets.decoder import Decoder


def _train(parser: Parser) -> None:
    training.options(parser)
    parser.add_argument("--parent", type=Path, help="model that it begins with")


@command(_train)
def arith_train(args: Arguments) -> None:
    """Train a decoder of arithmetic, or go on where its training was stopped."""
    device = set_up_torch(args.threads)
    from mathprobe.studies import arith

    spec = ArithModel.parse(args.spec)
    origin = training.origin(arith.STUDY, args, device, processes=1)
    if args.parent:  # it decides the bits as well
        origin["parent"] = files.checksum(args.parent)
    with training.alone(args, spec, origin) as made:
        if made:
            return
        parent = args.parent and _parent(args.parent, spec)
        trainer = arith.trainer(spec, device, parent)
        training.to_the_end(trainer, args, spec.name, origin)
        training.keep(trainer, args, origin)


def load(path: Path) -> tuple[ArithModel, Decoder]:
    """Read a trained decoder and what it is."""
    from mathprobe import checkpoint
    from mathprobe.studies import arith

    spec = ArithModel.of(checkpoint.model_facts(path)["spec"])
    network = arith.build(spec)
    checkpoint.load_model(path, {spec.seed: network})
    return spec, network


def _parent(path: Path, child: ArithModel) -> Decoder:
    spec, network = load(path)
    if child.insertion and spec != child.insertion.parent:
        wrong = "; ".join(child.insertion.parent.differences(spec.plain()))
        raise InputError(f"{path} is not the parent of {child.name}: {wrong}")
    return network


def _accuracy(parser: Parser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("spec", help="specification of the test, as JSON")
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=1)


@command(_accuracy)
def arith_accuracy(args: Arguments) -> None:
    """Count how often a decoder is wrong, by class of difficulty."""
    device = set_up_torch(args.threads)
    from mathprobe.studies import arith

    spec, network = load(args.model)
    test = Accuracy.parse(args.spec)
    rows = arith.accuracy(spec, network.to(device), test)
    files.write_csv(args.out, rows, arith.COLUMNS)


def _evidence(parser: Parser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, required=True)


@command(_evidence)
def arith_evidence(args: Arguments) -> None:
    """Hold what the second paper prints against itself and against questions."""
    from mathprobe import catalog
    from mathprobe.studies import arith_evidence, evidence

    rows = arith_evidence.table(catalog.read(args.published))
    files.write_csv(args.out, rows, evidence.COLUMNS)


def _table(parser: Parser) -> None:
    parser.add_argument("kind", choices=["accuracy", "curves"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--rows", required=True, help="of all models, as JSON")
    parser.add_argument("--models", type=Path, nargs="*", required=True, help="folders")


@command(_table)
def arith_table(args: Arguments) -> None:
    """Put what all decoders did into one table, beside published numbers."""
    from mathprobe import catalog
    from mathprobe.paper import arith_tables, tables

    there = {folder.name: folder for folder in args.models}
    try:
        described = json.loads(args.rows)
    except ValueError as error:
        raise InputError(f"--rows: not JSON ({error})") from error

    def rows(model: str, file: str) -> list[dict[str, Any]]:
        there_is = model in there
        return tables.records(tables.read(there[model] / file)) if there_is else []

    models = [
        arith_tables.Decoder(
            one, rows(one["name"], "curve.csv"), rows(one["name"], "accuracy.csv")
        )
        for one in described
    ]
    published = catalog.read(args.published)
    made = arith_tables.KINDS[args.kind](models, published)
    files.write_csv(args.out, made, arith_tables.COLUMNS[args.kind])
