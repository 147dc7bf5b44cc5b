"""Commands of the second study: accuracy, circuits and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.app import (
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
    from mathprobe.studies import arith_evidence, evidence

    rows = arith_evidence.table(arith_tables.read_published(published))
    files.write_csv(out, rows, evidence.COLUMNS)


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
    from mathprobe.arith import claims
    from mathprobe.spec import CircuitSearch
    from mathprobe.studies import (
        arith_facts,
        circuits,
        controls,
        published_maps,
        published_search,
        sufficiency,
    )
    from mathprobe.studies.arith.models import build, load

    trained, network = load(model)
    settings = CircuitSearch.from_json(spec)
    circuit = circuits.Circuit(trained, network.to(place).eval(), settings)
    if not len(circuit.varied_questions[0].ids):
        print(f"{trained.name} answers no question correctly: its map is empty")
    facts, layers = circuit.facts, trained.network.layers
    found = arith_facts.subtask_positions(facts)
    clauses = claims.evaluate(circuit.operations, layers, circuit.digits, found)
    untrained = build(trained).to(place).eval()
    tables = {
        "positions": (circuit.positions, circuits.POSITION_COLUMNS),
        "controls": (controls.table(circuit, untrained), controls.COLUMNS),
        "sufficiency": (sufficiency.table(circuit), sufficiency.COLUMNS),
        "claims": (clauses, claims.COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        files.write_csv(out / f"{name}.csv", rows, columns)
    facts.save(out / "nodes.csv")
    published_search.subtasks(circuit).save(out / "published_rule.csv")
    arrays = {
        arith_facts.panel_name(*key): panel.scores.numpy()
        for key, panel in circuit.pca_results.items()
    }
    files.save_arrays(out / "panels.npz", {**arrays, "case": circuit.pca_cases})
    behaviors = published_maps.behaviors(facts, circuit.layout)
    files.write_json(out / "behaviors.json", behaviors)
    files.write_json(out / "features.json", published_maps.features(facts))


@command(WORKFLOW)
def arith_draw(
    folder: Path, out: Out, /, *, name: str, digits: int, template: Template
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
    """
    import pandas as pd

    from mathprobe.interp.facts import Facts
    from mathprobe.paper import quanta

    facts = Facts.load(folder / "nodes.csv")
    tables: dict[str, list[Any]] = {
        table: pd.read_csv(folder / f"{table}.csv").to_dict("records")
        for table in ("positions", "controls", "claims")
    }
    page = quanta.page(template, name, digits, facts, **tables)
    files.write_text(out, page)


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
