"""One page per model on which a person points at a node and reads what is known of it.

It loads nothing and runs nothing, so it can be sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.quanta import MAPS, impacted, shown, subtask
from mathprobe.studies.findings import (
    ATTENDS,
    FAILS,
    IMPACT,
    TRI_STATE,
    failing,
    is_found,
)

FIRST = "purpose"  # the map that is shown at the top

Row = Mapping[str, Any]


def percent(share: float | None) -> str:
    """Return a share as a percentage, without the sign."""
    return "–" if pd.isna(share) else f"{100 * share:.1f}"


class Point(NamedTuple):
    """A node on the map: what its cell says, how deep, and what is known of it."""

    node: Node
    text: str
    shade: float
    known: list[tuple[str, list[str]]]


def build(
    template: Path,
    name: str,
    digits: int,
    facts: Facts,
    positions: Iterable[Row],
    claims: Iterable[Row],
    controls: Iterable[Row],
) -> str:
    """Write the page of a model from its tables."""
    layout = Layout(digits)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    parts = sorted({(n.layer, n.kind, n.index): n.part for n in facts.nodes}.items())
    return environment.get_template(template.name).render(
        name=name,
        maps=[
            (kind, MAPS[kind].title, dict(_points(kind, facts, layout)))
            for kind in sorted(MAPS, key=lambda kind: kind != FIRST)
        ],
        parts=[part for _, part in parts],
        used=sorted({node.position for node in facts.nodes}),
        names=layout.names,
        positions=list(positions),
        claims=list(claims),
        controls=list(controls),
    )


def _points(kind: str, facts: Facts, layout: Layout) -> Iterator[tuple[str, Point]]:
    """Give the points of a map by the names of their nodes."""
    cells = shown(kind, facts, layout)
    for node in facts.nodes:
        cell = cells.get(node)
        text, shade = (cell.text, cell.shade) if cell else ("", 0.0)
        yield node.name, Point(node, text, shade, list(_known(facts.of(node))))


def _known(facts: list[Fact]) -> Iterator[tuple[str, list[str]]]:
    """Say what is known of a node: topics, each with lines."""
    done = [_line(subtask(fact), fact) for fact in facts if is_found(fact)]
    if done:
        yield "does", list(dict.fromkeys(done))
    yield "without it", [_line("fail", fact) for fact in facts if fact.name == FAILS]
    digits = [fact.digit for fact in facts if fact.name == IMPACT]
    yield "wrong digits", [impacted(d for d in digits if d is not None)]
    yield "classes", [_line(level, fact) for level, fact in failing(facts).items()]
    seen = [fact for fact in facts if fact.name.startswith(f"{ATTENDS} ")]
    if seen:
        ordered = sorted(seen, key=lambda fact: -(fact.value or 0.0))
        yield "attends to", [_line(_token(fact), fact) for fact in ordered]
    clear = [fact for fact in facts if fact.name.startswith(f"{TRI_STATE} agreement")]
    if clear:
        yield "tells apart", [f"three states of column {fact.digit}" for fact in clear]


def _token(fact: Fact) -> str:
    kind = fact.name.removeprefix(f"{ATTENDS} ")
    return kind if fact.digit is None else f"{kind}{fact.digit}"


def _line(what: str, fact: Fact) -> str:
    """Write a fact with its share, its interval, and the head that shares in it."""
    words = [what]
    if fact.value is not None:
        words.append(f"{percent(fact.value)} %")
    if fact.low is not None and fact.high is not None:
        words.append(f"({percent(fact.low)} to {percent(fact.high)})")
    if fact.partner is not None:
        words.append(f"with H{fact.partner}")
    return " ".join(words)
