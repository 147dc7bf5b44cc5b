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
    from mathprobe.interp.pca import Panel
    from mathprobe.paper.circuit_figures import panel_name
    from mathprobe.studies import arith, circuits, controls, findings, published_maps

    spec, network = load(args.model)
    settings = CircuitSearch.parse(args.spec)
    circuit = circuits.Circuit(spec, network.to(device).eval(), settings)
    if not len(circuit.sample[0].ids):
        print(f"{spec.name} answers no question right: its map is empty")
    facts, layers = circuit.facts, spec.network.layers
    found = findings.found(facts)
    held = claims.evaluate(circuit.operations, layers, circuit.digits, found)
    untrained = arith.build(spec).to(device).eval()
    tables = {
        "positions": (circuit.positions, circuits.POSITION_COLUMNS),
        "controls": (controls.table(circuit, untrained), controls.COLUMNS),
        "claims": (held, claims.COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        files.write_csv(args.out / f"{name}.csv", rows, columns)
    facts.save(args.out / "nodes.csv")
    panels: dict[str, Panel] = {
        panel_name(*key): panel for key, panel in circuit.panels.items()
    }
    arrays = {name: panel.scores.numpy() for name, panel in panels.items()}
    files.save_arrays(args.out / "panels.npz", {**arrays, "case": circuit.cases})
    seen = published_maps.behaviors(facts, circuit.layout)
    files.write_json(args.out / "behaviors.json", seen)
    files.write_json(args.out / "features.json", published_maps.features(facts))


def _draw(parser: Parser) -> None:
    parser.add_argument("map", type=Path, help="folder that arith_map wrote")
    parser.add_argument("out", type=Path, help="folder")
    parser.add_argument("--name", required=True)
    parser.add_argument("--digits", type=int, required=True)
    parser.add_argument("--template", type=Path, required=True)


@command(_draw)
def arith_draw(args: Arguments) -> None:
    """Draw the maps of a decoder, and write the page that tells its nodes."""
    import pandas as pd

    from mathprobe.interp.facts import Facts
    from mathprobe.paper import circuit_figures, circuit_page, figures, quanta

    facts = Facts.load(args.map / "nodes.csv")
    tables = {name: pd.read_csv(args.map / f"{name}.csv") for name in TABLES}
    drawn = {kind: quanta.draw(kind, facts, args.digits) for kind in quanta.MAPS}
    drawn["positions"] = circuit_figures.positions(tables["positions"])
    arrays = files.load_arrays(args.map / "panels.npz")
    drawn["panels"] = circuit_figures.panels(arrays, facts)
    for name, figure in drawn.items():
        figures.save(figure, args.out / name)
    rows = {name: table.to_dict("records") for name, table in tables.items()}
    page = circuit_page.build(args.template, args.name, args.digits, facts, **rows)
    files.write_text(args.out / "circuit.html", page)


def _compare(parser: Parser) -> None:
    parser.add_argument("first", type=Path, help="nodes.csv; a child's, for reuse")
    parser.add_argument("second", type=Path, help="nodes.csv; its parent's, for reuse")
    parser.add_argument("out", type=Path)
    parser.add_argument("--reuse", action="store_true", help="of inserted nodes")


@command(_compare)
def arith_compare(args: Arguments) -> None:
    """Set the maps of two decoders side by side."""
    from mathprobe.interp.facts import Facts
    from mathprobe.studies import comparisons

    maps = Facts.load(args.first), Facts.load(args.second)
    if args.reuse:
        rows = comparisons.reuse(*maps)
        files.write_csv(args.out, rows, comparisons.COLUMNS)
    else:
        rows = comparisons.compare(*maps)
        files.write_csv(args.out, rows, comparisons.COMPARISON_COLUMNS)
