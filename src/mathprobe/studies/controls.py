"""Controls of a circuit map: how much it explains, and what is found by chance.

Source: later studies by the same authors, which ablate all other nodes.  Quirke, Neo,
Barez 2024 have no such controls.  Shares have 95 % intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from torch import Tensor

from mathprobe.interp import ablation
from mathprobe.interp.nodes import HEAD, MLP, Node, NodeSet
from mathprobe.interp.patching import Run
from mathprobe.interp.search import InterchangeIntervention, Rate, sample_nodes
from mathprobe.nets.decoder import Decoder
from mathprobe.studies.arith_facts import is_found
from mathprobe.studies.circuits import TOGETHER, Circuit, SubtaskSearch, share

COLUMNS = ("control", "of", "nodes", "count", "total", "value", "low", "high")
ABLATIONS = ("mean", "resample")  # ablations of all other nodes


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
    if len(run.ids) < 2:  # resampling needs another question
        return
    useful = circuit.ablation_facts.nodes
    rng = circuit.rng_for("random sets")
    sets: list[tuple[str, Collection[Node]]] = [
        ("useful", useful),
        ("with a purpose", nodes_with_purpose(circuit)),
        *(
            ("random", sample_nodes(run.nodes, len(useful), rng))
            for _ in range(circuit.settings.random_sets)
        ),
    ]
    for name in ABLATIONS:
        rng = circuit.rng_for("sufficiency", name)
        values = ablation.ablation_values(run, name, rng)
        for of, nodes in sets:
            right = answers_right(run, values, nodes)
            yield _row(f"keep only, {name}", of, len(nodes), *right)


def answers_right(
    run: Run, values: Mapping[str, Tensor], nodes: Collection[Node]
) -> tuple[int, int]:
    """Count the answers that stay right if all other nodes are ablated, and all."""
    correct = ~ablation.ablate_all_except(run, values, nodes).any(-1)
    return int(correct.sum()), len(correct)


def chance(circuit: Circuit, untrained: Decoder) -> Iterator[dict[str, Any]]:
    """Count how often a search finds sub-tasks, also in controls that have none.

    Each search is repeated for as many random nodes and sets of nodes, none of which is
    a candidate, and for the candidates in an untrained model.
    """
    untrained_circuit = replace(circuit, model=untrained)
    counts: dict[tuple[str, str], list[bool]] = {}
    for search, rates in circuit.search_results:
        candidates = list(rates)
        tried = {
            "found": rates,
            "random nodes": _with_sets(search, _random_sets(circuit, search, rates)),
            "untrained": _with_sets(_untrained(untrained_circuit, search), candidates),
        }
        for control, results in tried.items():
            found = counts.setdefault((control, search.task.name), [])
            found += [rate.is_found for rate in results.values()]
    for (control, task), found in sorted(counts.items()):
        yield _row(control, task, len(found), sum(found), len(found))


def _random_sets(
    circuit: Circuit, search: SubtaskSearch, candidates: Iterable[NodeSet]
) -> Iterator[NodeSet]:
    """Yield as many random nodes and sets of nodes as candidates, but others."""
    rng = circuit.rng_for("random nodes", search.task.name, str(search.k))
    tested = {node for nodes in candidates for node in nodes}
    others = [n for n in circuit.varied_questions[0].nodes if n not in tested]
    pool = [*((node,) for node in others), *TOGETHER[search.task.together](others)]
    for size, count in Counter(map(len, candidates)).items():
        yield from sample_nodes([one for one in pool if len(one) == size], count, rng)


def _with_sets(search: SubtaskSearch, sets: Iterable[NodeSet]) -> dict[NodeSet, Rate]:
    """Return the rates of a search for these nodes and sets of nodes."""
    sets = list(sets)
    nodes = [nodes[0] for nodes in sets if len(nodes) == 1]
    larger = [nodes for nodes in sets if len(nodes) > 1]
    return replace(search, nodes=nodes, sets=larger).rates()


def _untrained(untrained: Circuit, search: SubtaskSearch) -> SubtaskSearch:
    """Return a search with the same questions in an untrained model."""

    def moved(trained: InterchangeIntervention) -> InterchangeIntervention:
        base, source = (
            untrained.run(cast(Run, one).ids) for one in (trained.base, trained.source)
        )
        return replace(trained, base=base, source=source)

    return replace(
        search,
        intervention=moved(search.intervention),
        repeat=lambda: moved(search.repeat()),
    )
