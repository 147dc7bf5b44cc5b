"""The commands of the paper: tables, LaTeX, notebooks, the PDF."""

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
    """Write a tidy table of several models, beside the published numbers.

    Parameters
    ----------
    kind
        Kind of table.
    models
        Folders of the models.
    missing
        Models without files, as task/distribution/nSIZE/recipe.
    target_accuracies
        MODEL=ACCURACY to which examples are counted, for `learning_speed`.
    """
    from mathprobe.paper import tables
    from mathprobe.paper.published import read_all

    chosen: tables.TableKind = tables.KINDS[kind]
    found = [
        tables.model_rows(
            folder.name,
            files.read_json(folder / "run.json"),
            tables.read(folder / chosen.model_file) if chosen.model_file else None,
        )
        for folder in models
    ]
    pairs = [_target(text) for text in target_accuracies or []]
    made = tables.build(kind, found, read_all(published), missing or [], pairs)
    tables.write(out, made, chosen.columns)


def _target(text: str) -> tuple[str, float]:
    """Read MODEL=ACCURACY."""
    model, _, accuracy = text.partition("=")
    try:
        return model, float(accuracy)
    except ValueError:
        raise InputError(
            f"--target-accuracies: {text!r} is not MODEL=ACCURACY"
        ) from None


@command(WORKFLOW)
def facts(scale: str, out: Out, /, *, config: Path) -> None:
    """Write the settings of a scale that tables and prose name.

    Parameters
    ----------
    scale
        Name of the scale.
    config
        Configuration in effect, as JSON.
    """
    from mathprobe.catalog import Catalog

    files.write_json(out, Catalog(files.read_json(config)).facts(scale))


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
    """Fill a LaTeX template with tidy tables."""
    from mathprobe.paper import latex

    shown, known = _read(tables, facts, published, errata)
    files.write_text(out, latex.render(template, shown, known))


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
    """Write the numbers that the prose names, as LaTeX macros."""
    from mathprobe.paper import macros

    shown, known = _read(tables, facts, published, errata)
    files.write_text(out, macros.definitions(macros.all_macros(shown, known)))


def _read(
    paths: list[Path], facts: Path, printed: list[Path], errata: list[Path]
) -> tuple[dict[str, Frame], dict[str, Any]]:
    """Read tables by their kind, and what is known beside them."""
    from mathprobe.paper import published, tables
    from mathprobe.settings import read_yaml

    numbers = published.read_all(printed)
    points = {
        part: points for path in errata for part, points in read_yaml(path).items()
    }
    known = {"errata": points, "published": numbers}
    known["labels"] = published.labels(numbers)
    return tables.read_by_kind(paths), {**files.read_json(facts), **known}


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
    """Execute a notebook, which draws its own figures.

    Parameters
    ----------
    source
        Notebook in percent format.
    notebook
        Where the executed notebook is written.
    html
        Where its page is written.
    failed_notebook
        Where a notebook that fails is written, as far as it came.
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
    """Find a TeX, or unpack a private one, and print which."""
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
        raise InputError(f"no TeX\n{tex.skipped_message(engine.note)}")
    with tempfile.TemporaryDirectory() as build:
        for part in parts:
            copied = Path(build) / part.parent.name / part.name
            copied.parent.mkdir(exist_ok=True)
            copy = shutil.copytree if part.is_dir() else shutil.copyfile
            copy(part, copied)
        files.write_bytes(out, tex.typeset(source, Path(build), engine))
