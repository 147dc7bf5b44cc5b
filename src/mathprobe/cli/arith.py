"""The commands of the second study: accuracy, circuits, tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.app import (
    WORKFLOW,
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
    model: Weights, spec: Spec, out: Out, /, *, threads: Threads = 1
) -> None:
    """Count the wrong answers of a decoder, by complexity class."""
    from mathprobe.cli.device import set_up_torch

    device = set_up_torch(threads)
    from mathprobe.spec import AccuracyTest
    from mathprobe.studies.arith import accuracy
    from mathprobe.studies.arith.models import load

    described, network = load(model)
    rows = accuracy.accuracy(
        described, network.to(device), AccuracyTest.from_json(spec)
    )
    files.write_csv(out, rows, accuracy.COLUMNS)


@command(WORKFLOW)
def arith_evidence(out: Out, /, *, published: Published) -> None:
    """Check published numbers of the second paper for consistency and by simulation."""
    from mathprobe.paper import arith_tables
    from mathprobe.studies import arith_evidence, evidence

    rows = arith_evidence.table(arith_tables.read_published(published))
    files.write_csv(out, rows, evidence.COLUMNS)


@command(WORKFLOW)
def arith_table(
    kind: str, out: Out, /, *, facts: Facts, published: Published, models: list[Path]
) -> None:
    """Write a table of what all decoders did, beside the published numbers.

    Parameters
    ----------
    kind
        Kind of table.
    models
        Folders of the decoders that are trained.
    """
    from mathprobe.paper import arith_tables

    known = files.read_json(facts)["arith"]["models"]
    printed = arith_tables.read_published(published)
    table = arith_tables.build(kind, known, models, printed)
    files.write_text(out, table.to_csv(index=False))


@command(WORKFLOW)
def arith_map(
    model: Weights, spec: Spec, out: Path, /, *, threads: Threads = 1
) -> None:
    """Search for the sub-tasks of every node of a decoder, and check claims.

    Parameters
    ----------
    out
        Folder of the results.
    """
    from mathprobe.cli.device import set_up_torch

    device = set_up_torch(threads)
    from mathprobe.arith import claims
    from mathprobe.spec import CircuitSearch
    from mathprobe.studies import arith_facts, circuits, controls, published_maps
    from mathprobe.studies.arith.models import build, load

    described, network = load(model)
    settings = CircuitSearch.from_json(spec)
    circuit = circuits.Circuit(described, network.to(device).eval(), settings)
    if not len(circuit.varied_questions[0].ids):
        print(f"{described.name} answers no question right: its map is empty")
    facts, layers = circuit.facts, described.network.layers
    found = arith_facts.subtask_positions(facts)
    held = claims.evaluate(circuit.operations, layers, circuit.digits, found)
    untrained = build(described).to(device).eval()
    tables = {
        "positions": (circuit.positions, circuits.POSITION_COLUMNS),
        "controls": (controls.table(circuit, untrained), controls.COLUMNS),
        "claims": (held, claims.COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        files.write_csv(out / f"{name}.csv", rows, columns)
    facts.save(out / "nodes.csv")
    arrays = {
        arith_facts.panel_name(*key): panel.scores.numpy()
        for key, panel in circuit.pca_results.items()
    }
    files.save_arrays(out / "panels.npz", {**arrays, "case": circuit.pca_cases})
    seen = published_maps.behaviors(facts, circuit.layout)
    files.write_json(out / "behaviors.json", seen)
    files.write_json(out / "features.json", published_maps.features(facts))


@command(WORKFLOW)
def arith_draw(
    folder: Path, out: Out, /, *, name: str, digits: int, template: Template
) -> None:
    """Write the page of a decoder: its maps, and the facts of each node.

    Parameters
    ----------
    folder
        Folder that `arith_map` wrote.
    name
        Name of the decoder.
    digits
        Digits of its questions.
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
    """Count the nodes inserted from a parent that its child still uses.

    Parameters
    ----------
    child
        `nodes.csv` of the child.
    parent
        `nodes.csv` of its parent.
    """
    from mathprobe.interp.facts import Facts
    from mathprobe.studies import comparisons

    rows = comparisons.reuse(Facts.load(child), Facts.load(parent))
    files.write_csv(out, rows, comparisons.COLUMNS)
