"""Names of the facts about nodes of arithmetic models, and functions that read them.

Does not import torch, so figures and tables can be made without it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.interp.facts import Fact
from mathprobe.interp.nodes import Node

# Names of facts, and their labels.  Facts about a sub-task have its name and column.
FAILS = "fails"  # share of questions that fail: of all (no label), or of a class
IMPACT = "impact"  # share of questions in which an answer token is wrong
ATTENDS = "attends"  # share of a head's attention to a token
# Metric of how well PCA separates the three carry states of a column.
TRI_STATE = "tri-state"
ROUNDING = 1e-9  # 0.57 may be stored as a slightly smaller number

PANEL_SEPARATOR = "."  # of node, operation and column in the names of panels.npz


def panel_name(node: Node, operation: str, k: int) -> str:
    """Return the name of the PCA scores of a node and a column in `panels.npz`."""
    return PANEL_SEPARATOR.join([node.name, operation, str(k)])


def truncated_percent(share: float) -> int:
    """Return a share in whole percents, truncated, as in the published maps."""
    return int(100 * share + ROUNDING)


def failures_by_class(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about failures when a node is ablated, by complexity class."""
    return {fact.label: fact for fact in facts if fact.name == FAILS and fact.label}


def attention_by_token(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about the attention of a head, by token name, e.g. D'5."""
    return {fact.label: fact for fact in facts if fact.name == ATTENDS}


def column_label(k: int | None) -> str:
    """Return the label of a fact about a column; empty if it concerns no column."""
    return "" if k is None else str(k)


def column(fact: Fact) -> int | None:
    """Return the column that a fact about a sub-task concerns, if any."""
    return int(fact.label) if fact.label else None


def subtask_label(fact: Fact) -> str:
    """Return a sub-task as the paper writes it, for instance A5.SA."""
    return f"A{fact.label}.{fact.name}" if fact.label else fact.name


def wrong_digits(facts: Iterable[Fact]) -> list[int]:
    """Return the answer digits that become wrong without a node, the highest first."""
    impacts = (fact.label for fact in facts if fact.name == IMPACT)
    return sorted((int(token[1:]) for token in impacts), reverse=True)


def is_found(fact: Fact) -> bool:
    """Return whether a fact states that a node does a sub-task."""
    return fact.name in SUBTASKS and fact.is_confident


def is_published(fact: Fact) -> bool:
    """Return whether a fact concerns a sub-task of Quirke et al., not one of ours."""
    return fact.name in SUBTASKS and SUBTASKS[fact.name].is_published


def subtask_positions(facts: Iterable[Fact]) -> dict[tuple[str, int | None], list[int]]:
    """Return the positions at which sub-tasks are done, by sub-task and column."""
    positions: dict[tuple[str, int | None], set[int]] = {}
    for fact in facts:
        if is_found(fact):
            key = fact.name, column(fact)
            positions.setdefault(key, set()).add(fact.node.position)
    return {key: sorted(found) for key, found in positions.items()}
