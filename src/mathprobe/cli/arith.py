"""Commands of the second study: accuracy, circuits and tables."""

from __future__ import annotations

from pathlib import Path

from mathprobe import files
from mathprobe.cli.app import (
    WORKFLOW,
    Device,
    Facts,
    Out,
    Published,
    Spec,
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
    from mathprobe.spec import AccuracyTest
    from mathprobe.studies.arith import accuracy, models

    trained, network = models.load(model, set_up_torch(device, threads))
    rows = accuracy.accuracy(trained, network, AccuracyTest.from_json(spec))
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
    from mathprobe.cli import maps
    from mathprobe.cli.device import set_up_torch
    from mathprobe.spec import CircuitSearch
    from mathprobe.studies.arith import models
    from mathprobe.studies.circuits import Circuit

    trained, network = models.load(model, set_up_torch(device, threads))
    circuit = Circuit(trained.questions, network, CircuitSearch.from_json(spec))
    maps.write(circuit, trained.name, trained.seed, out)


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
