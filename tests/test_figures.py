"""Contents and reproducibility of figures."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from synthetic import DISTRIBUTIONS, LABELS, PUBLISHED

from mathprobe.paper import figures, pivots
from mathprobe.paper.naming import GROUPS, group
from mathprobe.paper.pivots import Pivot

TESTS = ("semicircle", "abs_semicircle")


@pytest.fixture
def ood() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        (train, test, rng.uniform())
        for train, test in product(DISTRIBUTIONS, DISTRIBUTIONS)
    ]
    table = pd.DataFrame(rows, columns=["train", "test", "accuracy"])
    return table.assign(oracle=0.875, recipe="base")


def pivot_of(table: pd.DataFrame, task: str = "eigenvalues", n: int = 5) -> Pivot:
    (pivot,) = pivots.make_pivots("ood", table.assign(task=task, n=n), PUBLISHED)
    return pivot


def points(examples: list[int], tests: tuple[str, ...] = TESTS) -> pd.DataFrame:
    rows = [
        (train, test, count, 0.1 + 0.8 * k / len(examples))
        for (train, test), (k, count) in product(
            product(DISTRIBUTIONS, tests), enumerate(examples)
        )
    ]
    table = pd.DataFrame(rows, columns=["train", "test", "examples", "accuracy"])
    return table.assign(recipe="base", task="eigenvalues", n=5)


def drawn_curves(table: pd.DataFrame, target: float | None = None) -> Any:
    (pivot,) = pivots.make_pivots("curves", table, PUBLISHED)
    return figures.learning_curves(pivot, LABELS, target)


def titles(figure: Any) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def content(figure: Any, stem: Path) -> list[bytes]:
    figures.save(figure, stem)
    return [stem.with_suffix(suffix).read_bytes() for suffix in (".pdf", ".svg")]


def drawn(kind: str, ood: pd.DataFrame) -> Any:
    if kind == "heatmaps":
        return figures.heatmaps(pivot_of(ood), LABELS)
    return drawn_curves(points([100, 200, 400]), 0.8)


@pytest.mark.parametrize("kind", ["heatmaps", "learning_curves"])
def test_a_figure_is_bitwise_reproducible(kind, ood, tmp_path):
    first, second = (
        content(drawn(kind, ood), tmp_path / name / "figure")
        for name in ("first", "second")
    )
    assert first == second


def test_files_have_no_date_and_searchable_text(ood, tmp_path):
    pdf, svg = content(drawn("heatmaps", ood), tmp_path / "figure")
    assert b"CreationDate" not in pdf
    assert b"<dc:date>" not in svg
    assert b"/Type3" not in pdf
    assert {path.name for path in tmp_path.iterdir()} == {"figure.pdf", "figure.svg"}


def test_a_figure_has_the_width_of_the_text(ood):
    assert drawn("heatmaps", ood).get_figwidth() == pytest.approx(5.5)
    assert drawn("learning_curves", ood).get_figwidth() == 5.5


def test_drawing_does_not_change_rcparams(tmp_path):
    before = dict(matplotlib.rcParams)
    content(drawn_curves(points([1, 2])), tmp_path / "figure")
    assert dict(matplotlib.rcParams) == before


def test_published_numbers_and_the_difference_have_panels(ood):
    figure = figures.heatmaps(pivot_of(ood), LABELS)
    assert titles(figure) == [
        "measured, $n=5$",
        "published, $n=5$",
        "measured $-$ published",
    ]
    printed = PUBLISHED["accuracy"]
    table1 = printed[printed["table"] == 1]
    assert texts(figure.axes[1]).count("100") == (table1["percent"] == 100).sum()


def test_the_panel_of_another_published_size_is_labelled(ood):
    figure = figures.heatmaps(pivot_of(ood, n=2), LABELS)
    assert titles(figure) == [
        "measured, $n=2$",
        "published for $n=5$, none for $n=2$",
    ]


def test_an_unpublished_task_has_one_panel(ood):
    figure = figures.heatmaps(pivot_of(ood, "transpose"), LABELS)
    assert titles(figure) == ["measured, $n=5$"]


def test_the_matrices_of_a_trend_have_the_same_rows_and_columns(ood):
    small = pivot_of(ood[ood["train"] != "laplace"], n=2)
    figure = figures.trend([small, pivot_of(ood)], LABELS)
    assert titles(figure) == ["$n=2$", "$n=5$", "published, $n=5$"]
    first, second, published, *_ = (axes.get_ylim() for axes in figure.axes)
    assert first == second == published
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [*(LABELS[name] for name in DISTRIBUTIONS), figures.ORACLE_LABEL]


def test_a_partly_published_table_has_empty_cells(ood):
    figure = figures.heatmaps(pivot_of(ood, n=10), LABELS)
    numbers = [text for text in texts(figure.axes[1]) if text not in GROUPS]
    assert len(numbers) == 14


def test_the_oracle_has_its_own_row(ood):
    axes = figures.heatmaps(pivot_of(ood), LABELS).axes[0]
    assert axes.get_yticklabels()[-1].get_text() == figures.ORACLE_LABEL
    assert texts(axes).count("88") >= len(DISTRIBUTIONS)


def test_missing_cells_are_drawn_empty(ood, tmp_path):
    ood.loc[ood["train"] == "laplace", ["accuracy", "oracle"]] = np.nan
    few = ood[ood["test"].isin(["semicircle", "abs_laplace"])]
    content(figures.heatmaps(pivot_of(few), LABELS), tmp_path / "figure")


def test_curves_without_a_measured_point_have_axes_and_no_lines():
    curves = points([100])
    curves["examples"] = pd.array([pd.NA] * len(curves), "Int64")
    curves[["accuracy", "loss"]] = np.nan
    figure = drawn_curves(curves)
    assert {line.get_xdata().size for line in figure.axes[0].get_lines()} <= {0}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_distribution_has_a_label_and_a_group(distribution):
    assert distribution in LABELS
    assert group(distribution) in GROUPS[:2]


def test_a_panel_for_each_test_distribution_and_a_line_for_each_training_distribution():
    figure = drawn_curves(points([100, 200]))
    assert titles(figure) == ["tested on Semi-circle", "tested on abs-sc"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [len(DISTRIBUTIONS)] * 2


def test_lines_differ_in_colour_and_in_marker():
    lines = drawn_curves(points([1, 2])).axes[0].get_lines()
    assert len({line.get_color() for line in lines}) == len(DISTRIBUTIONS)
    assert len({line.get_marker() for line in lines}) == len(DISTRIBUTIONS)


def test_a_distribution_keeps_its_colour_when_others_are_missing():
    table = points([100, 200])
    few = table[table["train"].isin(["laplace", "abs_laplace"])]
    full, part = map(drawn_curves, (table, few))
    colours = {x.get_label(): x.get_color() for x in full.axes[0].get_lines()}
    for line in part.axes[0].get_lines():
        assert line.get_color() == colours[line.get_label()]


@pytest.mark.parametrize(
    ("last", "unit"), [(36_000_000, "millions"), (400_000, "thousands"), (640, "")]
)
def test_the_axis_counts_in_a_fitting_unit(last, unit):
    figure = drawn_curves(points([last // 2, last]))
    name = f"training examples ({unit})" if unit else "training examples"
    assert figure.axes[0].get_xlabel() == name


@pytest.mark.parametrize("tests", [TESTS[:1], tuple(DISTRIBUTIONS)])
def test_any_number_of_points_and_panels_can_be_drawn(tests, tmp_path):
    table = points([300_000], tests)
    table.loc[table["train"] == "laplace", "accuracy"] = np.nan
    figure = drawn_curves(table, 0.99)
    assert len(figure.axes) == len(tests)
    content(figure, tmp_path / "figure")


def test_figures_and_notebooks_do_not_import_torch():
    code = "import sys; from mathprobe.paper import figures, notebooks\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
