"""Maps in the format of the published library: `behaviors.json` and `features.json`.

A file is a list of nodes with tags `Major:Minor`.  Tags contain less than facts: no
intervals, only whole percents, no shares by class.  Digits of a tag are concatenated.

    Fail%:12  Impact:A543  Math.Add:S012  Math.Sub:M01  Math.Neg:N1  Attn:P9=49
    Math.Add:A2.SP  Math.Sub:A2.MP  Algo:A5.SA  Algo:OPR      k in A<k> is the column
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, Node
from mathprobe.studies import arith_facts
from mathprobe.studies.arith_facts import (
    FAILS,
    TRI_STATE,
    attention_by_token,
    failures_by_class,
    is_found,
    truncated_percent,
)

MATH = {"S": "Math.Add", "M": "Math.Sub", "N": "Math.Neg"}
PCA_TAGS = {"addition": ("Math.Add", "SP"), "subtraction": ("Math.Sub", "MP")}
MAX_SOURCES = 4  # attended tokens per node
ALGORITHM = "Algo:"


def behaviors(facts: Facts, layout: Layout) -> list[dict[str, Any]]:
    """Return the nodes with their tags for ablation, attention and PCA."""
    return [
        _item(node, _behaviors(facts.for_node(node), layout)) for node in facts.nodes
    ]


def features(facts: Facts) -> list[dict[str, Any]]:
    """Return the nodes with tags for the sub-tasks found, if any."""
    return [
        _item(node, dict.fromkeys(_algorithms(facts.for_node(node))))
        for node in facts.nodes
    ]


def _item(node: Node, tags: Iterable[str]) -> dict[str, Any]:
    place = {"position": node.position, "layer": node.layer}
    is_head = node.kind == HEAD
    return {**place, "is_head": is_head, "num": node.index, "tags": list(tags)}


def _algorithms(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        if is_found(fact):
            yield f"{ALGORITHM}{arith_facts.subtask_label(fact)}"


def _behaviors(facts: list[Fact], layout: Layout) -> Iterator[str]:
    named: dict[str, list[Fact]] = {}
    for fact in facts:
        named.setdefault(fact.name, []).append(fact)
    for fact in named.get(FAILS, []):
        if not fact.label:
            yield f"Fail%:{truncated_percent(fact.known_value)}"
    failed = arith_facts.wrong_digits(facts)
    if failed:
        yield f"Impact:A{''.join(map(str, failed))}"
    for letter, major in MATH.items():
        levels = sorted(
            name[1:] for name in failures_by_class(facts) if name[0] == letter
        )
        if levels:
            yield f"{major}:{letter}{''.join(levels)}"
    yield from _attention(facts, layout)
    for operation, (major, tag) in PCA_TAGS.items():
        for fact in named.get(f"{TRI_STATE} agreement {operation}", []):
            yield f"{major}:A{fact.label}.{tag}"


def _attention(facts: Iterable[Fact], layout: Layout) -> Iterator[str]:
    """Yield the tags of the most attended tokens, at most MAX_SOURCES."""
    shares = {
        token: fact.known_value for token, fact in attention_by_token(facts).items()
    }
    for token in sorted(shares, key=shares.__getitem__, reverse=True)[:MAX_SOURCES]:
        yield f"Attn:P{layout.position(token)}={int(100 * shares[token] + 0.5)}"
