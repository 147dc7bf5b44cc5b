"""Tables, pivots and notebooks of circuit maps."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from mathprobe import files
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper import (
    arith_macros,
    arith_pivots,
    arith_tables,
    circuit_figures,
    circuits,
)
from mathprobe.paper.formats import plain
from mathprobe.studies import comparisons

POSITIONS = ("position", "token", "questions", "fails", "value", "low", "high")
TOKENS = ["D1", "D0", "op", "D'1", "D'0", "=", "A3", "A2", "A1", "A0"]
PRINTED = [
    {"model": "child", "quantity": quantity, "count": count}
    for quantity, count in (
        *(("useful heads", 7), ("inserted nodes", 48)),
        ("nodes for S", 9),
    )
]
MODELS = [
    {"name": "parent", "operation": "add", "digits": 2, "parent": None},
    {"name": "child", "operation": "mix", "digits": 2, "parent": "parent"},
]


def control(kind, of, nodes, count, total):
    ends = {"value": count / total, "low": 0.0, "high": 1.0}
    return {
        "control": kind,
        "of": of,
        "nodes": nodes,
        "count": count,
        "total": total,
    } | ends


CONTROLS = [
    control("purpose", "head", 2, 1, 2),
    control("keep only, mean", "useful", 3, 90, 100),
    control("keep only, mean", "random", 3, 10, 100),
    control("keep only, mean", "random", 3, 30, 100),
    control("keep only, resample", "useful", 3, 50, 100),
    control("found", "SA", 4, 3, 4),
    control("found", "ST", 4, 1, 4),
    control("random nodes", "SA", 3, 0, 3),
    control("untrained", "SA", 3, 0, 3),
]
CURVE = synthetic.sufficiency("child")
CLAIMS = [
    {"algorithm": "addition", "clause": "SA0", "optional": False, "holds": True},
    {"algorithm": "addition", "clause": "SA1", "optional": False, "holds": False},
    {"algorithm": "addition", "clause": "SC0", "optional": True, "holds": False},
    {"algorithm": "addition", "clause": "SC1", "optional": True, "holds": True},
]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "child"
    facts = folder / "facts"
    head, mlp = Node(8, 0, "head", 0), Node(9, 0, "mlp", 0)
    Facts(
        [
            Fact(head, "fails", "", 0.5, 0.4, 0.6),
            Fact(head, "fails", "S0", 0.5, 0.4, 0.6),
            Fact(head, "SA", "1", 0.99, 0.9, 1.0),
            Fact(mlp, "fails", "", 0.1, 0.0, 0.2),
        ]
    ).save(facts / "nodes.csv")
    Facts([Fact(head, "SA", "1"), Fact(head, "weak ND", "1.A1")]).save(
        facts / "published_rule.csv"
    )
    rows = [
        dict(zip(POSITIONS, (place, token, 9, 0, 0.0, 0.0, 0.1), strict=True))
        for place, token in enumerate(TOKENS)
    ]
    files.write_csv(facts / "positions.csv", rows, POSITIONS)
    columns = arith_tables.MEASURED_COLUMNS
    files.write_csv(facts / "controls.csv", CONTROLS, columns["controls"])
    files.write_csv(
        facts / "claims.csv", [{"positions": ""} | c for c in CLAIMS], columns["claims"]
    )
    rows = [{key: row[key] for key in columns["sufficiency"]} for row in CURVE]
    files.write_csv(facts / "sufficiency.csv", rows, columns["sufficiency"])
    files.save_arrays(facts / "panels.npz", {"case": np.zeros(3)})
    reuse = [{"quantity": "inserted nodes", "count": 5, "total": 5}]
    files.write_csv(folder / "reuse.csv", reuse, ("quantity", "count", "total"))
    return folder


@pytest.fixture
def tables(model):
    published = {"arith_circuits": pd.DataFrame(PRINTED)}
    return {
        f"arith_{kind}": arith_tables.build(kind, MODELS, [model], published)
        for kind in synthetic.CIRCUITS
    }


def test_a_circuit_is_read_with_name_and_digits(model):
    circuit = circuits.Circuit.read(model / "facts/nodes.csv")
    assert (circuit.name, circuit.digits) == ("child", 2)
    assert len(circuit.facts.nodes) == 2
    assert circuit.map("purpose").axes


def test_a_page_prints_its_models_and_saves_its_figures(model, tmp_path, capsys):
    nodes = [str(model / "facts/nodes.csv")]
    page = circuits.Page.read(nodes, str(tmp_path), "addition")
    assert capsys.readouterr().out == "child: 2 digits, 1 heads and 1 MLPs matter\n"
    page.figure("purpose")
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "addition_purpose.pdf",
        "addition_purpose.svg",
    }
    output = capsys.readouterr().out
    assert output.count("Markdown") == output.count("SVG") == 1


def test_a_page_without_models_has_empty_figures(tmp_path):
    page = circuits.Page.read([], str(tmp_path), "mixed")
    for name in ("coverage", "purpose"):
        page.figure(name)
    saved = {path.name for path in tmp_path.glob("*.svg")}
    assert saved == {"mixed_coverage.svg", "mixed_purpose.svg"}


def test_random_sets_are_averaged(model):
    circuit = circuits.Circuit.read(model / "facts/nodes.csv")
    table = arith_pivots.sufficiency(circuit.controls)
    assert table.loc["random", "mean"] == pytest.approx(0.2)
    assert table.loc["useful", "resample"] == 0.5
    assert pd.isna(table.loc["random", "resample"])
    assert table.loc["useful", "nodes"] == 3


def test_found_rates_are_beside_those_of_chance(model):
    circuit = circuits.Circuit.read(model / "facts/nodes.csv")
    table = arith_pivots.chance(circuit.controls)
    counts = table[["count", "total"]].T.to_dict("list")
    assert counts == {
        ("SA", "found"): [3, 4],
        ("ST", "found"): [1, 4],
        ("SA", "random nodes"): [0, 3],
        ("SA", "untrained"): [0, 3],
        ("all", "found"): [4, 8],
        ("all", "random nodes"): [0, 3],
        ("all", "untrained"): [0, 3],
    }
    assert table.loc["all", "found"][["low", "high"]].tolist() == pytest.approx(
        [0.157, 0.843], abs=1e-3
    )


def test_sub_tasks_are_counted_by_two_rules(model, tables):
    found = arith_pivots.subtasks(tables, {})
    counts = {
        task: (row["count"], row["published_rule"])
        for task, row in found["child"].items()
    }
    assert counts == {"SA": (1, 1), "ND": (0, 1)}
    heads = tables["arith_circuits"].set_index("quantity").loc["heads with a purpose"]
    assert (heads["count"], heads["published_rule"]) == (1, 1)


def test_sub_tasks_and_chance_are_displayed(model, capsys):
    circuit = circuits.Circuit.read(model / "facts/nodes.csv")
    circuit.show_subtasks()
    circuit.show_chance()


def test_optional_clauses_count_only_if_they_hold(model):
    circuit = circuits.Circuit.read(model / "facts/nodes.csv")
    counts = comparisons.count_clauses(circuit.claims, "algorithm")
    assert counts.loc["addition"].tolist() == [2, 3]


def test_printed_counts_are_beside_ours(tables):
    counts = tables["arith_circuits"].set_index("quantity")["published"]
    assert (counts["useful heads"], counts["nodes for S"]) == (7, 9)
    assert pd.isna(counts["useful mlps"])
    (reused,) = tables["arith_reuse"].to_dict("records")
    assert (reused["model"], reused["published"]) == ("child", 48)
    assert (reused["family"], reused["digits"]) == ("inserted", 2)


def test_maps_contain_every_model_even_without_a_map(tables):
    maps = arith_pivots.maps(tables, {"arith": {"models": MODELS}})
    assert list(maps.index) == ["parent", "child"]
    assert maps.loc["parent"].isna().all()
    child = maps.loc["child"].to_dict()
    assert {key: value for key, value in child.items() if pd.notna(value)} == {
        **{"heads": 1, "mlps": 1, "heads/published": 7},
        **{"heads/purpose": 1.0, "mlps/purpose": 0.0, "hold": 2, "clauses": 3},
        **{"right/mean/useful": 0.9, "right/mean/random": 0.2},
        **{"right/resample/useful": 0.5, "heads/rule": 1.0},
        **{"classes/1": 0.5, "classes/2": 0.0, "classes/3": 0.0},
    }
    shares = arith_pivots.shares(tables["arith_circuits"])
    assert shares.loc["child", "nodes for S"] == 0.5


def test_the_numbers_of_a_curve_are_printed():
    """Of 20 nodes, 6 reach 0.88, which is more than 95 % of 0.9."""
    assert arith_macros._curve(pd.DataFrame(CURVE)) == {
        **{"published/mean": "10", "published/resample": "10"},
        **{"most/mean": "50", "most/resample": "50"},
        **{"added": "6", "rest": "20"},
    }


def test_a_model_without_a_curve_prints_dashes():
    empty = pd.DataFrame(CURVE[:0], columns=CURVE[0])
    assert set(arith_macros._curve(empty).values()) == {plain(None)}


def test_a_figure_of_sufficiency_has_a_line_per_order_and_an_axis_per_ablation():
    figure = circuit_figures.sufficiency(pd.DataFrame(CURVE))
    mean, resample = figure.axes
    for axes in (mean, resample):
        lines = {c.get_label(): c.lines[0] for c in axes.containers}
        assert list(lines) == list(circuit_figures.ORDERS.values())
        drawn = lines[circuit_figures.ORDERS["greedy"]].get_xydata()
        assert drawn.tolist() == [[30, 20], [36, 88], [50, 90]]
