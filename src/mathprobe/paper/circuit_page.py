"""One page per model on which a person points at a node and reads what is known of it.

It loads nothing and runs nothing, so it can be sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.paper import quanta
from mathprobe.studies.arith_facts import (
    FAILS,
    TRI_STATE,
    attention_by_token,
    failures_by_class,
    is_found,
)

FIRST = "purpose"  # the map that is shown at the top


def percent(share: Any) -> str:
    """Write a share in percent."""
    return "–" if pd.isna(share) else f"{100 * share:.1f}"


def build(
    template: Path,
    name: str,
    digits: int,
    facts: Facts,
    **tables: Iterable[Mapping[str, Any]],
) -> str:
    """Write the page of a model from its facts and the rows of its other tables.

    These are `positions`, `claims` and `controls`.
    """
    layout = Layout(digits)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment.get_template(template.name).render(
        name=name,
        maps=[
            (kind, quanta.MAPS[kind].title, quanta.cells(kind, facts, layout))
            for kind in sorted(quanta.MAPS, key=lambda kind: kind != FIRST)
        ],
        nodes={node.name: node for node in facts.nodes},
        known={node: list(_known(facts.for_node(node))) for node in facts.nodes},
        components=quanta.components(facts),
        columns=quanta.positions(facts),
        names=layout.names,
        **{name: list(rows) for name, rows in tables.items()},
    )


def _known(facts: list[Fact]) -> Iterator[tuple[str, list[str]]]:
    """Say what is known of a node: topics, each with lines."""
    done = [_line(quanta.subtask_label(fact), fact) for fact in facts if is_found(fact)]
    if done:
        yield "does", list(dict.fromkeys(done))
    yield "without it", [_line("fail", fact) for fact in facts if fact.name == FAILS]
    yield "wrong digits", [quanta.format_digits(quanta.wrong_digits(facts))]
    yield (
        "classes",
        [_line(level, fact) for level, fact in failures_by_class(facts).items()],
    )
    seen = [
        _line(*pair) for pair in sorted(attention_by_token(facts).items(), key=_share)
    ]
    if seen:
        yield "attends to", seen
    clear = [fact for fact in facts if fact.name.startswith(f"{TRI_STATE} agreement")]
    if clear:
        yield "tells apart", [f"three states of column {fact.digit}" for fact in clear]


def _share(named: tuple[str, Fact]) -> float:
    return -(named[1].value or 0.0)


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
