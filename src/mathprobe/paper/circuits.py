"""Circuits of decoders for notebooks: read, displayed, and saved as figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from IPython.display import SVG, Markdown, display
from matplotlib.figure import Figure

from mathprobe import files
from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import HEAD
from mathprobe.paper import arith_pivots, figures, quanta, tables
from mathprobe.paper.arith_pivots import CHANCE
from mathprobe.paper.tables import COUNT
from mathprobe.studies import comparisons


class Circuit(NamedTuple):
    """The stored circuit of a model."""

    name: str
    digits: int
    facts: Facts
    published_rule: Facts  # sub-tasks found by the published rules
    positions: pd.DataFrame
    controls: pd.DataFrame
    sufficiency: pd.DataFrame
    claims: pd.DataFrame
    panels: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, nodes: Path) -> Self:
        """Read a circuit from its `nodes.csv`, MODEL/facts/nodes.csv."""
        positions, *others = (
            tables.read(nodes.with_name(f"{name}.csv"))
            for name in ("positions", "controls", "sufficiency", "claims")
        )
        digits = int(positions["token"].str.fullmatch(r"D\d+").sum())  # first number
        facts = Facts.load(nodes), Facts.load(nodes.with_name("published_rule.csv"))
        panels = files.load_arrays(nodes.with_name("panels.npz"))
        name = nodes.parent.parent.name
        return cls._make([name, digits, *facts, positions, *others, panels])

    def map(self, kind: str) -> Figure:
        """Draw a quanta map."""
        return quanta.draw(kind, self.facts, self.digits)

    def show(self, *things: object) -> None:
        """Display objects below the name of the model."""
        display(Markdown(f"**{self.name}**"), *things)

    def show_subtasks(self) -> None:
        """Display how often each sub-task is found by our and the published rules."""
        rows = list(comparisons.count_subtasks(self.facts, self.published_rule))
        table = pd.DataFrame(rows).astype({"published_rule": COUNT})
        self.show(table.set_index("quantity")[["count", "published_rule"]])

    def show_chance(self) -> None:
        """Display how often each sub-task is found in the model and at chance level."""
        self.show(chance(self.controls))

    def show_sufficiency(self) -> None:
        """Display the shares of right answers while only some nodes are kept."""
        table = arith_pivots.sufficiency(self.controls)
        self.show(table.style.format("{:.1%}", subset=table.columns.drop("nodes")))


def chance(controls: pd.DataFrame) -> pd.DataFrame:
    """Return the counts and intervals of `arith_pivots.chance` as text."""
    table = arith_pivots.chance(controls)
    texts = [
        f"{count} of {total} ({low:.0%} to {high:.0%})"
        for count, total, low, high in table.itertuples(index=False)
    ]
    wide = pd.Series(texts, table.index, "str").unstack().reindex(columns=list(CHANCE))
    return wide.rename(columns=CHANCE)


class Page(NamedTuple):
    """The circuits of a notebook, and the prefix of the paths of its figures."""

    models: Sequence[Circuit]
    stem: str

    @classmethod
    def read(cls, nodes: Sequence[str], folder: str, name: str) -> Self:
        """Read circuits from the paths of `nodes.csv` and print their sizes."""
        models = [Circuit.read(Path(path)) for path in nodes]
        for model in models:
            heads = sum(node.kind == HEAD for node in model.facts.nodes)
            others = len(model.facts.nodes) - heads
            size = f"{model.digits} digits, {heads} heads and {others} MLPs matter"
            print(f"{model.name}: {size}")
        return cls(models, f"{folder}/{name}")

    def figure(
        self, name: str, draw: Callable[[Circuit], Figure] | None = None
    ) -> None:
        """Save and display a figure of each model, or an empty one without models."""
        stem = Path(f"{self.stem}_{name}")
        for model in self.models:
            drawn = draw(model) if draw else model.map(name)
            figures.save(drawn, stem)
            model.show(SVG(filename=f"{stem}.svg"))
        if not self.models:
            figures.save(figures.empty_figure(), stem)
