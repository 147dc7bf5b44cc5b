"""Names of the facts about nodes of arithmetic models, and functions that read them.

Does not import torch, so figures and tables can be made without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.interp.facts import Fact
from mathprobe.interp.nodes import Node

FAILS = "fails"  # share of questions that fail, of all or of one class
IMPACT = "impact"  # share of questions in which an answer digit is wrong
ATTENDS = "attends"  # share of a head's attention to a token
TRI_STATE = "tri-state"  # metric of how well PCA separates the three carry states
ROUNDING = 1e-9  # 0.57 may be stored as a slightly smaller number

PANEL_SEPARATOR = "."  # of node, operation and column in the names of panels.npz


def panel_name(node: Node, operation: str, k: int) -> str:
    """Return the name of the PCA scores of a node and a column in `panels.npz`."""
    return PANEL_SEPARATOR.join([node.name, operation, str(k)])


def token_fact(fact: str, name: str) -> tuple[str, int | None]:
    """Return the name and the digit of a fact about a token, e.g. D'5."""
    kind = re.sub(r"\d+$", "", name)
    digit = name.removeprefix(kind)
    full_name = fact if fact == IMPACT else f"{fact} {kind}"
    return full_name, int(digit) if digit else None


def truncated_percent(share: float) -> str:
    """Return a share as whole percents, truncated, as in the published maps."""
    return str(int(100 * share + ROUNDING)) if share >= 0.01 else "<1"


def failures_by_class(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about failures when a node is ablated, by complexity class."""
    return dict(_with_prefix(facts, FAILS))


def attention_by_token(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about the attention of a head, by token name, e.g. D'5."""
    return {
        rest if fact.digit is None else f"{rest}{fact.digit}": fact
        for rest, fact in _with_prefix(facts, ATTENDS)
    }


def _with_prefix(facts: Iterable[Fact], name: str) -> Iterator[tuple[str, Fact]]:
    """Yield the facts whose name starts with the word `name`, by the other words."""
    prefix = f"{name} "
    for fact in facts:
        if fact.name.startswith(prefix):
            yield fact.name.removeprefix(prefix), fact


def is_found(fact: Fact) -> bool:
    """Return whether a fact states that a node does a sub-task."""
    return fact.name in SUBTASKS and fact.is_confident


def subtask_positions(facts: Iterable[Fact]) -> dict[tuple[str, int | None], list[int]]:
    """Return the positions at which sub-tasks are done, by sub-task and column."""
    positions: dict[tuple[str, int | None], set[int]] = {}
    for fact in facts:
        if is_found(fact):
            key = fact.name, fact.digit
            positions.setdefault(key, set()).add(fact.node.position)
    return {key: sorted(found) for key, found in positions.items()}
