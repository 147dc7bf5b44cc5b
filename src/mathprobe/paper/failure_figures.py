"""Figures of failures: what they keep, and how condition numbers predict them.

S: seeds, B: test examples.  They look as those of `figures` do, and what is said there
of equal bytes holds here.  A panel belongs to a model; NaN is never below anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mathprobe.linalg.distributions import components
from mathprobe.linalg.scores import ORACLE
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.paper.figures import (
    COLOURS,
    STYLE,
    UNCLIPPED,
    WIDTH,
    ArtistProps,
    draw_panels,
)
from mathprobe.paper.tables import MODEL_KEYS, TOLERANCE, Frame

Arrays = Mapping[str, np.ndarray]

LINES: dict[str, ArtistProps] = {  # groups of answers, and those of the oracle
    "success": {"color": COLOURS[0], "label": "right answers"},
    "failure": {"color": COLOURS[1], "label": "wrong answers", "linestyle": "--"},
    "all": {"color": "black", "label": "all answers", "linewidth": 0.7},
    ORACLE: {"color": "0.55", "label": "exact answers", "linestyle": ":"},
}


PROPERTIES = {  # properties: the name on an axis, and the bound that the paper sets
    "eigenvalue_error": ("error of the eigenvalues", 0.01),
    "norm_deviation": ("largest $|$norm $-$ 1$|$", 0.01),
    "angle": (r"largest $|$angle $-\,\pi/2|$", 0.03),
    "inverse_error": ("distance to the inverse", 0.05),
}
SPAN = np.geomspace(1e-4, 2.0, 241)  # of properties: from rounding to beyond a unit
CONDITIONS = {  # a verifier's axis, and what is subtracted to see the range on it
    "vectors_condition": (r"$c(\hat H)-1$", 1.0),
    "matrix_condition": ("$c(M)$", 0.0),
}
EDGES = 1e-4, 1e6  # what is beyond is drawn on them
DOT = 1.5  # points squared


class Measurements(NamedTuple):
    """The answers of a model to the tests at its home, each judged: [S * B]."""

    task: str
    distribution: str
    n: int
    recipe: str
    quantities: Mapping[str, np.ndarray]
    oracle: Mapping[str, np.ndarray]  # the same of exact answers: [B]

    @property
    def name(self) -> str:
        """Name the model."""
        return f"{self.task.replace('_', ' ')}, n={self.n}, {self.recipe}"

    @property
    def title(self) -> str:
        """Name the model above a panel."""
        return self.name.replace(f"n={self.n}", f"$n={self.n}$")

    @property
    def verifier(self) -> str:
        """Name the quantity that predicts its failures."""
        return next(name for name in VERIFIERS if name in self.quantities)

    def select(self, name: str, group: str) -> np.ndarray:
        """Give a quantity of one group of answers."""
        if group == ORACLE:
            return self.oracle[name]
        right = self.quantities["error"] < TOLERANCE
        chosen = {"all": np.ones_like(right), "success": right, "failure": ~right}
        return self.quantities[name][chosen[group]]


def measurements(arrays: Arrays, recipe: str) -> Measurements:
    """Take the answers at home out of what was measured example by example."""
    data = json.loads(str(arrays["spec"]))["data"]
    quantities: dict[str, list[np.ndarray]] = {}
    for name, values in arrays.items():
        distribution, _, quantity = name.rpartition(".")
        if distribution in components(data["distribution"]):
            quantities.setdefault(quantity, []).append(values.ravel())
    joined = {name: np.concatenate(values) for name, values in quantities.items()}
    prefix = f"{ORACLE}_"
    exact = {k.removeprefix(prefix): v for k, v in joined.items() if prefix in k}
    made = {name: joined[name] for name in exact}
    return Measurements(
        data["task"], data["distribution"], data["n"], recipe, made, exact
    )


def share_below(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Give the share of values below each bound; of no values it is NaN."""
    counts = np.searchsorted(np.sort(values), at)  # NaN sorts last
    return counts / len(values) if len(values) else np.full(len(at), np.nan)


def properties(models: Sequence[Measurements], published: Frame) -> Figure:
    """Draw which share of right and of wrong answers has a property, and how closely.

    Dots are what the paper and its notebook print of the same model.
    """
    shown = [
        (model, name)
        for model in models
        for name in PROPERTIES
        if name in model.quantities
    ]

    def draw(axes: Axes, panel: tuple[Measurements, str]) -> None:
        _shares(axes, *panel, _own(published, panel[0]))

    return _panels(shown, 3, draw, LINES.values(), "share below (%)")


def _shares(axes: Axes, model: Measurements, name: str, published: Frame) -> None:
    label, bound = PROPERTIES[name]
    axes.axvline(bound, color="0.35", linewidth=0.7, linestyle=":")
    for group, look in LINES.items():
        shares = 100 * share_below(model.select(name, group), SPAN)
        axes.plot(SPAN, shares, **look)
        printed = _printed(published, name, group)
        axes.plot(printed.index, printed, "o", color=look["color"], **UNCLIPPED)
    axes.set(xscale="log", xlabel=label, title=model.title)
    axes.set(xlim=(SPAN[0], SPAN[-1]), ylim=(0, 100), yticks=range(0, 101, 25))
    axes.grid(axis="y")


def _printed(published: Frame, name: str, group: str) -> pd.Series:
    """Return the printed percentages by their bounds; the notebook's are more exact."""
    place = pd.Series({"quantity": name, "group": group, "statistic": "below"})
    rows = published[(published[[*place.index]] == place).all(axis=1)]
    shares = rows["notebook"].fillna(rows["published"])
    return 100 * shares.set_axis(rows["at"])


def condition_numbers(models: Sequence[Measurements], rules: Frame) -> Figure:
    """Draw error against condition number, with the tolerance and the thresholds.

    The rules are the tidy tables of verifiers.
    """
    dot = {"marker": "o", "linestyle": "none"}
    looks = [LINES["success"] | dot, LINES["failure"] | dot, *THRESHOLDS.values()]

    def draw(axes: Axes, model: Measurements) -> None:
        _scatter(axes, model, _own(rules, model))

    return _panels(models, 2, draw, looks, "relative error")


RULES = {"paper": "threshold of the paper", "calibration": "chosen threshold"}
THRESHOLDS: dict[str, ArtistProps] = {  # who chose them
    name: {"color": "black", "lw": 0.8, "linestyle": dashes, "label": RULES[name]}
    for name, dashes in (("paper", "-"), ("calibration", "--"))
}


def _own(table: Frame, model: Measurements) -> Frame:
    """Give the rows of a model."""
    name = model.task, model.n, model.distribution, model.recipe
    same = pd.Series(name, MODEL_KEYS, object)
    return table[(table[[*MODEL_KEYS]] == same).all(axis=1)]


def _scatter(axes: Axes, model: Measurements, rules: Frame) -> None:
    name = model.verifier
    label, origin = CONDITIONS[name]
    for group in ("failure", "success"):
        points = [model.select(name, group) - origin, model.select("error", group)]
        x, y = (np.clip(values, *EDGES) for values in points)
        colour = LINES[group]["color"]
        axes.scatter(x, y, DOT, colour, linewidths=0, alpha=0.4, rasterized=True)
    axes.axhline(TOLERANCE, color="0.35", linewidth=0.7, linestyle=":")
    for chosen_by, look in THRESHOLDS.items():
        bounds = rules.loc[rules["chosen_by"] == chosen_by, "threshold"]
        for bound in bounds[np.isfinite(bounds)].unique():
            axes.axvline(bound - origin, **look)
    axes.set(xscale="log", yscale="log", xlabel=label, title=model.title)


def roc(models: Sequence[Measurements], curves: Frame, rules: Frame) -> Figure:
    """Draw ROC curves of believing answers, and where the thresholds lie on them."""
    ours = {"color": COLOURS[0], "label": "ours"}
    looks = [ours, LINES[ORACLE], *VERDICTS.values()]

    def draw(axes: Axes, model: Measurements) -> None:
        _curve(axes, model, _own(curves, model), _own(rules, model))

    return _panels(models, 2, draw, looks, "right answers believed (%)")


VERDICTS: dict[str, ArtistProps] = {  # points of a curve: the column, who chose it
    name: {"color": colour, "marker": marker, "linestyle": "none", "label": label}
    for name, colour, marker, label in (
        ("paper", COLOURS[0], "o", RULES["paper"]),
        ("calibration", COLOURS[2], "D", RULES["calibration"]),
        ("published", COLOURS[1], "X", "published"),
    )
}


def _curve(axes: Axes, model: Measurements, curve: Frame, rules: Frame) -> None:
    axes.plot([0, 100], [0, 100], color="0.88", linewidth=0.7)
    for (who, _), points in curve.groupby(["seed", "test"], sort=False):
        look = LINES[ORACLE] if who == ORACLE else {"color": COLOURS[0]}
        x, y = (points[f"{name}_positive_rate"] for name in ("false", "true"))
        axes.plot(100 * np.append(x, 1.0), 100 * np.append(y, 1.0), **look)
    for name, look in VERDICTS.items():
        axes.plot(*_verdict(rules, name), **look, **UNCLIPPED, zorder=3)
    area = rules.loc[rules["statistic"] == "auc", "value"].mean()
    if np.isfinite(area):
        axes.text(96, 4, f"area {area:.3f}", ha="right", va="bottom", size=7)
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", title=model.title)
    axes.set(xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    axes.set_xlabel("wrong answers believed (%)")


RATES = ("failures_above", "successes_below")


def _verdict(rules: Frame, name: str) -> tuple[pd.Series, pd.Series]:
    """Give what a rule does, in percent: of wrong and of right answers believed."""
    chosen_by, column = ("paper", name) if name == "published" else (name, "value")
    rates = rules[rules["chosen_by"] == chosen_by].set_index("statistic")[column]
    above, below = (rates[rates.index == key] for key in RATES)
    return 100 * (1 - above), 100 * below


def _panels(
    shown: Sequence[Any],
    columns: int,
    draw: Callable[[Axes, Any], None],
    looks: Iterable[Mapping[str, Any]],
    name: str,
) -> Figure:
    """Draw panels row by row, and name their lines below."""
    with rc_context(STYLE):
        figure, grid = draw_panels(shown, columns, (0.4, WIDTH * 0.92 / columns), draw)
        for axes in grid[:, 0]:
            axes.set_ylabel(name)
        if not shown:
            figure.text(0.5, 0.6, "no model to show", ha="center", style="italic")
        figure.legend(
            handles=[Line2D([], [], **look) for look in looks],
            loc="outside lower center",
            ncols=4,
            handlelength=2.4,
            columnspacing=1.4,
        )
    return figure
