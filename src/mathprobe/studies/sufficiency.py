"""Shares of answers that stay right as nodes are added to those of known sub-task.

All other nodes are ablated.  The useful nodes without a known sub-task are added one
by one, in three orders:

    greedy    each time the node with which most answer tokens stay right
    ablation  by the share of questions that fail if only this node is ablated
    random    a random order

Two rows are no curves: the nodes with a published sub-task, and those with a sub-task
in most pairs (MOST), a weaker bound than that of `Fact.is_confident`.

The greedy order is lazy: in each round, it evaluates only the CANDIDATES nodes that
gained most when they were last evaluated.  It uses the mean ablation, and questions of
its own, so that the measured shares are not those that it maximised.  With 50 nodes it
needs 250 evaluations of SELECTION questions, and the curves 40 of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.interp import ablation
from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.studies.arith_facts import FAILS, is_found, is_published
from mathprobe.studies.circuits import Circuit, share
from mathprobe.studies.controls import ABLATIONS, answers_right, nodes_with_purpose

COLUMNS = (
    *("order", "ablation", "nodes", "added"),
    *("count", "total", "value", "low", "high"),
)
MOST = 0.5  # lower bound of the success rate of a sub-task that most pairs show
SELECTION = 32  # questions for the greedy order, at most half of all
FEWEST = 4  # questions: two for each purpose
CANDIDATES = 4  # nodes that each round of the greedy order evaluates
POINTS = 8  # at most, of each curve

Values = Mapping[str, Tensor]


def table(circuit: Circuit) -> Iterator[dict[str, Any]]:
    """Yield the curves as rows of COLUMNS; `added` are the names of the new nodes.

    A model without useful nodes, or with few right answers (FEWEST), has no rows.
    """
    run, _ = circuit.varied_questions
    useful = circuit.ablation_facts.nodes
    if not useful or len(run.ids) < FEWEST:
        return
    facts = [fact for fact in circuit.facts if fact.name in SUBTASKS]
    known = frozenset(nodes_with_purpose(circuit))
    single = {
        "published": [f.node for f in facts if is_found(f) and is_published(f)],
        "most pairs": [f.node for f in facts if f.low is not None and f.low >= MOST],
    }
    chosen = torch.zeros(len(run.ids), dtype=torch.bool)
    chosen[1 :: max(2, -(-len(run.ids) // SELECTION))] = True
    measured, selection = (run.select(c.to(run.ids.device)) for c in (~chosen, chosen))
    rest = [node for node in useful if node not in known]
    orders = {
        "greedy": greedy_order(selection, _values(circuit, run, "mean"), known, rest),
        "ablation": sorted(rest, key=lambda node: -_failures(circuit, node)),
        "random": _shuffled(circuit, rest),
    }
    for name in ABLATIONS:
        values = _values(circuit, measured, name)
        right = cache(partial(answers_right, measured, values))
        for order, nodes in single.items():
            kept = frozenset(nodes)
            yield _row(order, name, right(kept), len(kept), ())
        for order, added in orders.items():
            before = 0
            for number in _points(len(added)):
                kept = known.union(added[:number])
                yield _row(order, name, right(kept), len(kept), added[before:number])
                before = number


def greedy_order(
    run: Run, values: Values, known: Collection[Node], rest: Sequence[Node]
) -> list[Node]:
    """Return nodes in the lazy greedy order; see the module."""
    order: list[Node] = []
    gains = dict.fromkeys(rest, 1.0)
    right = _tokens_right(run, values, known)
    while gains:
        first = CANDIDATES if order else len(gains)
        tried = sorted(gains, key=lambda node: -gains[node])[:first]
        for node in tried:
            gains[node] = _tokens_right(run, values, [*known, *order, node]) - right
        best = max(tried, key=lambda node: gains[node])
        right += gains.pop(best)
        order.append(best)
    return order


def _tokens_right(run: Run, values: Values, nodes: Collection[Node]) -> float:
    changed = ablation.ablate_all_except(run, values, nodes)
    return 1.0 - float(changed.double().mean())


def _values(circuit: Circuit, run: Run, name: str) -> Values:
    rng = circuit.rng_for("curve", name)
    return ablation.ablation_values(run, name, rng)


def _failures(circuit: Circuit, node: Node) -> float:
    facts = circuit.ablation_facts.for_node(node, FAILS)
    return next(fact.known_value for fact in facts if not fact.label)


def _shuffled(circuit: Circuit, nodes: Sequence[Node]) -> list[Node]:
    rng = circuit.rng_for("curve", "order")
    return [nodes[i] for i in torch.randperm(len(nodes), generator=rng).tolist()]


def _points(steps: int) -> list[int]:
    """Return numbers of added nodes from 0 to `steps`, at most POINTS."""
    return sorted({round(steps * i / (POINTS - 1)) for i in range(POINTS)})


def _row(
    order: str, name: str, right: tuple[int, int], nodes: int, added: Sequence[Node]
) -> dict[str, Any]:
    count, total = right
    return {
        **{"order": order, "ablation": name, "nodes": nodes},
        **{"added": " ".join(node.name for node in added)},
        **{"count": count, "total": total, **share(count, total)},
    }
