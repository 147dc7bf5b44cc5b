"""Figures of failures: properties of answers, and verifiers by condition number.

S: seeds, B: test examples.  A panel shows one model.
"""

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
from mathprobe.linalg.scores import ORACLE, is_below
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.paper import figures
from mathprobe.paper.figures import COLOURS, STYLE, UNCLIPPED, WIDTH, ArtistProps
from mathprobe.paper.tables import MODEL_KEYS, TOLERANCE, Frame

LINES: dict[str, ArtistProps] = {  # groups of answers, and the oracle's answers
    "success": {"color": COLOURS[0], "label": "right answers"},
    "failure": {"color": COLOURS[1], "label": "wrong answers", "linestyle": "--"},
    "all": {"color": "black", "label": "all answers", "linewidth": 0.7},
    ORACLE: {"color": "0.55", "label": "oracle", "linestyle": ":"},
}
THRESHOLDS: dict[str, ArtistProps] = {  # by who chose them
    "paper": {"linestyle": "-", "label": "published threshold"},
    "calibration": {"linestyle": "--", "label": "calibrated threshold"},
}
VERDICTS: dict[str, ArtistProps] = {  # points on a ROC curve
    "paper": {"color": COLOURS[0], "marker": "o", "label": "published threshold"},
    "calibration": {
        "color": COLOURS[2],
        "marker": "D",
        "label": "calibrated threshold",
    },
    "published": {"color": COLOURS[1], "marker": "X", "label": "published"},
}
PROPERTIES = {  # label of the axis, the paper's bound, the smallest n with content:
    # at n = 2, two eigenvectors have one angle, which is right in nearly all answers
    "eigenvalue_error": ("error of the eigenvalues", 0.01, 1),
    "norm_deviation": ("largest $|$norm $-$ 1$|$", 0.01, 1),
    "angle": (r"largest $|$angle $-\,\pi/2|$", 0.03, 3),
    "inverse_error": ("distance to the inverse", 0.05, 1),
}
BOUNDS = np.geomspace(1e-4, 2.0, 241)  # of properties
CONDITIONS = {  # label of a verifier's logarithmic axis, and its origin
    "vectors_condition": (r"$c(\hat H)-1$", 1.0),
    "matrix_condition": ("$c(M)$", 0.0),
}
EDGES = 1e-4, 1e6  # points outside are drawn on the edge


class Measurements(NamedTuple):
    """Quantities of a model's answers in distribution, by name."""

    task: str
    distribution: str
    n: int
    recipe: str
    quantities: Mapping[str, np.ndarray]  # [S * B] each
    oracle: Mapping[str, np.ndarray]  # of the oracle's answers, [B] each

    @property
    def name(self) -> str:
        """Return the task, size and recipe as text."""
        return f"{self.task.replace('_', ' ')}, n={self.n}, {self.recipe}"

    @property
    def title(self) -> str:
        """Return the name in Matplotlib's markup."""
        return self.name.replace(f"n={self.n}", f"$n={self.n}$")

    @property
    def verifier(self) -> str:
        """Return the name of the quantity that predicts failures."""
        return next(name for name in VERIFIERS if name in self.quantities)

    def select(self, name: str, group: str) -> np.ndarray:
        """Return a quantity of one group of answers, a key of LINES."""
        if group == ORACLE:
            return self.oracle[name]
        right = is_below(self.quantities["error"], TOLERANCE)
        chosen = {"all": np.ones_like(right), "success": right, "failure": ~right}
        return self.quantities[name][chosen[group]]


def measurements(arrays: Mapping[str, np.ndarray], recipe: str) -> Measurements:
    """Return the quantities of the answers in distribution from arrays of a model.

    `arrays` has the specification as `spec`, and quantities [S, B] as
    `distribution.quantity`, those of the oracle [B] as `distribution.oracle_quantity`.
    """
    data = json.loads(str(arrays["spec"]))["data"]
    quantities: dict[str, list[np.ndarray]] = {}
    for name, values in arrays.items():
        test, _, quantity = name.rpartition(".")
        if test in components(data["distribution"]):
            quantities.setdefault(quantity, []).append(values.ravel())
    joined = {name: np.concatenate(values) for name, values in quantities.items()}
    prefix = f"{ORACLE}_"
    oracle = {k.removeprefix(prefix): v for k, v in joined.items() if prefix in k}
    ours = {name: joined[name] for name in oracle}
    spec = data["task"], data["distribution"], data["n"]
    return Measurements(*spec, recipe, ours, oracle)


def share_below(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the share of values below each bound; NaN counts as not below."""
    counts = np.searchsorted(np.sort(values), bounds)  # NaN sorts last
    return counts / len(values) if len(values) else np.full(len(bounds), np.nan)


def properties(models: Sequence[Measurements], published: Frame) -> Figure:
    """Draw the shares of answers whose deviation from a property is below a bound.

    Lines are groups of answers; dots are published numbers of the same model.
    """

    def draw(axes: Axes, panel: tuple[Measurements, str]) -> None:
        model, name = panel
        own, (label, bound, _) = _own(published, model), PROPERTIES[name]
        axes.axvline(bound, color="0.35", linewidth=0.7, linestyle=":")
        for group, props in LINES.items():
            shares = 100 * share_below(model.select(name, group), BOUNDS)
            axes.plot(BOUNDS, shares, **props)
            printed = _printed(own, name, group)
            axes.plot(printed.index, printed, "o", color=props["color"], **UNCLIPPED)
        axes.set(xscale="log", xlabel=label, title=model.title)
        axes.set(xlim=(BOUNDS[0], BOUNDS[-1]), ylim=(0, 100), yticks=range(0, 101, 25))
        axes.grid(axis="y")

    panels = [
        (model, name)
        for model in models
        for name, (_, _, least) in PROPERTIES.items()
        if name in model.quantities and model.n >= least
    ]
    return _draw_panels(panels, draw, LINES.values(), "share below (%)")


def _printed(published: Frame, name: str, group: str) -> pd.Series:
    """Return published percentages by bound; the notebook has more digits."""
    cell = pd.Series({"quantity": name, "group": group, "statistic": "below"})
    rows = published[(published[[*cell.index]] == cell).all(axis=1)]
    shares = rows["notebook"].fillna(rows["published"])
    return 100 * shares.set_axis(rows["at"])


def _own(table: Frame, model: Measurements) -> Frame:
    """Return the rows of a model."""
    name = model.task, model.n, model.distribution, model.recipe
    same = table[[*MODEL_KEYS]] == pd.Series(name, MODEL_KEYS, object)
    return table[same.all(axis=1)]


def condition_numbers(models: Sequence[Measurements], rules: Frame) -> Figure:
    """Draw error against condition number, with the thresholds of verifiers."""

    def draw(axes: Axes, model: Measurements) -> None:
        name, own = model.verifier, _own(rules, model)
        label, origin = CONDITIONS[name]
        for group in ("failure", "success"):
            points = model.select(name, group) - origin, model.select("error", group)
            x, y = (np.clip(values, *EDGES) for values in points)
            colour = LINES[group]["color"]
            axes.scatter(x, y, 1.5, colour, linewidths=0, alpha=0.4, rasterized=True)
        axes.axhline(TOLERANCE, color="0.35", linewidth=0.7, linestyle=":")
        for chosen_by, props in THRESHOLDS.items():
            bounds = own.loc[own["chosen_by"] == chosen_by, "threshold"]
            for bound in bounds[np.isfinite(bounds)].unique():
                axes.axvline(bound - origin, **line | props)
        axes.set(xscale="log", yscale="log", xlabel=label, title=model.title)

    line: ArtistProps = {"color": "black", "lw": 0.8}
    dot = {"marker": "o", "linestyle": "none"}
    handles = [LINES["success"] | dot, LINES["failure"] | dot]
    handles += [line | props for props in THRESHOLDS.values()]
    return _draw_panels(models, draw, handles, "relative error")


def roc(models: Sequence[Measurements], curves: Frame, rules: Frame) -> Figure:
    """Draw ROC curves of verifiers, with the rates at the thresholds."""

    def draw(axes: Axes, model: Measurements) -> None:
        curve, own = _own(curves, model), _own(rules, model)
        axes.plot([0, 100], [0, 100], color="0.88", linewidth=0.7)
        for (seed, _), points in curve.groupby(["seed", "test"], sort=False):
            props = LINES[ORACLE] if seed == ORACLE else {"color": COLOURS[0]}
            x, y = (points[f"{name}_positive_rate"] for name in ("false", "true"))
            axes.plot(100 * np.append(x, 1.0), 100 * np.append(y, 1.0), **props)
        for name, props in VERDICTS.items():
            axes.plot(*_verdict(own, name), **point | props, **UNCLIPPED, zorder=3)
        area = own.loc[own["statistic"] == "auc", "value"].mean()
        if np.isfinite(area):
            axes.text(96, 4, f"area {area:.3f}", ha="right", va="bottom", size=7)
        axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", title=model.title)
        axes.set(xticks=range(0, 101, 25), yticks=range(0, 101, 25))
        axes.set_xlabel("wrong answers accepted (%)")

    point = {"linestyle": "none"}
    handles = [{"color": COLOURS[0], "label": "ours"}, LINES[ORACLE]]
    handles += [point | props for props in VERDICTS.values()]
    return _draw_panels(models, draw, handles, "right answers accepted (%)")


def _verdict(rules: Frame, name: str) -> tuple[pd.Series, pd.Series]:
    """Return the percentages of wrong and of right answers that a rule believes."""
    chosen_by, column = ("paper", name) if name == "published" else (name, "value")
    rates = rules[rules["chosen_by"] == chosen_by].set_index("statistic")[column]
    keys = ("failures_above", "successes_below")
    above, below = (rates[rates.index == key] for key in keys)
    return 100 * (1 - above), 100 * below


@rc_context(STYLE)
def _draw_panels(
    items: Sequence[Any],
    draw: Callable[[Axes, Any], None],
    handles: Iterable[ArtistProps],
    ylabel: str,
) -> Figure:
    """Draw a panel per item, row by row, with a legend below."""
    columns = 2 if len(items) in (1, 2, 4) else 3
    height = 0.4, WIDTH * 0.92 / columns
    figure, _ = figures.draw_panels(items, columns, height, draw, ylabel)
    if not items:
        figure.text(0.5, 0.6, "no model to show", ha="center", style="italic")
    lines = [Line2D([], [], **props) for props in handles]
    style = {"ncols": 4, "handlelength": 2.4, "columnspacing": 1.4}
    figure.legend(handles=lines, loc="outside lower center", **style)
    return figure
