"""Quanta maps: what every node of a model does, a column per position.

Source: Quirke, Neo, Barez 2024 for the kinds of maps and what their cells say.  A map
is drawn from stored facts alone.  Where nodes one above the other say the same, they
are one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.figures import STYLE, WIDTH
from mathprobe.registry import Registry
from mathprobe.studies.findings import (
    ATTENDS,
    FAILS,
    IMPACT,
    failing,
    is_found,
    percent,
)

MAPS = Registry("quanta map")
LETTERS = {"S": "addition", "M": "positive difference", "N": "negative difference"}
NOTED, CLOSE, STRONG = 0.1, 0.05, 0.4  # shares of attention
MANY = 0.2  # share of questions: more than this is marked
SEQUENCE = 3  # digits that are written as a range
UNUSED, SILENT = "0.9", "0.97"  # no question needs the node; nothing is known of it
ROW, LARGEST = 0.24, 6.5  # inches; points


class Shown(NamedTuple):
    """What a cell says, and how deep its colour is, from 0 to 1."""

    text: str
    shade: float
    marked: bool = False


NOTHING = Shown("", 0.0)

Say = Callable[[Sequence[Fact], Layout], Shown | None]


@dataclass(frozen=True)
class Kind:
    """A kind of map: its title and what it says of a node, if anything."""

    title: str
    say: Say
    merged: bool = True
    colours: str = "summer_r"


def _kind(name: str, title: str, **data: object) -> Callable[[Say], Say]:
    def register(say: Say) -> Say:
        MAPS.add(name)(Kind(title, say, **data))
        return say

    return register


def _named(facts: Iterable[Fact], name: str) -> list[Fact]:
    return [fact for fact in facts if fact.name == name]


@_kind("fails", "Questions that fail, in percent", merged=False, colours="Blues")
def fails(facts: Sequence[Fact], layout: Layout) -> Shown | None:
    """Say how many questions fail without the node."""
    for fact in _named(facts, FAILS):
        share = fact.value or 0.0
        return Shown(percent(share), share, share >= MANY)
    return None


@_kind("impact", "Answer digits that become wrong", colours="Blues")
def impact(facts: Sequence[Fact], layout: Layout) -> Shown | None:
    """Name the answer digits that become wrong without the node."""
    digits = [fact.digit for fact in _named(facts, IMPACT) if fact.digit is not None]
    if not digits:
        return None
    return Shown(impacted(digits), max(digits) / (layout.digits + 1))


def impacted(digits: Iterable[int]) -> str:
    """Write digits, the highest first: A6..3 of a run, A5,A3 otherwise."""
    parts = []
    ordered = enumerate(sorted(digits, reverse=True))
    for _, run in groupby(ordered, lambda pair: pair[0] + pair[1]):
        members = [digit for _, digit in run]
        if len(members) >= SEQUENCE:
            parts.append(f"A{members[0]}..{members[-1]}")
        else:
            parts += [f"A{digit}" for digit in members]
    return ",".join(parts)


@_kind("attention", "Tokens that heads attend to", colours="Blues")
def attention(facts: Sequence[Fact], layout: Layout) -> Shown | None:
    """Name the tokens that have more than a tenth of a head's attention.

    Two that have nearly the same, or much each, stand in the order of their names.
    """
    prefix = f"{ATTENDS} "
    seen = {
        fact.name.removeprefix(prefix) + _written(fact.digit): fact.value or 0.0
        for fact in facts
        if fact.name.startswith(prefix)
    }
    names = [
        name for name in sorted(seen, key=lambda n: -seen[n]) if seen[name] > NOTED
    ]
    if not names:
        return None
    shares = [seen[name] for name in names[:2]]
    if len(shares) == 2 and (shares[0] - shares[1] < CLOSE or shares[1] >= STRONG):
        names[:2] = sorted(names[:2])
    return Shown(" ".join(names), shares[0])


def _written(digit: int | None) -> str:
    return "" if digit is None else str(digit)


@_kind("coverage", "Classes of questions that need the node")
def coverage(facts: Sequence[Fact], layout: Layout) -> Shown | None:
    """Name the classes of questions that fail without the node."""
    letters = [a for a in LETTERS if any(name[0] == a for name in failing(facts))]
    return Shown("".join(letters), len(letters) / len(LETTERS)) if letters else None


def _simplest(letter: str) -> Say:
    def say(facts: Sequence[Fact], layout: Layout) -> Shown | None:
        levels = sorted(name for name in failing(facts) if name[0] == letter)
        return Shown(levels[0], int(levels[0][1:]) / 5) if levels else None

    return say


for _letter, _questions in LETTERS.items():
    _title = f"Simplest class of {_questions} that needs the node"
    _kind(f"complexity_{_letter}", _title)(_simplest(_letter))


@_kind("purpose", "Sub-tasks that the node does")
def purpose(facts: Sequence[Fact], layout: Layout) -> Shown | None:
    """Name the sub-tasks that the node does."""
    tasks = list(dict.fromkeys(subtask(fact) for fact in facts if is_found(fact)))
    return Shown(" ".join(tasks), min(len(tasks), 3) / 3) if tasks else None


def subtask(fact: Fact) -> str:
    """Name a sub-task as the paper does, e.g. A5.SA."""
    return fact.name if fact.digit is None else f"A{fact.digit}.{fact.name}"


def shown(kind: str, facts: Facts, layout: Layout) -> dict[Node, Shown]:
    """Give the cells of a map."""
    say = MAPS[kind].say
    cells = {node: say(facts.of(node), layout) for node in facts.nodes}
    return {node: cell for node, cell in cells.items() if cell}


def draw(kind: str, facts: Facts, digits: int) -> Figure:
    """Draw a map of a model."""
    layout, cells = Layout(digits), shown(kind, facts, Layout(digits))
    positions = sorted({node.position for node in facts.nodes})
    parts = sorted({(n.layer, n.kind, n.index): n.part for n in facts.nodes}.items())
    rows = [part for _, part in parts]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, ROW * (len(rows) + 3)))
        axes = figure.add_subplot()
        axes.set_title(MAPS[kind].title, pad=16)
        for column, position in enumerate(positions):
            own = [node for node in facts.nodes if node.position == position]
            here = {node.part: node for node in own}
            said = [_cell(here.get(part), cells) for part in rows]
            _column(axes, column, said, MAPS[kind])
        _frame(axes, rows, positions, layout)
        _fit(axes, len(positions))
    return figure


def _cell(node: Node | None, cells: dict[Node, Shown]) -> Shown | None:
    """Give what is said of a node; None where no question needs it."""
    return cells.get(node, NOTHING) if node else None


def _column(axes: Axes, column: int, said: Sequence[Shown | None], kind: Kind) -> None:
    """Draw what is said of the nodes of a position, equal neighbours as one cell."""
    keys = [
        row if cell and not kind.merged else cell and cell.text
        for row, cell in enumerate(said)
    ]
    for _, group in groupby(range(len(said)), keys.__getitem__):
        rows = list(group)
        cell, corner = said[rows[0]], (column, rows[0])
        style = {"facecolor": _colour(cell, kind), "edgecolor": "white"}
        axes.add_patch(Rectangle(corner, 1, len(rows), linewidth=1.0, **style))
        if cell and cell.text:
            middle = column + 0.5, rows[0] + len(rows) / 2
            axes.text(*middle, cell.text.replace(" ", "\n"), ha="center", va="center")
            if cell.marked:
                axes.plot(*middle, "o", mfc="none", mec="white", ms=11, zorder=1.5)


def _colour(cell: Shown | None, kind: Kind) -> str | tuple[float, ...]:
    if cell is None:
        return UNUSED
    return _pale(kind.colours, cell.shade) if cell.text else SILENT


def _pale(colours: str, shade: float) -> tuple[float, ...]:
    """Blend a colour half with white, so that text reads well on it."""
    return tuple(0.5 + 0.5 * part for part in colormaps[colours](shade)[:3])


def _frame(
    axes: Axes, rows: Sequence[str], positions: Sequence[int], layout: Layout
) -> None:
    """Name rows, positions below and their tokens above."""
    axes.set(xlim=(0, max(1, len(positions))), ylim=(max(1, len(rows)), 0))
    axes.set_yticks([row + 0.5 for row in range(len(rows))], rows)
    places = [column + 0.5 for column in range(len(positions))]
    axes.set_xticks(places, [f"P{position}" for position in positions])
    above = axes.secondary_xaxis("top")
    above.set_xticks(places, [layout.names[position] for position in positions])
    for one in (axes, above):
        one.tick_params(length=0)
        one.spines[:].set_visible(False)


def _fit(axes: Axes, columns: int) -> None:
    """Make texts as large as their cells allow."""
    width = 72 * 0.85 * WIDTH / max(1, columns)  # points
    for text in axes.texts:
        lines = text.get_text().split("\n")
        longest = max(len(line) for line in lines)
        text.set_fontsize(min(LARGEST, width / (0.6 * longest), 72 * ROW / len(lines)))
