"""Quanta maps: what every node of a model does, a column per position.

Source: Quirke, Neo, Barez 2024 for the kinds of maps and what their cells say.  A map
is drawn from stored facts alone.  Where nodes one above the other say the same, they
are one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper.figures import STYLE, WIDTH, ArtistProps
from mathprobe.registry import Registry
from mathprobe.studies.arith_facts import (
    FAILS,
    IMPACT,
    attention_by_token,
    failures_by_class,
    is_found,
    truncated_percent,
)

LETTERS = {"S": "addition", "M": "positive difference", "N": "negative difference"}
NOTED, CLOSE, STRONG = 0.1, 0.05, 0.4  # shares of attention
MANY = 0.2  # share of questions: more than this is marked
SEQUENCE = 3  # digits that are written as a range
UNUSED, SILENT = "0.9", "0.97"  # no question needs the node; nothing is known of it
ROW, LARGEST = 0.24, 6.5  # inches; points


class Cell(NamedTuple):
    """What a cell says, and how deep its colour is, from 0 to 1."""

    text: str = ""
    shade: float = 0.0
    marked: bool = False


CellFunction = Callable[[Sequence[Fact], Layout], Cell]


@dataclass(frozen=True)
class MapKind:
    """A kind of map: its title and what it says of a node."""

    title: str
    cell: CellFunction
    merged: bool = True
    colours: str = "summer_r"


MAPS: Registry[MapKind] = Registry("quanta map")


def _kind(name: str, title: str, **data: Any) -> Callable[[CellFunction], CellFunction]:
    def register(say: CellFunction) -> CellFunction:
        MAPS.add(name)(MapKind(title, say, **data))
        return say

    return register


@_kind("fails", "Questions that fail, in percent", merged=False, colours="Blues")
def fails(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Write how many questions fail without the node."""
    shares = [fact.value or 0.0 for fact in facts if fact.name == FAILS]
    return (
        Cell(truncated_percent(shares[0]), shares[0], shares[0] >= MANY)
        if shares
        else Cell()
    )


@_kind("impact", "Answer digits that become wrong", colours="Blues")
def impact(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Name the answer digits that become wrong without the node."""
    digits = wrong_digits(facts)
    return Cell(format_digits(digits), max(digits, default=0) / (layout.digits + 1))


def wrong_digits(facts: Iterable[Fact]) -> list[int]:
    """List the answer digits that become wrong without a node."""
    digits = [fact.digit for fact in facts if fact.name == IMPACT]
    return [digit for digit in digits if digit is not None]


def format_digits(digits: Iterable[int]) -> str:
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
def attention(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Name the tokens that have more than a tenth of a head's attention.

    Two that have nearly the same, or much each, stand in the order of their names.
    """
    seen = {
        token: fact.value or 0.0 for token, fact in attention_by_token(facts).items()
    }
    ordered = sorted(sorted(seen), key=seen.__getitem__, reverse=True)
    names = [name for name in ordered if seen[name] > NOTED]
    most, second, *_ = *(seen[name] for name in names), 0.0, 0.0
    if len(names) > 1 and (most - second < CLOSE or second >= STRONG):
        names[:2] = sorted(names[:2])
    return Cell(" ".join(names), most)


@_kind("coverage", "Classes of questions that need the node")
def coverage(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Name the classes of questions that fail without the node."""
    needed = {name[0] for name in failures_by_class(facts)}
    letters = [letter for letter in LETTERS if letter in needed]
    return Cell("".join(letters), len(letters) / len(LETTERS))


def _simplest(letter: str, facts: Sequence[Fact], layout: Layout) -> Cell:
    levels = [name for name in failures_by_class(facts) if name[0] == letter]
    level = min(levels, default="")
    return Cell(level, int(level[1:] or 0) / 5)


for _letter, _questions in LETTERS.items():
    _title = f"Simplest class of {_questions} that needs the node"
    _kind(f"complexity_{_letter}", _title)(partial(_simplest, _letter))


@_kind("purpose", "Sub-tasks that the node does")
def purpose(facts: Sequence[Fact], layout: Layout) -> Cell:
    """Name the sub-tasks that the node does."""
    tasks = list(dict.fromkeys(subtask_label(fact) for fact in facts if is_found(fact)))
    return Cell(" ".join(tasks), min(len(tasks), 3) / 3)


def subtask_label(fact: Fact) -> str:
    """Name a sub-task as the paper does, e.g. A5.SA."""
    return fact.name if fact.digit is None else f"A{fact.digit}.{fact.name}"


def cells(kind: str, facts: Facts, layout: Layout) -> dict[Node, Cell]:
    """Return the cells of a map, of every node of which anything is known."""
    return {node: MAPS[kind].cell(facts.for_node(node), layout) for node in facts.nodes}


def components(facts: Facts) -> list[str]:
    """Name the rows of a map: heads and MLPs, layer by layer."""
    ordered = sorted(facts.nodes, key=lambda node: (node.layer, node.kind, node.index))
    return list(dict.fromkeys(node.component for node in ordered))


def positions(facts: Facts) -> list[int]:
    """List the columns of a map: the positions of its nodes."""
    return sorted({node.position for node in facts.nodes})


@rc_context(STYLE)
def draw(kind: str, facts: Facts, digits: int) -> Figure:
    """Draw a map of a model."""
    layout, rows, columns = Layout(digits), components(facts), positions(facts)
    known = cells(kind, facts, layout).items()
    placed = {(node.position, node.component): cell for node, cell in known}
    figure = Figure(figsize=(WIDTH, ROW * (len(rows) + 3)))
    axes = figure.add_subplot()
    axes.set_title(MAPS[kind].title, pad=16)
    for column, position in enumerate(columns):
        said = [placed.get((position, part)) for part in rows]
        _column(axes, column, said, MAPS[kind])
    _frame(axes, rows, columns, layout)
    _fit(axes, len(columns))
    return figure


def _column(
    axes: Axes, column: int, said: Sequence[Cell | None], kind: MapKind
) -> None:
    """Draw what is said of the nodes of a position, equal neighbours as one cell.

    None stands for a node that no question needs.
    """
    keys = [
        row if cell and not kind.merged else cell and cell.text
        for row, cell in enumerate(said)
    ]
    for _, group in groupby(range(len(said)), keys.__getitem__):
        rows = list(group)
        cell, corner = said[rows[0]], (column, rows[0])
        style: ArtistProps = {"facecolor": _colour(cell, kind), "edgecolor": "white"}
        axes.add_patch(Rectangle(corner, 1, len(rows), linewidth=1.0, **style))
        if cell and cell.text:
            middle = column + 0.5, rows[0] + len(rows) / 2
            axes.text(*middle, cell.text.replace(" ", "\n"), ha="center", va="center")
            if cell.marked:
                axes.plot(*middle, "o", mfc="none", mec="white", ms=11, zorder=1.5)


def _colour(cell: Cell | None, kind: MapKind) -> str | tuple[float, ...]:
    """Blend a colour half with white, so that text reads well on it."""
    if not cell or not cell.text:
        return SILENT if cell else UNUSED
    return tuple(0.5 + 0.5 * part for part in colormaps[kind.colours](cell.shade)[:3])


def _frame(axes: Axes, rows: Sequence[str], columns: list[int], layout: Layout) -> None:
    """Name rows, positions below and their tokens above."""
    axes.set(xlim=(0, max(1, len(columns))), ylim=(max(1, len(rows)), 0))
    axes.set_yticks([row + 0.5 for row in range(len(rows))], rows)
    places = [column + 0.5 for column in range(len(columns))]
    axes.set_xticks(places, [f"P{position}" for position in columns])
    above = axes.secondary_xaxis("top")
    above.set_xticks(places, [layout.names[position] for position in columns])
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
