"""The second study's other commands: maps of what the nodes of a model do."""

from __future__ import annotations

from pathlib import Path

from mathprobe import files
from mathprobe.cli.arith import load
from mathprobe.cli.commands import Arguments, Parser, command, set_up_torch
from mathprobe.spec import CircuitSearch

TABLES = ("positions", "controls", "claims")


def _map(parser: Parser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("spec", help="how thoroughly, as JSON")
    parser.add_argument("out", type=Path, help="folder")
    parser.add_argument("--threads", type=int, default=1)


@command(_map)
def arith_map(args: Arguments) -> None:
    """Find what every node of a decoder does, and hold claims against it."""
    device = set_up_torch(args.threads)
    from mathprobe.arith import claims
    from mathprobe.studies import circuits, controls, findings, published_maps
    from mathprobe.studies.arith import models

    spec, network = load(args.model)
    settings = CircuitSearch.parse(args.spec)
    circuit = circuits.Circuit(spec, network.to(device).eval(), settings)
    if not len(circuit.sample[0].ids):
        print(f"{spec.name} answers no question right: its map is empty")
    facts, layers = circuit.facts, spec.network.layers
    found = findings.found(facts)
    held = claims.evaluate(circuit.operations, layers, circuit.digits, found)
    untrained = models.build(spec).to(device).eval()
    tables = {
        "positions": (circuit.positions, circuits.POSITION_COLUMNS),
        "controls": (controls.table(circuit, untrained), controls.COLUMNS),
        "claims": (held, claims.COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        files.write_csv(args.out / f"{name}.csv", rows, columns)
    facts.save(args.out / "nodes.csv")
    arrays = {
        findings.panel_name(*key): panel.scores.numpy()
        for key, panel in circuit.panels.items()
    }
    files.save_arrays(args.out / "panels.npz", {**arrays, "case": circuit.cases})
    seen = published_maps.behaviors(facts, circuit.layout)
    files.write_json(args.out / "behaviors.json", seen)
    files.write_json(args.out / "features.json", published_maps.features(facts))


def _draw(parser: Parser) -> None:
    parser.add_argument("map", type=Path, help="folder that arith_map wrote")
    parser.add_argument("out", type=Path, help="HTML")
    parser.add_argument("--name", required=True)
    parser.add_argument("--digits", type=int, required=True)
    parser.add_argument("--template", type=Path, required=True)


@command(_draw)
def arith_draw(args: Arguments) -> None:
    """Write the page on which a decoder's maps and the facts of each node are read."""
    import pandas as pd

    from mathprobe.interp.facts import Facts
    from mathprobe.paper import circuit_page

    facts = Facts.load(args.map / "nodes.csv")
    rows = {
        name: pd.read_csv(args.map / f"{name}.csv").to_dict("records")
        for name in TABLES
    }
    page = circuit_page.build(args.template, args.name, args.digits, facts, **rows)
    files.write_text(args.out, page)


def _reuse(parser: Parser) -> None:
    parser.add_argument("child", type=Path, help="its nodes.csv")
    parser.add_argument("parent", type=Path, help="nodes.csv of its parent")
    parser.add_argument("out", type=Path)


@command(_reuse)
def arith_reuse(args: Arguments) -> None:
    """Count the nodes inserted from a parent that its child still uses."""
    from mathprobe.interp.facts import Facts
    from mathprobe.studies import comparisons

    rows = comparisons.reuse(Facts.load(args.child), Facts.load(args.parent))
    files.write_csv(args.out, rows, comparisons.COLUMNS)
