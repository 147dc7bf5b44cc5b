"""The paper's commands: tables, LaTeX, notebooks, the PDF."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.commands import Arguments, Parser, command
from mathprobe.errors import InputError


def _table(parser: Parser) -> None:
    kinds = ["ood", "tolerances", "curves", "learning_speed", "runs"]
    kinds += ["failures", "verifiers", "roc"]
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="*", required=True, help="folders")
    missing = "task/law/nSIZE/recipe of models of which nothing is there"
    parser.add_argument("--absent", nargs="*", default=[], help=missing)
    counted = "MODEL=ACCURACY to count examples to, for learning_speed"
    parser.add_argument("--targets", nargs="*", type=_target, default=[], help=counted)


def _target(text: str) -> tuple[str, float]:
    """Read MODEL=ACCURACY."""
    model, accuracy = text.split("=")
    return model, float(accuracy)


@command(_table)
def table(args: Arguments) -> None:
    """Put what several models did into one tidy table, beside the published numbers."""
    from mathprobe import catalog
    from mathprobe.paper import absent, tables

    source = catalog.MEASURED.get(args.kind)
    models = [
        tables.Trained.of(
            folder.name,
            files.read_json(folder / "run.json"),
            tables.read(folder / "scores.csv"),
            tables.read(folder / "curve.csv"),
            tables.read(folder / source) if source else [],
        )
        for folder in args.models
    ]
    published = catalog.read(args.published)
    missing = list(map(absent.Absent.of, args.absent))
    rows: list[dict[str, Any]] = []
    for target in dict.fromkeys(accuracy for _, accuracy in args.targets) or [None]:
        options = {} if target is None else {"target": target}
        there, gone = (
            [one for one in some if not options or (one.path, target) in args.targets]
            for some in (models, missing)
        )
        rows += getattr(tables, args.kind)(there, published, **options)
        rows += [{**row, **options} for row in absent.rows(args.kind, gone, published)]
    files.write_csv(args.out, rows, tables.COLUMNS[args.kind])


def _with_facts(parser: Parser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--facts", required=True, help="scale and settings, as JSON")
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--errata", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)


def _facts(args: Arguments) -> dict[str, Any]:
    from mathprobe import catalog
    from mathprobe.paper.naming import Labels

    published = catalog.read(args.published)
    try:
        facts = json.loads(args.facts)
    except ValueError as error:
        raise InputError(f"--facts: not JSON ({error})") from error
    facts["errata"] = {
        part: points
        for path in args.errata
        for part, points in catalog.read(path).items()
    }
    labels = Labels(published["labels"])
    return {**facts, "published": published, "labels": labels}


def _read_tables(paths: list[Path]) -> dict[str, list[dict[str, Any]]]:
    from mathprobe.paper import tables

    return {path.stem: tables.read(path) for path in paths}


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
    parser.add_argument("--template", type=Path, required=True, help="of the page")
    parser.add_argument("--kept", type=Path, required=True, help="of a failed run")
    parser.add_argument("--parameters", required=True, help="a JSON object")


@command(_notebook)
def notebook(args: Arguments) -> None:
    """Execute a notebook; it writes its own figures."""
    from mathprobe.paper import notebooks

    try:
        parameters = dict(json.loads(args.parameters))
    except (TypeError, ValueError) as error:
        raise InputError(f"--parameters: not a JSON object ({error})") from error
    executed = notebooks.execute(args.source, args.template, parameters, args.kept)
    files.write_text(args.notebook, executed.ipynb)
    files.write_text(args.html, executed.html)


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
    """Typeset the paper with the tables, numbers and folders of figures of a scale."""
    from mathprobe.paper import tex

    engine = tex.provide()
    if not engine.usable:
        raise InputError(f"no TeX\n{tex.skipped_box(engine.note)}")
    with tempfile.TemporaryDirectory() as build:
        for part in args.parts:
            copied = Path(build) / part.parent.name / part.name
            copied.parent.mkdir(exist_ok=True)
            copy = shutil.copytree if part.is_dir() else shutil.copyfile
            copy(part, copied)
        files.write_bytes(args.out, tex.typeset(args.source, Path(build), engine))
