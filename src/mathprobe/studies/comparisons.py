"""What a map sums up to, and what a child reuses of its parent.  Loads no torch.

Source: Quirke, Neo, Barez 2024, for how many nodes a model uses, how many of them a
sub-task explains, and what becomes of the nodes that were inserted from a parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import HEAD, NODE_HOOKS, Node
from mathprobe.studies.arith_facts import failures_by_class, is_found

LETTERS = ("S", "M", "N")  # classes: additions, positive and negative differences
COLUMNS = ("quantity", "count", "total")  # of a summary, and of what is used again

Row = dict[str, Any]


def letters(facts: Facts, node: Node) -> set[str]:
    """Give the classes of questions, S, M or N, that need a node."""
    return {name[0] for name in failures_by_class(facts.for_node(node))}


def subtasks(facts: Facts, node: Node) -> set[tuple[str, int | None]]:
    """Give the sub-tasks of columns that a node does."""
    return {(fact.name, fact.digit) for fact in facts.for_node(node) if is_found(fact)}


def useful(facts: Facts) -> pd.DataFrame:
    """Return the nodes of a map, a row each.

    Columns: node, kind, whether a sub-task is known of it, and for each class of
    questions whether some fail without it.
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


def summary(facts: Facts, claimed: pd.DataFrame) -> Iterator[Row]:
    """Count the nodes of a map and what they do, and the claims that hold."""
    nodes = useful(facts)
    for kind in NODE_HOOKS:
        own = nodes[nodes["kind"] == kind]
        yield _count(f"useful {kind}s", len(own))
        yield _count(f"{kind}s with a purpose", own["purpose"].sum(), len(own))
    for letter in LETTERS:
        yield _count(f"nodes for {letter}", nodes[letter].sum(), len(nodes))
    served = nodes[[*LETTERS]].sum(axis=1)
    for number in range(1, len(LETTERS) + 1):
        of = f"nodes for {number} of {len(LETTERS)} classes"
        yield _count(of, (served == number).sum(), len(nodes))
    for row in count_clauses(claimed, "algorithm").itertuples():
        yield _count(f"clauses of {row.Index}", row.hold, row.clauses)


def count_clauses(claimed: pd.DataFrame, by: str) -> pd.DataFrame:
    """Count clauses of algorithms, and those that hold; optional ones only then."""
    claimed = claimed.astype({"holds": bool, "optional": bool})
    counted = claimed[claimed["holds"] | ~claimed["optional"]]
    grouped = counted.groupby(by, sort=False)
    return grouped.agg(hold=("holds", "sum"), clauses=("holds", "size"))


def reuse(child: Facts, parent: Facts) -> Iterator[Row]:
    """Tell what became, in a child, of the nodes that were useful in its parent.

    Layers and heads of a parent are inserted as the first ones of its child, so a node
    has the same address in both.
    """
    inserted, used = useful(parent), useful(child)
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
