"""Commands of the paper: tables, LaTeX, notebooks and the PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe import files
from mathprobe.cli.app import (
    USER,
    WORKFLOW,
    Errata,
    Facts,
    Out,
    Published,
    Tables,
    Template,
    command,
)
from mathprobe.errors import InputError

if TYPE_CHECKING:
    from mathprobe.paper.tables import Frame


@command(WORKFLOW)
def table(
    kind: str,
    out: Out,
    /,
    *,
    published: Published,
    models: list[Path],
    missing: list[str] | None = None,
    target_accuracies: list[str] | None = None,
) -> None:
    """Write a tidy table of models of the first study, with published numbers.

    Parameters
    ----------
    kind
        Kind of table.
    models
        Folders of the models.
    missing
        Models without results, as task/distribution/nSIZE/recipe.
    target_accuracies
        MODEL=ACCURACY pairs, for the table `learning_speed`.
    """
    from mathprobe.paper import tables
    from mathprobe.paper.published import read_all

    results = tables.read_models(kind, models)
    targets = [_parse_target(text) for text in target_accuracies or []]
    rows = tables.build(kind, results, read_all(published), missing or [], targets)
    tables.write(out, rows, tables.KINDS[kind].columns)


@command(WORKFLOW)
def costs(out: Out, /, *, runs: list[Path]) -> None:
    """Write the table of what each model of both studies has cost.

    Parameters
    ----------
    runs
        Files run.json, or unfinished.json, of the models.
    """
    from mathprobe.paper import tables

    rows = tables.costs((path.parent.name, files.read_json(path)) for path in runs)
    tables.write(out, rows, tables.KINDS["costs"].columns)


def _parse_target(text: str) -> tuple[str, float]:
    """Parse MODEL=ACCURACY."""
    model, _, accuracy = text.partition("=")
    try:
        return model, float(accuracy)
    except ValueError:
        raise InputError(
            f"--target-accuracies: {text!r} is not MODEL=ACCURACY"
        ) from None


@command(WORKFLOW)
def facts(scale: str, out: Out, /, *, config: Path) -> None:
    """Write the settings of a scale that tables and text mention.

    Parameters
    ----------
    scale
        Name of the scale.
    config
        Complete configuration, as JSON.
    """
    from mathprobe import archive
    from mathprobe.catalog import RECORD, Catalog

    catalog = Catalog(files.read_json(config))
    if scale == RECORD:
        archive.check_record(catalog)
    files.write_json(out, catalog.facts(scale))


@command(WORKFLOW)
def findings(
    out: Out,
    /,
    *,
    facts: Facts,
    published: Published,
    tables: Tables,
    config: Path,
) -> None:
    """Write the table of claims and findings: of recorded models, then of this run.

    Parameters
    ----------
    config
        Complete configuration, as JSON.
    """
    from mathprobe import record
    from mathprobe.catalog import Catalog
    from mathprobe.paper import findings
    from mathprobe.paper import tables as all_tables

    printed = record.read_published(published[0].parent)
    known = {**files.read_json(facts), "published": printed}
    frames = all_tables.read_by_kind(tables)
    if known["recorded"]:  # its tables may mix scales; only samples are of this run
        frames = {
            kind: rows if kind == "condition_numbers" else rows.iloc[:0]
            for kind, rows in frames.items()
        }
    catalog = Catalog(files.read_json(config))
    own = findings.Source(known["scale"], False, frames, known)
    rows = findings.build([*record.sources(catalog, printed), own])
    all_tables.write(out, rows, all_tables.KINDS["findings"].columns)


@command(WORKFLOW)
def latex(
    template: Template,
    out: Out,
    /,
    *,
    facts: Facts,
    published: Published,
    errata: Errata,
    tables: Tables,
) -> None:
    """Render a LaTeX template with tidy tables."""
    from mathprobe.paper import latex

    frames, known = _read(tables, facts, published, errata)
    files.write_text(out, latex.render(template, frames, known))


@command(WORKFLOW)
def macros(
    out: Out,
    /,
    *,
    facts: Facts,
    published: Published,
    errata: Errata,
    tables: Tables,
) -> None:
    """Write the numbers in the text of the paper, as LaTeX macros."""
    from mathprobe.paper import macros

    frames, known = _read(tables, facts, published, errata)
    files.write_text(out, macros.definitions(macros.all_macros(frames, known)))


def _read(
    paths: list[Path], facts: Path, published: list[Path], errata: list[Path]
) -> tuple[dict[str, Frame], dict[str, Any]]:
    """Return tables by kind, and facts with published numbers, labels and errata."""
    from mathprobe import strict_yaml
    from mathprobe.paper import tables
    from mathprobe.paper.published import labels, read_all

    numbers = read_all(published)
    sections = [strict_yaml.read(path).items() for path in errata]
    known = {
        **files.read_json(facts),
        "errata": {name: points for items in sections for name, points in items},
        "published": numbers,
        "labels": labels(numbers),
    }
    return tables.read_by_kind(paths), known


@command(WORKFLOW)
def notebook(
    source: Path,
    notebook: Path,
    html: Path,
    /,
    *,
    template: Template,
    failed_notebook: Path,
    parameters: str,
) -> None:
    """Execute a notebook, which saves its figures, and convert it to HTML.

    Parameters
    ----------
    source
        Notebook in percent format.
    notebook
        Output file of the executed notebook.
    html
        Output file of its HTML page.
    failed_notebook
        Output file of the partly executed notebook if it fails.
    parameters
        Parameters of the notebook, as a JSON object.
    """
    import json

    from mathprobe.paper import notebooks

    try:
        given = dict(json.loads(parameters))
    except (TypeError, ValueError) as error:
        raise InputError(f"--parameters: not a JSON object ({error})") from error
    executed = notebooks.execute(source, template, given, failed_notebook)
    files.write_text(notebook, executed.ipynb)
    files.write_text(html, executed.html)


@command(USER)
def tex() -> None:
    """Find a LaTeX installation, or download a private one, and print its path."""
    from mathprobe.paper import tex

    engine = tex.find_or_unpack()
    print(engine.message)
    if not engine.usable:
        raise SystemExit(tex.skipped_message(engine.note))


@command(WORKFLOW)
def typeset(source: Path, out: Out, /, *, parts: list[Path]) -> None:
    """Typeset the paper with the tables, numbers and figures of a scale.

    Parameters
    ----------
    source
        Main LaTeX file.
    parts
        LaTeX files of tables, and folders of figures.
    """
    import shutil
    import tempfile

    from mathprobe.paper import tex

    engine = tex.find_or_unpack()
    if not engine.usable:
        raise InputError(f"LaTeX is missing\n{tex.skipped_message(engine.note)}")
    with tempfile.TemporaryDirectory() as build:
        for part in parts:
            target = Path(build) / part.parent.name / part.name
            target.parent.mkdir(exist_ok=True)
            copy = shutil.copytree if part.is_dir() else shutil.copyfile
            copy(part, target)
        files.write_bytes(out, tex.typeset(source, Path(build), engine))
