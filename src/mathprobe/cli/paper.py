"""The paper's commands: tables, LaTeX, notebooks, the report, the PDF."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.commands import Arguments, Parser, command
from mathprobe.errors import InputError


def _table(parser: Parser) -> None:
    parser.add_argument("kind")
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path, nargs="+", required=True, help="CSV")
    parser.add_argument("--models", type=Path, nargs="*", required=True, help="folders")
    missing = "task/law/nSIZE/recipe of models of which nothing is there"
    parser.add_argument("--missing", nargs="*", default=[], help=missing)
    parser.add_argument("--target", type=float, help="accuracy, for learning_speed")


@command(_table)
def table(args: Arguments) -> None:
    """Put what several models did into one tidy table, beside the published numbers."""
    from mathprobe.paper import published, tables

    kind: tables.Kind = tables.KINDS[args.kind]
    models = [
        tables.of_model(
            folder.name,
            files.read_json(folder / "run.json"),
            tables.read(folder / kind.source) if kind.source else None,
        )
        for folder in args.models
    ]
    options = {} if args.target is None else {"target": args.target}
    printed = published.read_all(args.published)
    made = tables.build(args.kind, models, printed, args.missing, **options)
    tables.write(args.out, made, kind.columns)


def _facts(parser: Parser) -> None:
    parser.add_argument("scale")
    parser.add_argument("out", type=Path)
    config = "the configuration that is in effect, as JSON"
    parser.add_argument("--config", type=Path, required=True, help=config)


@command(_facts)
def facts(args: Arguments) -> None:
    """Write what a paper at a scale says about its settings."""
    from mathprobe import catalog

    config = files.read_json(args.config)
    books = catalog.Catalog(config, catalog.read(catalog.SCHEMA))
    files.write_json(args.out, books.facts(args.scale))


def _with_facts(parser: Parser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--facts", type=Path, required=True, help="of `facts`")
    parser.add_argument("--published", type=Path, nargs="+", required=True, help="CSV")
    parser.add_argument("--errata", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)


def _read_facts(args: Arguments) -> dict[str, Any]:
    from mathprobe import catalog
    from mathprobe.paper import published

    printed = published.read_all(args.published)
    return {
        **files.read_json(args.facts),
        "errata": {
            part: points
            for path in args.errata
            for part, points in catalog.read(path).items()
        },
        "published": printed,
        "labels": published.labels(printed),
    }


def _latex(parser: Parser) -> None:
    parser.add_argument("template", type=Path)
    _with_facts(parser)


@command(_latex)
def latex(args: Arguments) -> None:
    """Fill a LaTeX template with tidy tables."""
    from mathprobe.paper import latex, tables

    shown = tables.collect(args.tables)
    files.write_text(args.out, latex.render(args.template, shown, _read_facts(args)))


@command(_with_facts)
def macros(args: Arguments) -> None:
    """Write the numbers that the prose names."""
    from mathprobe.paper import macros, tables

    named = macros.results(tables.collect(args.tables), _read_facts(args))
    files.write_text(args.out, macros.define(named))


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


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    return {path.stem: path for path in paths}


def _report(parser: Parser) -> None:
    _with_facts(parser)
    parser.add_argument("--template", type=Path, required=True)
    for parts in ("--figures", "--notebooks"):
        parser.add_argument(parts, type=Path, nargs="+", required=True)
    parser.add_argument("--circuits", type=Path, nargs="*", default=[], help="pages")


@command(_report)
def report(args: Arguments) -> None:
    """Gather tables, figures and notebooks into one HTML page."""
    from mathprobe.paper import report

    parts = (_by_stem(paths) for paths in (args.tables, args.figures, args.notebooks))
    circuits = [page.parent.parent.name for page in args.circuits]
    page = report.build(args.template, *parts, _read_facts(args), circuits)
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
