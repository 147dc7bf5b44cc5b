"""The second study's commands: trainings of decoders, their accuracy, its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    from mathprobe.studies.arith import STUDY
    from mathprobe.studies.arith.training import trainer as prepare

    spec = ArithModel.parse(args.spec)
    origin = training.origin(STUDY, args, device)
    if args.parent:  # it decides the bits as well
        origin["parent"] = files.checksum(args.parent)
    with training.alone(args, spec, origin) as made:
        if made:
            return
        parent = args.parent and _parent(args.parent, spec)
        trainer = prepare(spec, device, parent)
        training.to_the_end(trainer, args, spec.name, origin)
        training.keep(trainer, args, origin)


def load(path: Path) -> tuple[ArithModel, Decoder]:
    """Read a trained decoder and what it is."""
    from mathprobe import checkpoint
    from mathprobe.studies.arith import models

    spec = ArithModel.of(checkpoint.model_facts(path)["spec"])
    network = models.build(spec)
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
    from mathprobe.studies.arith import accuracy

    spec, network = load(args.model)
    test = Accuracy.parse(args.spec)
    rows = accuracy.accuracy(spec, network.to(device), test)
    files.write_csv(args.out, rows, accuracy.COLUMNS)


def _evidence(parser: Parser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, nargs="+", required=True)


@command(_evidence)
def arith_evidence(args: Arguments) -> None:
    """Hold what the second paper prints against itself and against questions."""
    from mathprobe.paper import arith_tables
    from mathprobe.studies import arith_evidence, evidence

    rows = arith_evidence.table(arith_tables.read_published(args.published))
    files.write_csv(args.out, rows, evidence.COLUMNS)


def _table(parser: Parser) -> None:
    parser.add_argument("kind")
    parser.add_argument("out", type=Path)
    parser.add_argument("--facts", type=Path, required=True, help="settings, JSON")
    parser.add_argument("--published", type=Path, nargs="+", required=True)
    parser.add_argument("--models", type=Path, nargs="*", required=True, help="folders")


@command(_table)
def arith_table(args: Arguments) -> None:
    """Put what decoders did, or their circuits, into a table beside printed numbers."""
    from mathprobe.paper import arith_tables

    models = files.read_json(args.facts)["arith"]["models"]
    published = arith_tables.read_published(args.published)
    table = arith_tables.build(args.kind, models, args.models, published)
    files.write_text(args.out, table.to_csv(index=False))
