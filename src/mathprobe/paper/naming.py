"""What tables, laws and models are called, and in which order they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mathprobe.catalog import size
from mathprobe.errors import InputError
from mathprobe.linalg.laws import LAWS, PLUS, is_positive, is_symmetric, parts
from mathprobe.paper.tables import Row

SYMMETRIC, POSITIVE, BOTH, GENERAL = GROUPS = (
    *("symmetric", "positive"),  # eigenvalues about zero, and above it
    *("both", "general"),  # a mixture of these, and matrices that are not symmetric
)

PRINTED = {  # kinds of tables that the paper has too, as the published file names them
    "ood": "out_of_distribution",
    "learning_speed": "learning_speed",
}


class Entry(NamedTuple):
    """What a table shows, as its name says: `ood_eigenvalues_n5`."""

    kind: str
    task: str
    n: int | str  # of a rectangle `5x3`

    @property
    def name(self) -> str:
        """Give the part of the name that tells tables of a kind apart."""
        return f"{self.task}_n{self.n}"

    @property
    def question(self) -> str:
        """Say what was asked about which matrices."""
        return f"{self.task.replace('_', ' ')}, {shape(self.n)}"

    def in_paper(self, published: Row) -> str:
        """Name the paper's table of this; nothing, where it has none."""
        kind = PRINTED.get(self.kind)
        number = kind and number_in_paper(published, kind, self.task, self.n)
        return f" (Table {number} of the paper)" if number else ""


def entry(stem: str, kinds: Sequence[str]) -> Entry:
    """Read a table's name."""
    for kind in kinds:
        if found := re.fullmatch(rf"{kind}_([a-z_]+)_n(\d+(x\d+)?)", stem):
            n = found[2] if found[3] else int(found[2])
            return Entry(kind, found[1], n)
    shapes = ", ".join(f"{kind}_TASK_nSIZE" for kind in kinds)
    raise InputError(f"{stem!r}: not the name of a table; known names are {shapes}")


def shape(n: int | str, times: str = " × ") -> str:
    """Write a size as rows times columns."""
    return times.join(map(str, size(n)))


class Labels(dict[str, str]):
    """Laws as the paper names them; of others their own names, of mixtures all."""

    def __missing__(self, law: str) -> str:
        """Name a law that the paper does not name."""
        names = law.split(PLUS)
        if len(names) > 1:
            return f" {PLUS} ".join(self[name] for name in names)
        return law.replace("_", " ")


def group(law: str) -> str:
    """Tell where the eigenvalues of a law or mixture lie: one of GROUPS."""
    if not is_symmetric(law):
        return GENERAL
    places = {is_positive(part) for part in parts(law)}
    return BOTH if len(places) > 1 else GROUPS[places.pop()]


def in_order(laws: Iterable[str]) -> list[str]:
    """Put laws into the order of the tables: by group, a mixture behind single laws."""
    order = list(LAWS)

    def place(law: str) -> tuple[Any, ...]:
        places = [order.index(part) for part in parts(law)]
        return GROUPS.index(group(law)), len(places), places

    return sorted(set(laws), key=place)


class Model(NamedTuple):
    """A row of a table: what was trained on which law."""

    law: str
    recipe: str


def printed_size(published: Row, task: str, n: int | str) -> int | None:
    """Give the size nearest to n of which something is printed; None: of none."""
    rows, columns = size(n)
    sizes = [int(key[1:]) for key in published.get(task) or {} if rows == columns]
    return min(sizes, key=lambda size: (abs(size - rows), size), default=None)


def number_in_paper(
    published: Row, kind: str, task: str, n: int | str | None
) -> int | None:
    """Give the number that the paper's table of a task and size has, if it has one."""
    numbers = published["numbers_of_tables"].get(kind, {})
    return numbers.get(task, {}).get(f"n{n}")
