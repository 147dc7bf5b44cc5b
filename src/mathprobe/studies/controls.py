"""What a map of a circuit is held against: how much it explains, and what chance does.

Source: Quirke, Neo, Barez 2024 do without; the authors' later studies keep only what is
mapped.  A share has its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from mathprobe.interp import ablation
from mathprobe.interp.nodes import NODE_HOOKS, Node
from mathprobe.interp.search import NodeSet, Rate, sample_nodes
from mathprobe.nets.decoder import Decoder
from mathprobe.studies.arith_facts import is_found
from mathprobe.studies.circuits import Circuit, SubtaskSearch, share

COLUMNS = ("control", "of", "nodes", "count", "total", "value", "low", "high")
SUFFICIENCY = ("mean", "resample")  # what stands for the nodes that are not kept


def table(circuit: Circuit, untrained: Decoder) -> Iterator[dict[str, Any]]:
    """Give all controls: a row each."""
    yield from purposes(circuit)
    yield from sufficiency(circuit)
    yield from chance(circuit, untrained)


def _row(control: str, of: str, nodes: int, count: int, total: int) -> dict[str, Any]:
    row = {"control": control, "of": of, "nodes": nodes, "count": count, "total": total}
    return row | share(count, total)


def purposes(circuit: Circuit) -> Iterator[dict[str, Any]]:
    """Count the useful nodes that do a sub-task."""
    done = nodes_with_purpose(circuit)
    for kind in NODE_HOOKS:
        useful = [node for node in circuit.ablation_facts.nodes if node.kind == kind]
        own = sum(node in done for node in useful)
        yield _row("purpose", kind, len(useful), own, len(useful))


def nodes_with_purpose(circuit: Circuit) -> set[Node]:
    """List the nodes that do a sub-task, alone or with another."""
    return {fact.node for fact in circuit.facts if is_found(fact)}


def sufficiency(circuit: Circuit) -> Iterator[dict[str, Any]]:
    """Keep only some nodes, and count the questions that are still answered right."""
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
        values = ablation.ablation_values(
            run, name, circuit.rng_for("sufficiency", name)
        )
        for of, nodes in sets:
            nodes = list(nodes)
            right = ~ablation.ablate_all_except(run, values, nodes).any(-1)
            count = int(right.sum())
            yield _row(f"keep only, {name}", of, len(nodes), count, len(right))


def chance(circuit: Circuit, untrained: Decoder) -> Iterator[dict[str, Any]]:
    """Count sub-tasks that are found at random nodes, and in an untrained model.

    As many random nodes are tried as were found, and in the untrained model those.
    """
    bare = Circuit(circuit.spec, untrained, circuit.settings)
    everywhere = circuit.varied_questions[0].nodes
    counts: dict[tuple[str, str], list[bool]] = {}
    for trial, rates in circuit.search_results:
        done = [nodes for nodes, rate in rates.items() if rate.is_found]
        rng = circuit.rng_for("random nodes", trial.task.name, str(trial.k))
        left = sorted(set(everywhere) - {node for nodes in rates for node in nodes})
        random = [(node,) for node in sample_nodes(left, len(done), rng)]
        tried = {
            "found": list(rates.values()),
            "random nodes": trial.exchange.rates(random),
            "untrained": _without_training(bare, trial, done),
        }
        for control, ends in tried.items():
            found = counts.setdefault((control, trial.task.name), [])
            found += [rate.is_found for rate in ends]
    for (control, task), found in sorted(counts.items()):
        yield _row(control, task, len(found), sum(found), len(found))


def _without_training(
    bare: Circuit, trial: SubtaskSearch, sets: list[NodeSet]
) -> list[Rate]:
    """InterchangeIntervention what an untrained model says, at the same questions."""
    exchange = trial.exchange
    runs = bare.run(exchange.clean.ids), bare.run(exchange.other.ids)
    return replace(exchange, clean=runs[0], other=runs[1]).rates(sets)
