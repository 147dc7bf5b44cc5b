"""Counts of circuit maps: summaries, and the nodes that a child reuses from its parent.

Source: Quirke, Neo, Barez 2024.  They count the nodes that a model uses, the nodes
explained by a sub-task, and the inserted nodes that are still used after training.
Does not import torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from mathprobe.arith.published_rules import RULES
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import HEAD, MLP, Node
from mathprobe.studies.arith_facts import failures_by_class, is_found
from mathprobe.studies.published_maps import MATH, WEAK

LETTERS = tuple(MATH)  # classes: additions, differences >= 0, differences < 0
COLUMNS = ("quantity", "count", "total")  # of `reuse`
SUMMARY_COLUMNS = (*COLUMNS, "published_rule")

Row = dict[str, Any]


def letters(facts: Facts, node: Node) -> set[str]:
    """Return the letters of the classes that fail when a node is ablated: S, M, N."""
    return {name[0] for name in failures_by_class(facts.for_node(node))}


def subtasks(facts: Facts, node: Node) -> set[tuple[str, str]]:
    """Return the sub-tasks that a node does, with their columns."""
    return {(fact.name, fact.label) for fact in facts.for_node(node) if is_found(fact)}


def useful_nodes(facts: Facts) -> pd.DataFrame:
    """Return a table of the nodes of a map, with one row per node.

    The columns are `node`, `kind`, `purpose` (whether a sub-task is found) and S, M, N
    (whether questions of the class fail when the node is ablated).
    """
    rows = [
        {
            **{"node": node, "kind": node.kind, "purpose": bool(subtasks(facts, node))},
            **{letter: letter in letters(facts, node) for letter in LETTERS},
        }
        for node in facts.nodes
    ]
    columns = ["node", "kind", "purpose", *LETTERS]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], bool))


def summary(facts: Facts, published_rule: Facts, claims: pd.DataFrame) -> Iterator[Row]:
    """Count the nodes of a map by kind, purpose and class, and the clauses that hold.

    `published_rule` are the facts of `published_search`, and `claims` is the table of
    `arith.claims`.  Yields rows of SUMMARY_COLUMNS; the count under the published rules
    is missing if they do not apply.
    """
    nodes = useful_nodes(facts)
    for kind in (HEAD, MLP):
        own = nodes[nodes["kind"] == kind]
        yield _count(f"useful {kind}s", len(own))
        others = sum(node.kind == kind for node in published_rule.nodes)
        purposeful = _count(f"{kind}s with a purpose", own["purpose"].sum(), len(own))
        yield purposeful | {"published_rule": others}
    yield from count_subtasks(facts, published_rule)
    for letter in LETTERS:
        yield _count(f"nodes for {letter}", nodes[letter].sum(), len(nodes))
    classes = nodes[[*LETTERS]].sum(axis=1)
    for number in range(1, len(LETTERS) + 1):
        quantity = f"nodes for {number} of {len(LETTERS)} classes"
        yield _count(quantity, (classes == number).sum(), len(nodes))
    for row in count_clauses(claims, "algorithm").itertuples():
        yield _count(f"clauses of {row.Index}", row.hold, row.clauses)


def count_subtasks(facts: Facts, published_rule: Facts) -> Iterator[Row]:
    """Count how often each sub-task is found: once for each node and column.

    Weak findings of the published rules are counted like others.  Yields rows of
    SUMMARY_COLUMNS.
    """
    ours, theirs = _findings(facts), _findings(published_rule)
    for task in SUBTASKS:
        others = theirs[task] if task in RULES else None
        yield _count(task, ours[task]) | {"published_rule": others}


def _findings(facts: Facts) -> Counter[str]:
    found = {
        (fact.node, fact.name.removeprefix(WEAK), fact.label)
        for fact in facts
        if fact.is_confident
    }
    return Counter(name for _, name, _ in found)


def count_clauses(claims: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return a table of `hold` and `clauses`, grouped by a column.

    These are the numbers of clauses that hold and of all clauses.  Optional clauses are
    counted only if they hold.
    """
    claims = claims.astype({"holds": bool, "optional": bool})
    counted = claims[claims["holds"] | ~claims["optional"]]
    grouped = counted.groupby(by, sort=False)
    return grouped.agg(hold=("holds", "sum"), clauses=("holds", "size"))


def reuse(child: Facts, parent: Facts) -> Iterator[Row]:
    """Count the useful nodes of a parent that are useful in its child as well.

    The parent is inserted as the first layers and heads of the child, so a node has the
    same name in both.  Yields rows of COLUMNS.
    """
    inserted, used = useful_nodes(parent), useful_nodes(child)
    kept = used[used["node"].isin(inserted["node"])]
    heads = [(nodes["kind"] == HEAD).sum() for nodes in (kept, inserted)]
    yield _count("inserted nodes", len(inserted), len(inserted))
    yield _count("inserted nodes in use", len(kept), len(inserted))
    yield _count("inserted heads in use", *heads)
    for letter in LETTERS:
        yield _count(f"nodes in use for {letter}", used[letter].sum(), len(used))
        yield _count(f"inserted nodes for {letter}", kept[letter].sum(), len(inserted))
    several = (kept[[*LETTERS]].sum(axis=1) > 1).sum()
    yield _count("inserted nodes for several classes", several, len(inserted))
    same = sum(bool(subtasks(parent, n) & subtasks(child, n)) for n in kept["node"])
    purposeful = inserted["purpose"].sum()
    yield _count("inserted nodes that still do a sub-task", same, purposeful)


def _count(quantity: str, count: Any, total: Any = None) -> Row:
    counts = int(count), None if total is None else int(total)
    return dict(zip(COLUMNS, (quantity, *counts), strict=True))
