"""Names of laws, models and questions, and the order in which tables list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mathprobe.catalog import size
from mathprobe.linalg.laws import LAWS, PLUS, is_positive, is_symmetric, parts

SYMMETRIC, POSITIVE, BOTH, GENERAL = GROUPS = (
    *("symmetric", "positive"),  # eigenvalues about zero, and above it
    *("both", "general"),  # a mixture of these, and matrices that are not symmetric
)


class Model(NamedTuple):
    """A row of a pivot: a training law and a recipe."""

    law: str
    recipe: str


class Labels(dict[str, str]):
    """Laws as the paper names them; of others their own names, of mixtures all."""

    def __missing__(self, law: str) -> str:
        """Name a law that the paper does not name."""
        names = law.split(PLUS)
        if len(names) > 1:
            return f" {PLUS} ".join(self[name] for name in names)
        return law.replace("_", " ")


def question(task: str, n: int | str) -> str:
    """Return what is asked about which matrices: `eigenvalues, 5 × 5`."""
    return f"{task.replace('_', ' ')}, {shape(n)}"


def shape(n: int | str, times: str = " × ") -> str:
    """Return a size as rows times columns."""
    return times.join(map(str, size(n)))


def group(law: str) -> str:
    """Return where the eigenvalues of a law or mixture lie: one of GROUPS."""
    if not is_symmetric(law):
        return GENERAL
    places = {is_positive(part) for part in parts(law)}
    return BOTH if len(places) > 1 else GROUPS[places.pop()]


def in_order(laws: Iterable[str]) -> list[str]:
    """Sort laws as tables list them: by group, mixtures after single laws."""
    order = list(LAWS)

    def place(law: str) -> tuple[Any, ...]:
        places = [order.index(part) for part in parts(law)]
        return GROUPS.index(group(law)), len(places), places

    return sorted(set(laws), key=place)
