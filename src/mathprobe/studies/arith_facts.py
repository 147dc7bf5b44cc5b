"""What facts about the nodes of a model of arithmetic are called, and how to read them.

Loads no torch, so that what draws facts reads them here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.interp.facts import Fact
from mathprobe.interp.nodes import Node

FAILS = "fails"  # share of questions; with a class, of questions of that class
IMPACT = "impact"  # share of questions in which an answer digit is wrong
ATTENDS = "attends"  # share of a head's attention that a token has
ROUNDING = 1e-9  # 57 % is stored as slightly less
TRI_STATE = "tri-state"  # a measure of how clearly components tell three states apart

PANEL_SEPARATOR = "."  # between node, operation and column in the name of a panel


def panel_name(node: Node, operation: str, k: int) -> str:
    """Name the panel of a node and a column in a file."""
    return PANEL_SEPARATOR.join([node.name, operation, str(k)])


def token_fact(fact: str, name: str) -> tuple[str, int | None]:
    """Name a fact about a token such as D'5: what it says, and of which digit."""
    kind = re.sub(r"\d+$", "", name)
    digit = name.removeprefix(kind)
    said = fact if fact == IMPACT else f"{fact} {kind}"
    return said, int(digit) if digit else None


def truncated_percent(share: float) -> str:
    """Write a share of fails as the published maps do: whole percents, cut off."""
    return str(int(100 * share + ROUNDING)) if share >= 0.01 else "<1"


def failures_by_class(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about classes of questions that fail without a node."""
    return dict(_beginning(facts, FAILS))


def attention_by_token(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts about tokens that a head attends to, by token, e.g. D'5."""
    return {
        rest if fact.digit is None else f"{rest}{fact.digit}": fact
        for rest, fact in _beginning(facts, ATTENDS)
    }


def _beginning(facts: Iterable[Fact], name: str) -> Iterator[tuple[str, Fact]]:
    """Find facts whose names begin with a name, with the rest of their names."""
    prefix = f"{name} "
    for fact in facts:
        if fact.name.startswith(prefix):
            yield fact.name.removeprefix(prefix), fact


def is_found(fact: Fact) -> bool:
    """Tell whether a fact says that a node does a sub-task."""
    return fact.name in SUBTASKS and fact.is_confident


def subtask_positions(facts: Iterable[Fact]) -> dict[tuple[str, int | None], list[int]]:
    """List the positions where sub-tasks of columns are done."""
    places: dict[tuple[str, int | None], set[int]] = {}
    for fact in facts:
        if is_found(fact):
            places.setdefault((fact.name, fact.digit), set()).add(fact.node.position)
    return {what: sorted(where) for what, where in places.items()}
