"""Contents and reproducibility of the figures of failures."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import PUBLISHED

from mathprobe.paper import failure_figures as draw
from mathprobe.paper import figures

EXAMPLES = 400
QUANTITIES = {
    "eigenvectors": (
        *("eigenvalue_error", "norm_deviation", "row_cosine", "angle"),
        "vectors_condition",
    ),
    "inverse": ("inverse_error", "matrix_condition"),
}
TRAINED_ON = {"eigenvectors": "uniform_wigner", "inverse": "uniform_coefficients"}


def measured(task, n=5, answers="mixed"):
    """Return synthetic quantities of two seeds and the oracle for two tests."""
    rng = np.random.default_rng(1)
    shape = 2, EXAMPLES
    errors = {
        "mixed": rng.uniform(0.0, 0.1, shape),
        "right": np.full(shape, 0.01),
        "wrong": np.full(shape, 3.0),
        "malformed": np.full(shape, np.nan),
    }
    arrays = {}
    for distribution in (TRAINED_ON[task], "other"):
        for name in ("error", *QUANTITIES[task]):
            offset = 1.0 if name.endswith("condition") else 0.0
            values = errors[answers] if name == "error" else rng.uniform(0, 1, shape)
            if answers == "malformed" and not name.startswith("matrix"):
                values = np.full(shape, np.nan)
            arrays[f"{distribution}.{name}"] = offset + values
            arrays[f"{distribution}.oracle_{name}"] = offset + rng.uniform(
                0, 0.04, EXAMPLES
            )
    data = {"task": task, "distribution": TRAINED_ON[task], "n": n}
    return {**arrays, "spec": np.array(json.dumps({"data": data}))}


def models(answers="mixed"):
    return [
        draw.measurements(measured(task, answers=answers), "base")
        for task in TRAINED_ON
    ]


def rules(threshold=1.5):
    """Return rates of verifiers for both models; one threshold is infinite."""
    rows = [
        {
            **{
                "task": task,
                "train": distribution,
                "test": distribution,
                "n": 5,
                "recipe": "base",
            },
            **{"chosen_by": chosen_by, "threshold": bound, "statistic": statistic},
            **{"value": value, "published": published},
        }
        for task, distribution in TRAINED_ON.items()
        for chosen_by, bound, published in (
            ("paper", threshold, 0.75),
            ("calibration", np.inf, None),
            (None, None, None),
        )
        for statistic, value in (
            (("successes_below", 0.9), ("failures_above", 0.8))
            if chosen_by
            else (("auc", 0.95),)
        )
    ]
    return pd.DataFrame(rows).astype({"published": float})


def curves():
    rows = [
        {
            **{
                "task": task,
                "train": distribution,
                "test": distribution,
                "n": 5,
                "recipe": "base",
            },
            **{"seed": who, "threshold": x, "false_positive_rate": x},
            "true_positive_rate": y,
        }
        for task, distribution in TRAINED_ON.items()
        for who in ("1", "2", "oracle")
        for x, y in ((0.0, 0.0), (0.2, 0.9))
    ]
    return pd.DataFrame(rows)


def drawn(kind, answers="mixed"):
    if kind == "properties":
        return draw.properties(models(answers), PUBLISHED["failures"])
    if kind == "conditions":
        return draw.condition_numbers(models(answers), rules())
    few = curves() if answers == "mixed" else curves().iloc[:0]
    return draw.roc(models(answers), few, rules())


KINDS = ("properties", "conditions", "roc")


def lines(axes):
    """Return the lines with points by colour."""
    return {
        line.get_color(): line
        for line in axes.get_lines()
        if len(line.get_xdata()) and line.get_marker() in ("None", None, "")
    }


def saved(folder, kind, answers):
    """Return the PDF and the SVG of a figure."""
    figures.save(drawn(kind, answers), folder / "figure")
    return [(folder / f"figure.{suffix}").read_bytes() for suffix in ("pdf", "svg")]


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_bitwise_reproducible_and_have_embedded_fonts(kind, tmp_path):
    first, second = (saved(tmp_path / name, kind, "mixed") for name in "ab")
    assert first == second
    assert b"/Type3" not in first[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answers", ["right", "wrong", "malformed"])
def test_figures_of_other_answers_have_embedded_fonts(kind, answers, tmp_path):
    pdf, _ = saved(tmp_path, kind, answers)
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_has_the_width_of_the_text(kind):
    assert drawn(kind).get_figwidth() == figures.WIDTH


def test_only_answers_in_distribution_are_used():
    model = draw.measurements(measured("inverse"), "half")
    assert (model.task, model.distribution, model.n) == (
        "inverse",
        "uniform_coefficients",
        5,
    )
    assert model.verifier == "matrix_condition"
    trained = measured("inverse")["uniform_coefficients.error"]
    assert (model.select("error", "all") == trained.ravel()).all()
    assert len(model.select("error", "oracle")) == EXAMPLES
    parted = [model.select("error", group) for group in ("success", "failure")]
    assert (parted[0] < 0.05).all()
    assert (parted[1] >= 0.05).all()
    assert sum(map(len, parted)) == 2 * EXAMPLES


def test_malformed_answers_are_below_no_bound():
    values = np.array([0.1, np.nan, 0.3, np.inf])
    at = np.array([0.1, 0.2, 1e9])
    assert draw.share_below(values, at).tolist() == [0.0, 0.25, 0.5]
    assert np.isnan(draw.share_below(values[:0], at)).all()


def test_each_property_of_each_model_has_a_panel_with_four_lines():
    axes = drawn("properties").axes
    names = [label for label, _, _ in draw.PROPERTIES.values()]
    assert [each.get_xlabel() for each in axes] == names
    for each in axes:
        assert {look["color"] for look in draw.LINES.values()} <= lines(each).keys()


def test_published_shares_belong_to_their_model():
    model = draw.measurements(measured("eigenvectors"), "base")
    printed = draw._own(PUBLISHED["failures"], model)
    found = draw._printed(printed, "norm_deviation", "all")
    assert found[0.005] == pytest.approx(94.644)
    assert found[0.01] == pytest.approx(98.864)  # of the notebook; the text has 98.9
    wrong = draw._printed(printed, "angle", "failure")
    assert wrong.to_dict() == {0.03: pytest.approx(10)}
    assert draw._own(PUBLISHED["failures"], model._replace(n=2)).empty


def test_finite_thresholds_are_drawn():
    axes = drawn("conditions").axes[1]
    upright = [line for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
    assert [line.get_xdata()[0] for line in upright] == [1.5]
    left = drawn("conditions").axes[0].get_lines()
    assert [line.get_xdata()[0] for line in left][1] == pytest.approx(0.5)  # of c - 1


def test_points_outside_are_drawn_on_the_edge():
    model = draw.measurements(measured("inverse"), "base")
    wild = {**model.quantities, "matrix_condition": np.full(2 * EXAMPLES, 1e300)}
    figure = draw.condition_numbers([model._replace(quantities=wild)], rules())
    for dots in figure.axes[0].collections:
        assert (dots.get_offsets()[:, 0] == draw.EDGES[1]).all()


def test_a_roc_curve_ends_at_100_percent():
    axes = drawn("roc").axes[0]
    for line in lines(axes).values():
        assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (100, 100)
    assert "area 0.950" in [text.get_text() for text in axes.texts]


def test_thresholds_lie_at_their_rates():
    verdicts = rules()[rules()["task"] == "inverse"]
    for name, (x, y) in {"paper": (20, 90), "published": (25, 75)}.items():
        false, true = draw._verdict(verdicts, name)
        assert (false.item(), true.item()) == pytest.approx((x, y))
