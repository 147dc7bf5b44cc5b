"""Maps in the form of the published library: `behaviors.json` and `features.json`.

A file is a list of nodes with tags, `Major:Minor` each.  Tags say less than facts do:
no interval, whole percents, no class's share.  Impacted digits are run together, so
that of ten and more digits a tag may be read in two ways; such a one is refused.

    Fail%:12  Impact:A543  Math.Add:S012  Math.Sub:M01  Math.Neg:N1  Attn:P9=49
    Math.Add:A2.SP  Math.Sub:A2.MP  Algo:A5.SA  Algo:OPR      k in A<k> is the column
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Kind, Node
from mathprobe.studies.findings import (
    ATTENDS,
    FAILS,
    IMPACT,
    TRI_STATE,
    attended,
    failing,
    is_found,
    percent,
    token_fact,
)

MATH = {"S": "Math.Add", "M": "Math.Sub", "N": "Math.Neg"}
PANELS = {"addition": ("Math.Add", "SP"), "subtraction": ("Math.Sub", "MP")}
MOST_SOURCES = 4
ALGORITHM = "Algo:"


def behaviors(facts: Facts, layout: Layout) -> list[dict[str, Any]]:
    """Write what was seen of nodes."""
    return [_item(node, _behaviors(facts.of(node), layout)) for node in facts.nodes]


def features(facts: Facts) -> list[dict[str, Any]]:
    """Write what nodes were found to do; those that do nothing stay, without tags."""
    return [
        _item(node, dict.fromkeys(_algorithms(facts.of(node)))) for node in facts.nodes
    ]


def _item(node: Node, tags: Iterable[str]) -> dict[str, Any]:
    place = {"position": node.position, "layer": node.layer}
    is_head = node.kind == HEAD
    return {**place, "is_head": is_head, "num": node.index, "tags": list(tags)}


def _algorithms(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        if is_found(fact):
            column = "" if fact.digit is None else f"A{fact.digit}."
            yield f"{ALGORITHM}{column}{fact.name}"


def _behaviors(facts: list[Fact], layout: Layout) -> Iterator[str]:
    named: dict[str, list[Fact]] = {}
    for fact in facts:
        named.setdefault(fact.name, []).append(fact)
    for fact in named.get(FAILS, []):
        yield f"Fail%:{percent(fact.value or 0.0)}"
    failed = [fact.digit for fact in named.get(IMPACT, []) if fact.digit is not None]
    if failed:
        yield f"Impact:A{''.join(map(str, sorted(failed, reverse=True)))}"
    for letter, major in MATH.items():
        levels = sorted(name[1:] for name in failing(facts) if name[0] == letter)
        if levels:
            yield f"{major}:{letter}{''.join(levels)}"
    yield from _attention(facts, layout)
    for operation, (major, tag) in PANELS.items():
        for fact in named.get(f"{TRI_STATE} agreement {operation}", []):
            yield f"{major}:A{fact.digit}.{tag}"


def _attention(facts: Iterable[Fact], layout: Layout) -> Iterator[str]:
    """Name the tokens that are attended to most."""
    seen = {token: fact.value or 0.0 for token, fact in attended(facts).items()}
    for token in sorted(seen, key=seen.__getitem__, reverse=True)[:MOST_SOURCES]:
        yield f"Attn:P{layout.position(token)}={int(100 * seen[token] + 0.5)}"


def read(items: Iterable[dict[str, Any]], layout: Layout) -> Facts:
    """Read a file of either form as facts; what a tag does not say is None."""
    return Facts(
        fact
        for item in items
        for tag in item["tags"]
        for fact in _facts(_node(item), tag, layout)
    )


def _node(item: dict[str, Any]) -> Node:
    try:
        kind: Kind = HEAD if item["is_head"] else MLP
        return Node(item["position"], item["layer"], kind, item["num"])
    except KeyError as missing:
        raise InputError(f"{item}: a node has no {missing}") from missing


def _facts(node: Node, tag: str, layout: Layout) -> Iterator[Fact]:
    for form, make in _FORMS.items():
        found = re.fullmatch(form, tag)
        if found:
            for name, digit, value in make(layout, *found.groups()):
                yield Fact(node, name, digit, value)
            return
    raise InputError(f"{node.name}: unknown tag {tag!r}")


Parsed = Iterator[tuple[str, int | None, float | None]]  # name, digit, value


def _fails(layout: Layout, percent: str) -> Parsed:
    yield FAILS, None, 0.0 if percent == "<1" else int(percent) / 100


def _impact(layout: Layout, digits: str) -> Parsed:
    readings = list(_descending(digits, layout.digits + 1))
    if len(readings) != 1:
        raise InputError(f"Impact:A{digits}: {len(readings)} ways to read it")
    for digit in readings[0]:
        yield IMPACT, digit, None


def _descending(text: str, most: int) -> Iterator[list[int]]:
    """Read digits that were run together, the highest first, in all possible ways."""
    if not text:
        yield []
    for length in range(1, len(text) + 1):
        number = text[:length]
        if int(number) <= most and str(int(number)) == number:
            for rest in _descending(text[length:], int(number) - 1):
                yield [int(number), *rest]


def _classes(layout: Layout, letter: str, levels: str) -> Parsed:
    for level in levels:
        yield f"{FAILS} {letter}{level}", None, None


def _source(layout: Layout, position: str, percent: str) -> Parsed:
    if int(position) >= layout.length:
        raise InputError(f"Attn:P{position}: there are {layout.length} positions")
    name, digit = token_fact(ATTENDS, layout.names[int(position)])
    yield name, digit, int(percent) / 100


def _panel(layout: Layout, column: str, tag: str) -> Parsed:
    operation = {tag: name for name, (_, tag) in PANELS.items()}[tag]
    yield f"{TRI_STATE} agreement {operation}", int(column), None


def _subtask(layout: Layout, column: str | None, task: str) -> Parsed:
    yield SUBTASKS[task].name, None if column is None else int(column), None


_FORMS: dict[str, Callable[..., Parsed]] = {
    r"Fail%:(<1|\d+)": _fails,
    r"Impact:A(\d+)": _impact,
    r"Math\.(?:Add|Sub|Neg):([SMN])(\d+)": _classes,
    r"Attn:P(\d+)=(\d+)": _source,
    r"Math\.(?:Add|Sub):A(\d+)\.(SP|MP)": _panel,
    r"Algo:(?:A(\d+)\.)?([A-Z]+)(?:\.A\d+)?": _subtask,
}
