"""Maps of decoders as notebooks read and show them, and keep their figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from IPython.display import SVG, Markdown, display
from matplotlib.figure import Figure

from mathprobe import files
from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import HEAD
from mathprobe.paper import figures, pivots, quanta, tables

DIGIT = re.compile(r"D\d+")  # token of the first number


class Circuit(NamedTuple):
    """All that is known of a model's circuit."""

    name: str
    digits: int
    facts: Facts
    positions: pd.DataFrame
    controls: pd.DataFrame
    claims: pd.DataFrame
    panels: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, nodes: Path) -> Circuit:
        """Read a map from the folder in which its nodes lie, below its model's."""
        positions, controls, claims = (
            tables.read(nodes.with_name(f"{name}.csv"))
            for name in ("positions", "controls", "claims")
        )
        return cls(
            nodes.parent.parent.name,
            int(positions["token"].str.fullmatch(DIGIT).sum()),
            Facts.load(nodes),
            *(positions, controls, claims),
            files.load_arrays(nodes.with_name("panels.npz")),
        )

    def map(self, kind: str) -> Figure:
        """Draw a quanta map of a kind."""
        return quanta.draw(kind, self.facts, self.digits)

    def show(self, *things: object) -> None:
        """Show things below the name of the model."""
        display(Markdown(f"**{self.name}**"), *things)

    def show_chance(self) -> None:
        """Show how often sub-tasks were found, and where they should not be."""
        table = pivots.chance(self.controls)
        shares = table.columns.drop("found")
        styled = table.style.format("{:.0%}", subset=shares, na_rep="–")
        counts = table.columns.difference(shares)
        self.show(styled.format("{:.0f}", subset=counts))

    def show_sufficiency(self) -> None:
        """Show which share of questions some nodes answer alone."""
        table = pivots.sufficiency(self.controls)
        shares = table.columns.drop("nodes")
        self.show(table.style.format("{:.1%}", subset=shares))


class Page(NamedTuple):
    """A notebook: its models, and the path that names of its figures begin with."""

    models: Sequence[Circuit]
    stem: str

    @classmethod
    def read(cls, nodes: Sequence[str], folder: str, name: str) -> Page:
        """Read maps from the paths of their nodes; print how much of each matters."""
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
        """Save and show a figure, by default the map of that name.

        Without a model the figure is empty, and nothing is shown.
        """
        stem = Path(f"{self.stem}_{name}")
        for model in self.models:
            drawn = draw(model) if draw else model.map(name)
            figures.save(drawn, stem)
            model.show(SVG(filename=f"{stem}.svg"))
        if not self.models:
            figures.save(figures.empty_figure(), stem)
