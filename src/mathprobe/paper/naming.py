"""Names of distributions, models and tasks, and their order in tables."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from mathprobe.catalog import parse_size
from mathprobe.linalg import distributions
from mathprobe.linalg.distributions import DISTRIBUTIONS, MIXTURE_SEPARATOR, components

# Eigenvalues symmetric about zero, positive, a mixture of both; matrices not symmetric.
GROUPS = ("symmetric", "positive", "both", "general")
SYMMETRIC, POSITIVE, BOTH, GENERAL = GROUPS


class Model(NamedTuple):
    """A row of a pivot: a training distribution and a recipe."""

    distribution: str
    recipe: str


class Labels(dict[str, str]):
    """Labels of distributions: the paper's, or made from the name if it has none."""

    def __missing__(self, name: str) -> str:
        """Return the label of a mixture, or of a distribution without a label."""
        parts = name.split(MIXTURE_SEPARATOR)
        if len(parts) > 1:
            return f" {MIXTURE_SEPARATOR} ".join(self[part] for part in parts)
        return name.replace("_", " ")


def task_title(task: str, n: int | str) -> str:
    """Return a task and its size as text: `eigenvalues, 5 × 5`."""
    return f"{task.replace('_', ' ')}, {size_text(n)}"


def size_text(n: int | str, times: str = " × ") -> str:
    """Return a size as rows times columns."""
    return times.join(map(str, parse_size(n)))


def group(distribution: str) -> str:
    """Return the group of a distribution or mixture, one of GROUPS."""
    if not distributions.is_symmetric(distribution):
        return GENERAL
    positive = {distributions.is_positive(part) for part in components(distribution)}
    return BOTH if len(positive) > 1 else GROUPS[positive.pop()]


OPERATIONS = {"add": "add", "sub": "subtract", "mix": "both"}


def decoder_labels(models: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return readable labels of decoders by name: `add, 3 digits, 2 × 3 heads`.

    `2 × 3 heads` are two layers of three heads.  Updates (3K: 3,000), insertion,
    gradient filter and seed are added where models are otherwise alike.
    """
    models = list(models)
    labels = {
        one["name"]: f"{OPERATIONS[one['operation']]}, {one['digits']} digits, "
        f"{one['layers']} × {one['heads']} heads"
        + (", from parent" if one["parent"] else "")
        for one in models
    }
    parts: dict[str, Callable[[Any], str]] = {
        "steps": lambda steps: f", {steps // 1000}K",
        "insert": lambda copied: f", insertion {copied}",
        "grokfast": lambda used: ", Grokfast" if used else "",
        "seed": lambda seed: f", seed {seed}",
    }
    for key, text in parts.items():
        alike: dict[str, set[Any]] = {}
        for one in models:
            alike.setdefault(labels[one["name"]], set()).add(one[key])
        for one in models:
            if len(alike[label := labels[one["name"]]]) > 1:
                labels[one["name"]] = label + text(one[key])
    return labels


def sort_distributions(names: Iterable[str]) -> list[str]:
    """Sort distributions by group, mixtures after single distributions."""
    order = list(DISTRIBUTIONS)

    def place(name: str) -> tuple[Any, ...]:
        places = [order.index(part) for part in components(name)]
        return GROUPS.index(group(name)), len(places), places

    return sorted(set(names), key=place)
