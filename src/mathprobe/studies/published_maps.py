"""Maps in the format of the published library: `behaviors.json` and `features.json`.

A file is a list of nodes with tags `Major:Minor`.  Tags contain less than facts: no
intervals, only whole percents, no shares by class.  k in A<k> is a column or a digit.

    Fail%:12                        percent of the questions that fail, truncated
    Impact:A543                     answer digits that become wrong
    Math.Add:S012  Math.Sub:M01  Math.Neg:N1    classes of the questions that fail
    Attn:P9=49                      percent of attention; the four largest
    Math.Add:A2.SP  Math.Sub:A2.MP  PCA separates the carry states
    Algo:A5.SA  Algo:OPR            sub-tasks

The library also writes weak findings, which are other facts here.  Math.Add:A2.SP.Weak:
an older version separated the states less well.  Algo:A2.ND.A2: the intervention
changed the digit A2, but not to the predicted one.

An impact lists the characters of all digits, sorted and without duplicates.  From 9
digits on, it may have several meanings: with 10 digits, A1 is A1, A11 (the sign) or
both.  `read` marks such characters as ambiguous.  For models that only add, the library
leaves out the sign; `behaviors` never does.  Tags of sub-tasks without a published rule
are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.published_rules import impact_text
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Node
from mathprobe.studies import arith_facts
from mathprobe.studies.arith_facts import (
    ATTENDS,
    FAILS,
    IMPACT,
    TRI_STATE,
    attention_by_token,
    failures_by_class,
    is_found,
)

MATH = {"S": "Math.Add", "M": "Math.Sub", "N": "Math.Neg"}
PCA_TAGS = {"addition": ("Math.Add", "SP"), "subtraction": ("Math.Sub", "MP")}
AGREEMENT = f"{TRI_STATE} agreement"
MAX_SOURCES = 4  # attended tokens per node
ALGORITHM = "Algo:"
# Names of facts that only `read` returns.  The label of a weak sub-task is its column
# and what changed, e.g. 2.A2.  The label of an ambiguous impact is its characters.
WEAK = "weak "
AMBIGUOUS = f"ambiguous {IMPACT}"


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
        task = fact.name.removeprefix(WEAK)
        if is_found(fact):
            yield f"{ALGORITHM}{arith_facts.subtask_label(fact)}"
        elif task in SUBTASKS and task != fact.name:
            column, changed = fact.label.split(".")
            yield f"{ALGORITHM}A{column}.{task}.{changed}"


def _behaviors(facts: list[Fact], layout: Layout) -> Iterator[str]:
    named: dict[str, list[Fact]] = {}
    for fact in facts:
        named.setdefault(fact.name, []).append(fact)
    for fact in named.get(FAILS, []):
        if not fact.label:
            yield f"Fail%:{arith_facts.truncated_percent(fact.known_value)}"
    failed = [str(digit) for digit in arith_facts.wrong_digits(facts)]
    failed += [fact.label for fact in named.get(AMBIGUOUS, [])]
    if failed:
        yield f"Impact:{impact_text(failed)}"
    for letter, major in MATH.items():
        levels = sorted(
            name[1:] for name in failures_by_class(facts) if name[0] == letter
        )
        if levels:
            yield f"{major}:{letter}{''.join(levels)}"
    yield from _attention(facts, layout)
    for operation, (major, tag) in PCA_TAGS.items():
        for weak, suffix in (("", ""), (WEAK, ".Weak")):
            for fact in named.get(f"{weak}{AGREEMENT} {operation}", []):
                yield f"{major}:A{fact.label}.{tag}{suffix}"


def _attention(facts: Iterable[Fact], layout: Layout) -> Iterator[str]:
    """Yield the tags of the most attended tokens, at most MAX_SOURCES."""
    shares = {
        token: fact.known_value for token, fact in attention_by_token(facts).items()
    }
    for token in sorted(shares, key=shares.__getitem__, reverse=True)[:MAX_SOURCES]:
        yield f"Attn:P{layout.position(token)}={int(100 * shares[token] + 0.5)}"


def read(items: Iterable[Mapping[str, Any]], layout: Layout) -> Facts:
    """Return the facts of a file, or of the items of both files of a model.

    Values that tags do not contain are None; truncated percents become shares.  Raises
    InputError for a node that is not in `layout` and for an unknown tag.
    """
    return Facts(
        Fact(node, *content)
        for item in items
        for node in [_node(item, layout)]
        for tag in item["tags"]
        for content in _contents(node, tag, layout)
    )


def _node(item: Mapping[str, Any], layout: Layout) -> Node:
    places: list[Any] = [item.get(name) for name in ("position", "layer", "num")]
    is_head, tags = item.get("is_head"), item.get("tags")
    known = isinstance(is_head, bool) and isinstance(tags, list)
    if not (known and all(type(place) is int and place >= 0 for place in places)):
        raise InputError(
            f"{dict(item)} is not a node: position, layer and num are integers from 0, "
            "is_head is true or false, tags is a list"
        )
    position, layer, index = places
    if position >= layout.length:
        raise InputError(
            f"position {position}: with {layout.digits} digits, the last position is "
            f"{layout.length - 1}; check the number of digits"
        )
    return Node(position, layer, HEAD if is_head else MLP, index)


Content = tuple[str, str, float | None]  # name, label and value of a fact


def _contents(node: Node, tag: str, layout: Layout) -> list[Content]:
    """Return what a tag states about a node."""
    try:
        for form, parse in _FORMS.items():
            if found := re.fullmatch(form, tag, re.ASCII):
                return list(parse(layout, *found.groups()))
        raise InputError("unknown form; the docstring of this module lists the forms")
    except InputError as error:
        raise InputError(f"{node.name}: tag {tag!r}: {error}") from error


def _check(is_known: bool, problem: str) -> None:
    if not is_known:
        raise InputError(problem)


def _column(layout: Layout, column: str) -> str:
    last = layout.digits - 1
    _check(int(column) <= last, f"column {column} is not in 0, ..., {last}")
    return str(int(column))


def _share(percent: str) -> float:
    _check(int(percent) <= 100, f"{percent} is more than 100 percent")
    return int(percent) / 100


def _parse_fails(layout: Layout, percent: str) -> Iterator[Content]:
    yield FAILS, "", _share(percent)


def _parse_impact(layout: Layout, text: str) -> Iterator[Content]:
    """Parse an impact; characters that belong to several digits are ambiguous.

    Without characters, only the sign of a model that only adds is wrong.
    """
    sign = layout.digits + 1
    _check(f"A{text}" == impact_text(text), "characters are not sorted and unique")
    possible = [k for k in map(str, range(sign + 1)) if set(k) <= set(text)]
    owners = {char: sum(char in k for k in possible) for char in text}
    _check(all(owners.values()), f"the answer digits are A{sign} to A0")
    for char in text or [str(sign)]:
        if owners.get(char, 1) == 1:
            yield IMPACT, f"A{char}", None
    if unclear := "".join(char for char in text if owners[char] > 1):
        yield AMBIGUOUS, unclear, None


def _parse_classes(
    layout: Layout, major: str, letter: str, levels: str
) -> Iterator[Content]:
    _check(MATH[letter] == major, f"class {letter} belongs to {MATH[letter]}")
    for level in levels:
        name = f"{letter}{level}"
        _check(name in CLASSES, f"unknown class {name}")
        yield FAILS, name, None


def _parse_attention(layout: Layout, position: str, percent: str) -> Iterator[Content]:
    last = layout.length - 1
    _check(int(position) <= last, f"the last position is {last}")
    yield ATTENDS, layout.names[int(position)], _share(percent)


def _parse_pca(
    layout: Layout, major: str, column: str, tag: str, weak: str | None
) -> Iterator[Content]:
    operations = {place: operation for operation, place in PCA_TAGS.items()}
    _check((major, tag) in operations, f"{tag} does not belong to {major}")
    name = f"{AGREEMENT} {operations[major, tag]}"
    yield WEAK + name if weak else name, _column(layout, column), None


def _parse_subtask(
    layout: Layout, column: str | None, task: str, changed: str | None
) -> Iterator[Content]:
    _check(task in SUBTASKS, f"unknown sub-task; known are {', '.join(SUBTASKS)}")
    has_column = SUBTASKS[task].lowest is not None
    known = bool(column) if has_column else not (column or changed)
    without = [name for name, one in SUBTASKS.items() if one.lowest is None]
    _check(known, f"only {' and '.join(without)} have no column")
    label = _column(layout, column) if column else ""
    if changed:
        yield f"{WEAK}{task}", f"{label}.{changed}", None
    else:
        yield task, label, None


_FORMS: dict[str, Callable[..., Iterator[Content]]] = {
    r"Fail%:(\d+)": _parse_fails,
    r"Impact:A(\d*)": _parse_impact,
    r"(Math\.\w+):([SMN])(\d+)": _parse_classes,
    r"Attn:P(\d+)=(\d+)": _parse_attention,
    r"(Math\.\w+):A(\d+)\.(SP|MP)(\.Weak)?": _parse_pca,
    # Older versions write the column of GT as D<k>.
    r"Algo:(?:[AD](\d+)\.)?([A-Z]+)(?:\.(A\d+))?": _parse_subtask,
}
