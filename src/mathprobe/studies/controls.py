"""Controls of a circuit map: how much it explains, and what is found by chance.

Source: later studies by the same authors, which ablate all other nodes.  Quirke, Neo,
Barez 2024 have no such controls.  Shares have 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from mathprobe.interp import ablation
from mathprobe.interp.nodes import HEAD, MLP, Node
from mathprobe.interp.search import NodeSet, Rate, sample_nodes
from mathprobe.nets.decoder import Decoder
from mathprobe.studies.arith_facts import is_found
from mathprobe.studies.circuits import Circuit, SubtaskSearch, share

COLUMNS = ("control", "of", "nodes", "count", "total", "value", "low", "high")
SUFFICIENCY = ("mean", "resample")  # ablations of all other nodes


def table(circuit: Circuit, untrained: Decoder) -> Iterator[dict[str, Any]]:
    """Yield all controls, as rows of COLUMNS."""
    yield from purposes(circuit)
    yield from sufficiency(circuit)
    yield from chance(circuit, untrained)


def _row(control: str, of: str, nodes: int, count: int, total: int) -> dict[str, Any]:
    row = {"control": control, "of": of, "nodes": nodes, "count": count, "total": total}
    return row | share(count, total)


def purposes(circuit: Circuit) -> Iterator[dict[str, Any]]:
    """Count the useful nodes for which a sub-task is found."""
    purposeful = nodes_with_purpose(circuit)
    for kind in (HEAD, MLP):
        useful = [node for node in circuit.ablation_facts.nodes if node.kind == kind]
        count = sum(node in purposeful for node in useful)
        yield _row("purpose", kind, len(useful), count, len(useful))


def nodes_with_purpose(circuit: Circuit) -> set[Node]:
    """Return the nodes that do a sub-task, alone or in a pair."""
    return {fact.node for fact in circuit.facts if is_found(fact)}


def sufficiency(circuit: Circuit) -> Iterator[dict[str, Any]]:
    """Count the questions still answered correctly when all other nodes are ablated."""
    run, _ = circuit.varied_questions
    if not len(run.ids):
        return
    useful = circuit.ablation_facts.nodes
    rng = circuit.rng_for("random sets")
    sets: list[tuple[str, Iterable[Node]]] = [
        ("useful", useful),
        ("with a purpose", nodes_with_purpose(circuit)),
        *(
            ("random", sample_nodes(run.nodes, len(useful), rng))
            for _ in range(circuit.settings.random_sets)
        ),
    ]
    for name in SUFFICIENCY:
        rng = circuit.rng_for("sufficiency", name)
        values = ablation.ablation_values(run, name, rng)
        for of, nodes in sets:
            nodes = list(nodes)
            correct = ~ablation.ablate_all_except(run, values, nodes).any(-1)
            count = int(correct.sum())
            yield _row(f"keep only, {name}", of, len(nodes), count, len(correct))


def chance(circuit: Circuit, untrained: Decoder) -> Iterator[dict[str, Any]]:
    """Count how often a search finds sub-tasks, also where none should be found.

    Each search is repeated with random nodes, as many as were found, and with the found
    nodes in an untrained model.
    """
    untrained_circuit = replace(circuit, model=untrained)
    all_nodes = circuit.varied_questions[0].nodes
    counts: dict[tuple[str, str], list[bool]] = {}
    for search, rates in circuit.search_results:
        successful = [nodes for nodes, rate in rates.items() if rate.is_found]
        rng = circuit.rng_for("random nodes", search.task.name, str(search.k))
        others = sorted(set(all_nodes) - {node for nodes in rates for node in nodes})
        random = [(node,) for node in sample_nodes(others, len(successful), rng)]
        tried = {
            "found": list(rates.values()),
            "random nodes": search.intervention.rates(random),
            "untrained": _untrained_rates(untrained_circuit, search, successful),
        }
        for control, results in tried.items():
            found = counts.setdefault((control, search.task.name), [])
            found += [rate.is_found for rate in results]
    for (control, task), found in sorted(counts.items()):
        yield _row(control, task, len(found), sum(found), len(found))


def _untrained_rates(
    untrained: Circuit, search: SubtaskSearch, sets: list[NodeSet]
) -> list[Rate]:
    """Return the rates of the same interventions in an untrained model."""
    base, source = search.intervention.base.ids, search.intervention.source.ids
    runs = untrained.run(base), untrained.run(source)
    return replace(search.intervention, base=runs[0], source=runs[1]).rates(sets)
