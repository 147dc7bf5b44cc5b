"""Names of distributions, models and questions, and the order in which tables list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mathprobe.catalog import parse_size
from mathprobe.linalg.distributions import (
    DISTRIBUTIONS,
    MIXTURE_SEPARATOR,
    components,
    is_positive,
    is_symmetric,
)

SYMMETRIC, POSITIVE, BOTH, GENERAL = GROUPS = (
    *("symmetric", "positive"),  # eigenvalues about zero, and above it
    *("both", "general"),  # a mixture of these, and matrices that are not symmetric
)


class Model(NamedTuple):
    """A row of a pivot: a training distribution and a recipe."""

    distribution: str
    recipe: str


class Labels(dict[str, str]):
    """Distributions as the paper names them; of others their own names, of mixtures all."""

    def __missing__(self, distribution: str) -> str:
        """Name a distribution that the paper does not name."""
        names = distribution.split(MIXTURE_SEPARATOR)
        if len(names) > 1:
            return f" {MIXTURE_SEPARATOR} ".join(self[name] for name in names)
        return distribution.replace("_", " ")


def task_title(task: str, n: int | str) -> str:
    """Return what is asked about which matrices: `eigenvalues, 5 × 5`."""
    return f"{task.replace('_', ' ')}, {size_text(n)}"


def size_text(n: int | str, times: str = " × ") -> str:
    """Return a size as rows times columns."""
    return times.join(map(str, parse_size(n)))


def group(distribution: str) -> str:
    """Return where the eigenvalues of a distribution or mixture lie: one of GROUPS."""
    if not is_symmetric(distribution):
        return GENERAL
    places = {is_positive(part) for part in components(distribution)}
    return BOTH if len(places) > 1 else GROUPS[places.pop()]


def sort_distributions(distributions: Iterable[str]) -> list[str]:
    """Sort distributions as tables list them: by group, mixtures after single distributions."""
    order = list(DISTRIBUTIONS)

    def place(distribution: str) -> tuple[Any, ...]:
        places = [order.index(part) for part in components(distribution)]
        return GROUPS.index(group(distribution)), len(places), places

    return sorted(set(distributions), key=place)
