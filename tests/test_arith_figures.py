"""Figures and notebook of the second study, for complete and empty runs."""

import pandas as pd
import pytest
from synthetic import CATALOG, PROJECT, circuits, decoders

from mathprobe import files
from mathprobe.paper import (
    arith_figures,
    arith_tables,
    circuit_figures,
    figures,
    notebooks,
)


def curves(scale):
    """Return two points per operation of every model's curve."""
    point = {"seed": 1, "test": "addition", "accuracy": 0.5, "malformed": 0.0}
    points = [{**point, "examples": k, "loss": 10.0**-k} for k in (1, 1, 2, 2)]
    models = CATALOG.arith(scale).facts()["models"]
    rows = [{**point, "model": one["name"]} for one in models for point in points]
    return arith_tables.add_model_columns("curves", models, pd.DataFrame(rows)).to_dict(
        "records"
    )


def table(rows, kind):
    return pd.DataFrame(rows, columns=arith_tables.COLUMNS[kind])


def test_every_model_has_a_line_in_the_panel_of_its_family():
    drawn = arith_figures.losses(table(curves("paper"), "curves"))
    counts = {axes.get_title(): len(axes.lines) for axes in drawn.axes}
    names = arith_figures.TITLES
    assert counts == {
        names["addition"]: 17,
        names["subtraction"]: 3,
        names["mixed"]: 9,
        names["inserted"]: 15,
    }
    assert all(len(line.get_xdata()) == 2 for axes in drawn.axes for line in axes.lines)


def test_measured_and_published_rates_are_drawn_at_their_digits():
    rows = decoders("paper")
    drawn = arith_figures.transfer(table(rows, "accuracy"))
    panel = next(axes for axes in drawn.axes if axes.get_title() == "subtractions")
    printed = {line.get_label(): line for line in panel.lines}
    line = printed[f"{arith_figures.TITLES['mixed']}: published"]
    expected = {
        (row["digits"], row["published"])
        for row in rows
        if row["family"] == "mixed"
        and (row["operation"], row["class"]) == ("subtraction", "all")
    }
    found = zip(line.get_xdata(), line.get_ydata(), strict=True)
    assert {(round(x), y) for x, y in found} == expected


def test_every_model_has_a_bar_for_each_known_share():
    rows = circuits("paper")["arith_circuits"]
    drawn = circuit_figures.node_shares(pd.DataFrame(rows))
    names = list(dict.fromkeys(row["model"] for row in rows))
    shares = dict(zip(circuit_figures.SHARES, drawn.axes, strict=True))
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == names
    bars = {quantity: axes.patches for quantity, axes in shares.items()}
    assert {len(found) for found in bars.values()} == {len(names)}
    for row in rows:
        if row["quantity"] in bars:
            bar = bars[row["quantity"]][names.index(row["model"])]
            assert bar.get_width() == pytest.approx(100 * row["count"] / row["total"])


@pytest.mark.parametrize("scale", ["paper", "demo"])
def test_figures_are_bitwise_reproducible(scale, tmp_path):
    for place in ("one", "other"):
        for name, kind, rows in (
            ("losses", "curves", curves(scale)),
            ("transfer", "accuracy", decoders(scale)),
        ):
            drawn = getattr(arith_figures, name)(table(rows, kind))
            figures.save(drawn, tmp_path / place / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


@pytest.mark.parametrize("there", [True, False])
def test_the_notebook_runs_on_complete_and_empty_tables(there, tmp_path):
    rows = {"accuracy": decoders("demo"), "curves": curves("demo")}
    rows["circuits"] = circuits("demo")["arith_circuits"]
    given = {"figures": str(tmp_path), "facts": str(tmp_path / "facts.json")}
    files.write_json(given["facts"], CATALOG.facts("demo"))
    for kind, own in rows.items():
        given[kind] = str(tmp_path / f"arith_{kind}.csv")
        files.write_csv(given[kind], own if there else [], arith_tables.COLUMNS[kind])
    source = PROJECT / "paper/notebooks/decoders.py"
    template = PROJECT / "paper/templates/notebook.html.j2"
    page = notebooks.execute(source, template, given, tmp_path / "failed.ipynb").html
    assert f"models trained and tested: {4 if there else 0}" in page
    assert ("inserted</td>" in page) == there
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {"arith_losses.svg", "arith_maps.svg", "arith_transfer.svg"}
