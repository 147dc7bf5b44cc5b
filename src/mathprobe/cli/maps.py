"""Files of a circuit analysis."""

from pathlib import Path

from mathprobe import files
from mathprobe.arith import claims
from mathprobe.studies import arith_facts, circuits, controls, published_maps
from mathprobe.studies.arith.models import untrained


def write(circuit: circuits.Circuit, name: str, seed: int, folder: Path) -> None:
    """Analyse a circuit and write the facts about it to a folder.

    `seed` determines the weights of an untrained model, which is a control.
    """
    if not len(circuit.varied_questions[0].ids):
        print(f"{name} answers no question correctly: its map is empty")
    facts, layers = circuit.facts, len(circuit.model.blocks)
    found = arith_facts.subtask_positions(facts)
    clauses = claims.evaluate(circuit.operations, layers, circuit.digits, found)
    chance = controls.table(circuit, untrained(circuit.model, seed))
    tables = {
        "positions": (circuit.positions, circuits.POSITION_COLUMNS),
        "controls": (chance, controls.COLUMNS),
        "claims": (clauses, claims.COLUMNS),
    }
    for table, (rows, columns) in tables.items():
        files.write_csv(folder / f"{table}.csv", rows, columns)
    facts.save(folder / "nodes.csv")
    arrays = {
        arith_facts.panel_name(*key): panel.scores.numpy()
        for key, panel in circuit.pca_results.items()
    }
    files.save_arrays(folder / "panels.npz", {**arrays, "case": circuit.pca_cases})
    behaviors = published_maps.behaviors(facts, circuit.layout)
    files.write_json(folder / "behaviors.json", behaviors)
    files.write_json(folder / "features.json", published_maps.features(facts))
