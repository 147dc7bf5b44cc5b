"""Commands of the second study: accuracy, circuits and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.app import (
    CONFIG,
    USER,
    WORKFLOW,
    Device,
    Facts,
    Out,
    Published,
    Spec,
    Template,
    Threads,
    Weights,
    command,
)
from mathprobe.errors import InputError

TEMPLATE = Path("paper/templates/circuit.html.j2")


@command(WORKFLOW)
def arith_accuracy(
    model: Weights,
    spec: Spec,
    out: Out,
    /,
    *,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Count the wrong answers of a decoder, by operation and complexity class."""
    from mathprobe.cli.device import set_up_torch

    place = set_up_torch(device, threads)
    from mathprobe.spec import AccuracyTest
    from mathprobe.studies.arith import accuracy
    from mathprobe.studies.arith.models import load

    trained, network = load(model)
    test = AccuracyTest.from_json(spec)
    rows = accuracy.accuracy(trained, network.to(place), test)
    files.write_csv(out, rows, accuracy.COLUMNS)


@command(WORKFLOW)
def arith_evidence(out: Out, /, *, published: Published) -> None:
    """Check numbers published by Quirke et al., for consistency and by simulation."""
    from mathprobe.paper import arith_tables
    from mathprobe.studies import evidence_rows
    from mathprobe.studies.arith_evidence import EVIDENCE

    rows = evidence_rows.table(EVIDENCE, arith_tables.read_published(published))
    files.write_csv(out, rows, evidence_rows.COLUMNS)


@command(WORKFLOW)
def arith_table(
    kind: str, out: Out, /, *, facts: Facts, published: Published, models: list[Path]
) -> None:
    """Write a tidy table of decoders, with published numbers.

    Parameters
    ----------
    kind
        Kind of table.
    models
        Folders of the trained decoders.
    """
    from mathprobe.paper import arith_tables

    known = files.read_json(facts)["arith"]["models"]
    numbers = arith_tables.read_published(published)
    table = arith_tables.build(kind, known, models, numbers)
    files.write_text(out, table.to_csv(index=False))


@command(WORKFLOW)
def arith_map(
    model: Weights,
    spec: Spec,
    out: Path,
    /,
    *,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Analyse the circuit of a decoder: find sub-tasks of nodes and evaluate claims.

    Parameters
    ----------
    out
        Output folder.
    """
    from mathprobe.cli.device import set_up_torch

    place = set_up_torch(device, threads)
    from mathprobe.cli import maps
    from mathprobe.spec import CircuitSearch
    from mathprobe.studies.arith.models import load
    from mathprobe.studies.circuits import Circuit

    trained, network = load(model)
    settings = CircuitSearch.from_json(spec)
    circuit = Circuit(trained.questions, network.to(place).eval(), settings)
    maps.write(circuit, trained.name, trained.seed, out)


@command(WORKFLOW)
def arith_draw(
    folder: Path,
    out: Out,
    /,
    *,
    name: str,
    digits: int,
    template: Template,
    report: str | None = None,
) -> None:
    """Write the HTML page of a decoder: its maps, and the facts about each node.

    Parameters
    ----------
    folder
        Output folder of `arith_map`.
    name
        Name of the decoder.
    digits
        Number of digits per operand.
    report
        Link to the report, relative to the page.
    """
    import pandas as pd

    from mathprobe.interp.facts import Facts
    from mathprobe.paper import quanta

    facts = Facts.load(folder / "nodes.csv")
    tables: dict[str, list[Any]] = {
        table: pd.read_csv(folder / f"{table}.csv").to_dict("records")
        for table in ("positions", "controls", "claims")
    }
    page = quanta.page(template, name, digits, facts, report, **tables)
    files.write_text(out, page)


@command(USER)
def map(
    model: Path,
    /,
    *,
    digits: int | None = None,
    operations: tuple[str, ...] = (),
    config: Path | None = None,
    out: Path | None = None,
    scale: str = "paper",
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Analyse and draw the circuit of a decoder that adds and subtracts.

    The decoder may be trained elsewhere, with TransformerLens.  A question of two
    digits is `47+38=+085`, and the ids of `0123456789+-=` are 0 to 12.

    Parameters
    ----------
    model
        Weights: of this package, or a state dict with the names of TransformerLens.
    digits
        Digits per operand.  Default: those of the training, if this package trained it.
    operations
        Operations of the questions: add, sub, or both.  Default: as for `digits`.
    config
        JSON file of the fields of HookedTransformerConfig, for a model of
        TransformerLens.
    out
        Output folder.  Default: maps/NAME, with the name of the model or of its file.
    scale
        Scale whose settings are used: `arith.circuits` and `arith.enrichment`.
    """
    from mathprobe.cli.device import set_up_torch

    place = set_up_torch(device, threads)
    from msgspec import structs

    from mathprobe.catalog import Catalog
    from mathprobe.cli import maps
    from mathprobe.interp.facts import Facts
    from mathprobe.nets.lens import from_state_dict
    from mathprobe.paper import circuit_figures, figures, quanta, tables
    from mathprobe.spec import Questions
    from mathprobe.studies.arith.models import load
    from mathprobe.studies.circuits import Circuit

    arith = Catalog.load(CONFIG).arith(scale)
    if config is None:
        trained, network = load(model)
        name, seed, known = trained.name, trained.seed, trained.questions
    elif digits is None or not operations:
        raise InputError("a model of --config needs --digits and --operations")
    else:
        name, seed, network = model.stem, 0, from_state_dict(model, config)
        known = Questions(digits, {}, "batches", arith.settings.enrichment)
    shares = arith.equal_shares(operations) or known.shares
    known = structs.replace(known, digits=digits or known.digits, shares=shares)
    circuit = Circuit(known, network.to(place).eval(), arith.circuits())
    folder = out or Path("maps", name)
    facts = folder / "facts"
    maps.write(circuit, name, seed, facts)
    page = folder / "circuit.html"
    arith_draw(facts, page, name=name, digits=known.digits, template=TEMPLATE)
    nodes = Facts.load(facts / "nodes.csv")
    drawn = {kind: quanta.draw(kind, nodes, known.digits) for kind in quanta.MAPS}
    drawn["positions"] = circuit_figures.positions(tables.read(facts / "positions.csv"))
    panels = files.load_arrays(facts / "panels.npz")
    drawn["pca"] = circuit_figures.pca_scatter(panels, nodes)
    for kind, figure in drawn.items():
        figures.save(figure, folder / "figures" / kind)
    print(f"facts, figures and {page.name} are in {folder}")


@command(WORKFLOW)
def arith_reuse(child: Path, parent: Path, out: Out, /) -> None:
    """Count the inserted nodes of a parent that its child uses.

    Parameters
    ----------
    child
        `nodes.csv` of the child.
    parent
        `nodes.csv` of the parent.
    """
    from mathprobe.interp.facts import Facts
    from mathprobe.studies import comparisons

    rows = comparisons.reuse(Facts.load(child), Facts.load(parent))
    files.write_csv(out, rows, comparisons.COLUMNS)
