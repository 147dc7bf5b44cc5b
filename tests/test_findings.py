"""What maps of circuits say, gathered for tables and notebooks."""

import numpy as np
import pandas as pd
import pytest

from mathprobe import files
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper import circuit_notebooks, circuit_views, circuits, finding_tables
from mathprobe.paper.tables import read, records

POSITIONS = ("position", "token", "questions", "fails", "value", "low", "high")
TOKENS = ["D1", "D0", "op", "D'1", "D'0", "=", "A3", "A2", "A1", "A0"]
PUBLISHED = {
    "accuracy": {"child": {"heads": 7, "mlps": None}},
    "found": {"child": {"inserted nodes": 48, "nodes for S": 9}},
}


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
            Fact(head, "fails", None, 0.5, 0.4, 0.6),
            Fact(head, "fails S0", None, 0.5, 0.4, 0.6),
            Fact(head, "SA", 1, 0.99, 0.9, 1.0),
            Fact(mlp, "fails", None, 0.1, 0.0, 0.2),
        ]
    ).save(facts / "nodes.csv")
    rows = [
        dict(zip(POSITIONS, (place, token, 9, 0, 0.0, 0.0, 0.1), strict=True))
        for place, token in enumerate(TOKENS)
    ]
    files.write_csv(facts / "positions.csv", rows, POSITIONS)
    files.write_csv(facts / "controls.csv", CONTROLS, finding_tables.CONTROLS)
    columns = finding_tables.COLUMNS["claims"][1:]
    files.write_csv(
        facts / "claims.csv", [{"positions": ""} | c for c in CLAIMS], columns
    )
    files.save_arrays(facts / "panels.npz", {"case": np.zeros(3)})
    reuse = [{"quantity": "inserted nodes", "count": 5, "total": 5}]
    files.write_csv(folder / "reuse.csv", reuse, ("quantity", "count", "total"))
    return folder


@pytest.fixture
def tables(model, tmp_path):
    made = {}
    for kind, columns in finding_tables.COLUMNS.items():
        path = tmp_path / f"arith_{kind}.csv"
        files.write_csv(path, finding_tables.rows(kind, [model], PUBLISHED), columns)
        made[path.stem] = records(read(path))
    return made


def test_a_map_is_read_with_its_name_and_digits(model):
    told = circuits.read(model / "facts/nodes.csv")
    assert (told.name, told.digits) == ("child", 2)
    assert len(told.facts.nodes) == 2
    assert told.map("purpose").axes


def test_a_page_says_what_it_read_and_keeps_the_figures_that_it_shows(
    model, tmp_path, capsys
):
    page = circuit_notebooks.read(
        str(model / "facts/nodes.csv"), str(tmp_path), "addition"
    )
    assert capsys.readouterr().out == "child: 2 digits, 1 heads and 1 MLPs matter\n"
    page.blank("impact")
    assert not list(tmp_path.glob("*.svg"))
    page.figure(page.models[0], "purpose")
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "addition_purpose.pdf",
        "addition_purpose.svg",
    }
    said = capsys.readouterr().out
    assert said.count("Markdown") == said.count("SVG") == 1


def test_a_page_without_models_has_empty_figures(tmp_path):
    circuit_notebooks.read("", str(tmp_path), "mixed").blank("coverage", "purpose")
    made = {path.name for path in tmp_path.glob("*.svg")}
    assert made == {"mixed_coverage.svg", "mixed_purpose.svg"}


def test_random_sets_count_together(model):
    told = circuits.read(model / "facts/nodes.csv")
    table = circuits.sufficiency(told.controls)
    assert table.loc["random", "mean"] == pytest.approx(0.2)
    assert table.loc["useful", "resample"] == 0.5
    assert pd.isna(table.loc["random", "resample"])
    assert table.loc["useful", "nodes"] == 3


def test_what_is_found_stands_beside_what_chance_finds(model):
    told = circuits.read(model / "facts/nodes.csv")
    table = circuits.chance(told.controls)
    assert list(table.columns) == [*circuits.CHANCE.values(), "found"]
    assert table.loc["SA"].tolist() == [0.75, 0.0, 0.0, 3]
    assert table.loc["ST", "found"] == 1


def test_optional_clauses_count_only_where_they_hold(model):
    told = circuits.read(model / "facts/nodes.csv")
    assert circuits.held(told.claims).loc["addition"].tolist() == [2, 3]


def test_printed_counts_stand_beside_ours(tables):
    beside = {row["quantity"]: row["published"] for row in tables["arith_circuits"]}
    assert (beside["useful heads"], beside["useful mlps"]) == (7, None)
    assert beside["nodes for S"] == 9
    (reused,) = tables["arith_reuse"]
    assert (reused["model"], reused["published"]) == ("child", 48)


def test_a_view_has_every_model_also_those_without_a_map(tables):
    facts = {"arith": {"models": [{"name": "parent"}, {"name": "child"}]}}
    parent, child = circuit_views.maps(tables, facts)
    assert not parent["mapped"]
    assert (
        parent["head"]
        is parent["purposes"]["head"]
        is parent["chance"]["found"]
        is None
    )
    assert (child["head"], child["mlp"]) == (1, 1)
    assert child["purposes"] == {"head": 1.0, "mlp": 0.0}
    assert child["serve"]["S"] == 0.5
    assert (child["hold"], child["clauses"]) == (2, 3)
    assert child["kept"]["mean"] == {"useful": 0.9, "purpose": None, "random": 0.2}
    assert child["chance"] == {"found": 0.5, "random": 0.0, "untrained": 0.0}
    assert child["published"] == {"head": 7, "mlp": None}
