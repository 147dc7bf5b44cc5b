"""Quanta maps of a model's nodes: a row per head or MLP, a column per position.

Source: Quirke, Neo, Barez 2024.  Vertical neighbours with equal text are one cell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mathprobe.arith.subtasks import SUBTASKS, SubTask
from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.figures import STYLE, WIDTH, ArtistProps
from mathprobe.registry import Registry
from mathprobe.studies import arith_facts
from mathprobe.studies.arith_facts import (
    FAILS,
    TRI_STATE,
    failures_by_class,
    is_found,
    subtask_label,
)

LETTERS = {"S": "addition", "M": "positive difference", "N": "negative difference"}
LISTED, CLOSE, STRONG = 0.1, 0.05, 0.4  # shares of attention
MANY = 0.2  # share of questions from which a cell is marked
SEQUENCE = 3  # consecutive digits from which they are written as a range
UNUSED, UNKNOWN = "0.9", "0.97"  # colours: no question needs the node; no text
ROW, LARGEST = 0.24, 6.5  # height in inches, font size in points


class Cell(NamedTuple):
    """Text of a cell, shade of its colour from 0 to 1, and whether it is circled."""

    text: str = ""
    shade: float = 0.0
    marked: bool = False


CellOf = Callable[[Sequence[Fact], Layout], Cell]  # from the facts of a node


@dataclass(frozen=True)
class MapKind:
    """A kind of map."""

    title: str
    cell: CellOf
    merged: bool = True  # equal vertical neighbours are one cell
    colours: str = "summer_r"


MAPS: Registry[MapKind] = Registry("quanta map")


def _map(name: str, title: str, **fields: Any) -> Callable[[CellOf], CellOf]:
    def register(cell: CellOf) -> CellOf:
        MAPS.add(name)(MapKind(title, cell, **fields))
        return cell

    return register


@_map("fails", "Questions that fail, in percent", merged=False, colours="Blues")
def fails(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Return the percentage of questions that fail without the node."""
    for fact in facts:
        if fact.name == FAILS and not fact.label:
            share = fact.known_value
            percent = arith_facts.truncated_percent(share) or "<1"
            return Cell(str(percent), share, share >= MANY)
    return Cell()


@_map("impact", "Answer digits that become wrong", colours="Blues")
def impact(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Return the answer digits that become wrong without the node."""
    digits = arith_facts.wrong_digits(facts)
    return Cell(format_digits(digits), max(digits, default=0) / (layout.digits + 1))


def format_digits(digits: Iterable[int]) -> str:
    """Return digits as text, the highest first: A6..3 for a sequence, else A5,A3."""
    parts = []
    ordered = enumerate(sorted(digits, reverse=True))
    for _, run in groupby(ordered, lambda pair: pair[0] + pair[1]):
        members = [digit for _, digit in run]
        if len(members) >= SEQUENCE:
            parts.append(f"A{members[0]}..{members[-1]}")
        else:
            parts += [f"A{digit}" for digit in members]
    return ",".join(parts)


@_map("attention", "Tokens that heads attend to", colours="Blues")
def attention(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Return the tokens with most of the attention; close ones are sorted by name."""
    known = arith_facts.attention_by_token(facts)
    shares = {token: known[token].known_value for token in sorted(known)}
    ordered = sorted(shares, key=shares.__getitem__, reverse=True)
    names = [name for name in ordered if shares[name] > LISTED]
    most, second, *_ = *(shares[name] for name in names), 0.0, 0.0
    if len(names) > 1 and (most - second < CLOSE or second >= STRONG):
        names[:2] = sorted(names[:2])
    return Cell(" ".join(names), most)


@_map("coverage", "Classes of questions that need the node")
def coverage(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Return the letters of the classes that fail without the node."""
    needed = {name[0] for name in failures_by_class(facts)}
    letters = [letter for letter in LETTERS if letter in needed]
    return Cell("".join(letters), len(letters) / len(LETTERS))


def _simplest(letter: str, facts: Sequence[Fact], layout: Layout) -> Cell:
    levels = [name for name in failures_by_class(facts) if name[0] == letter]
    level = min(levels, default="")
    return Cell(level, int(level[1:] or 0) / 5)


for _letter, _questions in LETTERS.items():
    _title = f"Simplest class of {_questions} that needs the node"
    _map(f"complexity_{_letter}", _title)(partial(_simplest, _letter))


@_map("purpose", "Sub-task of each node")
def purpose(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Return the sub-tasks of the node."""
    tasks = list(dict.fromkeys(subtask_label(fact) for fact in facts if is_found(fact)))
    return Cell(" ".join(tasks), min(len(tasks), 3) / 3)


def cells(kind: str, facts: Facts, layout: Layout) -> dict[Node, Cell]:
    """Return the cells of a map, for every node with facts."""
    return {node: MAPS[kind].cell(facts.for_node(node), layout) for node in facts.nodes}


def components(facts: Facts) -> list[str]:
    """Return the rows of a map: heads and MLPs, layer by layer."""
    ordered = sorted(facts.nodes, key=lambda node: (node.layer, node.kind, node.index))
    return list(dict.fromkeys(node.component for node in ordered))


def positions(facts: Facts) -> list[int]:
    """Return the columns of a map: the positions of its nodes."""
    return sorted({node.position for node in facts.nodes})


@rc_context(STYLE)
def draw(name: str, facts: Facts, digits: int) -> Figure:
    """Draw a map of a model for numbers with this many digits."""
    layout, rows, columns = Layout(digits), components(facts), positions(facts)
    known = cells(name, facts, layout).items()
    placed = {(node.position, node.component): cell for node, cell in known}
    figure = Figure(figsize=(WIDTH, ROW * (len(rows) + 3)))
    axes = figure.add_subplot()
    axes.set_title(MAPS[name].title, pad=16)
    width = 72 * 0.85 * WIDTH / max(1, len(columns))  # of a cell, in points
    for x, position in enumerate(columns):
        own = [placed.get((position, row)) for row in rows]
        _column(axes, x, own, MAPS[name], width)
    axes.set(xlim=(0, max(1, len(columns))), ylim=(max(1, len(rows)), 0))
    axes.set_yticks([y + 0.5 for y in range(len(rows))], rows)
    centres = [x + 0.5 for x in range(len(columns))]
    axes.set_xticks(centres, [f"P{position}" for position in columns])
    above = axes.secondary_xaxis("top")
    above.set_xticks(centres, [layout.names[position] for position in columns])
    for axis in (axes, above):
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    return figure


def _column(
    axes: Axes, x: int, cells: Sequence[Cell | None], kind: MapKind, width: float
) -> None:
    """Draw the cells of a position; None is a node that no question needs."""
    keys = [
        y if cell and not kind.merged else cell and cell.text
        for y, cell in enumerate(cells)
    ]
    for _, group in groupby(range(len(cells)), keys.__getitem__):
        y, *others = group
        cell, height = cells[y], 1 + len(others)
        colour: Any = UNKNOWN if cell else UNUSED
        if cell and cell.text:  # mixed with white, so that the text is legible
            shade = colormaps[kind.colours](cell.shade)[:3]
            colour = tuple(0.5 + 0.5 * channel for channel in shade)
        style: ArtistProps = {"facecolor": colour, "edgecolor": "white"}
        axes.add_patch(Rectangle((x, y), 1, height, linewidth=1.0, **style))
        if cell and cell.text:
            centre = x + 0.5, y + height / 2
            text, size = fit(cell.text, width, 72 * ROW * height)
            style = {"ha": "center", "va": "center", "linespacing": 1.0}
            axes.text(*centre, text, size=size, **style)
            if cell.marked:
                axes.plot(*centre, "o", mfc="none", mec="white", ms=11, zorder=1.5)


def fit(text: str, width: float, height: float) -> tuple[str, float]:
    """Return a text in lines and the size with which it fits, both in points.

    Of all numbers of words in a line, the one with the largest size is chosen.
    """
    words = text.split()

    def size(lines: Sequence[str]) -> float:
        longest = max(map(len, lines))
        return min(LARGEST, width / (0.6 * longest), height / len(lines))

    options = (
        [
            " ".join(words[start : start + count])
            for start in range(0, len(words), count)
        ]
        for count in range(1, len(words) + 1)
    )
    lines = max(options, key=size)
    return "\n".join(lines), size(lines)


def _percent(share: Any) -> str:
    """Return a share as a percentage; a missing one as a dash."""
    return "–" if pd.isna(share) else f"{100 * share:.1f}"


def page(
    template: Path,
    name: str,
    digits: int,
    facts: Facts,
    report: str | None,
    **tables: Iterable[Mapping[str, Any]],
) -> str:
    """Return the HTML page of a model.

    `report` is the address of the report to link to.  `tables` has the rows of
    `positions`, `claims` and `controls`.
    """
    layout = Layout(digits)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    return environment.get_template(template.name).render(
        name=name,
        maps=[
            (kind, MAPS[kind].title, cells(kind, facts, layout))
            for kind in sorted(MAPS, key=lambda kind: kind != "purpose")
        ],
        nodes={node.name: node for node in facts.nodes},
        known={node: list(_known(facts.for_node(node))) for node in facts.nodes},
        components=components(facts),
        columns=positions(facts),
        names=layout.names,
        report=report,
        legend=legend(facts),
        questions=LETTERS,
        **{name: list(rows) for name, rows in tables.items()},
    )


def legend(facts: Facts) -> list[SubTask]:
    """Return the sub-tasks of a model's nodes, in the order of the registry."""
    found = {fact.name for fact in facts if is_found(fact)}
    return [task for name, task in SUBTASKS.items() if name in found]


def _known(facts: list[Fact]) -> Iterator[tuple[str, list[str]]]:
    """Yield the headings and lines of a node's tooltip."""
    subtasks = [_line(subtask_label(fact), fact) for fact in facts if is_found(fact)]
    if subtasks:
        yield "does", list(dict.fromkeys(subtasks))
    fails = (fact for fact in facts if fact.name == FAILS and not fact.label)
    yield "without it", [_line("fail", fact) for fact in fails]
    yield "wrong digits", [format_digits(arith_facts.wrong_digits(facts))]
    yield "classes", [_line(*pair) for pair in failures_by_class(facts).items()]
    tokens = arith_facts.attention_by_token(facts).items()
    if tokens:
        ordered = sorted(tokens, key=lambda pair: -pair[1].known_value)
        yield "attends to", [_line(*pair) for pair in ordered]
    states = [fact for fact in facts if fact.name.startswith(f"{TRI_STATE} agreement")]
    if states:
        yield "distinguishes", [f"three states of column {one.label}" for one in states]


def _line(label: str, fact: Fact) -> str:
    """Return a fact as text: its share and interval, and the nodes that share it."""
    words = [label]
    if fact.value is not None:
        words.append(f"{_percent(fact.value)} %")
    if fact.low is not None and fact.high is not None:
        words.append(f"({_percent(fact.low)} to {_percent(fact.high)})")
    if fact.partner:
        words.append(f"with {fact.partner}")
    return " ".join(words)
