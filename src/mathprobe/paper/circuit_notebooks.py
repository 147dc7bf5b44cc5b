"""What notebooks about circuits do alike: they read maps, show them, keep figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from IPython.display import SVG, Markdown, display
from matplotlib.figure import Figure

from mathprobe.paper import circuits, figures
from mathprobe.paper.circuits import Told


@dataclass(frozen=True)
class Notebook:
    """A notebook: its models, and the path that names of its figures begin with."""

    models: Sequence[Told]
    stem: Path

    def figure(self, model: Told, name: str, figure: Figure | None = None) -> None:
        """Keep and show a figure, by default the map of that name."""
        figures.save(figure or model.map(name), self._path(name))
        show(model, SVG(filename=f"{self._path(name)}.svg"))

    def blank(self, *names: str) -> None:
        """Keep empty figures where there is no model."""
        for name in () if self.models else names:
            figures.save(figures.nothing(), self._path(name))

    def _path(self, name: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}_{name}")


def read(nodes: Iterable[str], folder: str, name: str) -> Notebook:
    """Read maps from the paths of their nodes; say how much of each model matters."""
    models = [circuits.read(Path(path)) for path in nodes]
    for model in models:
        heads = sum(node.kind == "head" for node in model.facts.nodes)
        others = len(model.facts.nodes) - heads
        size = f"{model.digits} digits, {heads} heads and {others} MLPs matter"
        print(f"{model.name}: {size}")
    return Notebook(models, Path(folder) / name)


def show(model: Told, *things: object) -> None:
    """Show things below the name of a model."""
    display(Markdown(f"**{model.name}**"), *things)


def show_chance(model: Told) -> None:
    """Show how often sub-tasks were found, and how often where they should not be."""
    table, shares = circuits.chance(model.controls), list(circuits.CHANCE.values())
    styled = table.style.format("{:.0%}", subset=shares, na_rep="–")
    show(model, styled.format("{:.0f}", subset=["found"]))


def show_sufficiency(model: Told) -> None:
    """Show which share of questions some nodes answer alone."""
    table = circuits.sufficiency(model.controls)
    shares = [column for column in table if column != "nodes"]
    show(model, table.style.format("{:.1%}", subset=shares))
