"""Published numbers are complete; errata agree with settings, evidence and docs."""

from pathlib import Path

import pytest
from synthetic import (
    CATALOG,
    DISTRIBUTIONS,
    ERRATA,
    LABELS,
    PUBLISHED,
    facts,
    synthetic_tables,
)

from mathprobe.catalog import REFERENCE
from mathprobe.paper import formats, latex
from mathprobe.paper.macros import all_macros
from mathprobe.studies import arith_evidence
from mathprobe.studies.evidence import EVIDENCE

FIRST = {**ERRATA["contradictions"], **ERRATA["omissions"]}
SECOND = {**ERRATA["arith_contradictions"], **ERRATA["arith_omissions"]}
POINTS = {**FIRST, **SECOND}
TABLES = {  # of the paper: file, task, sizes, rows, columns
    1: ("accuracy", "eigenvalues", [5], 7, 7),
    2: ("accuracy", "eigenvalues", [8, 10], 7, 7),
    3: ("accuracy", "eigenvectors", [5], 7, 7),
    4: ("condition_numbers", "symmetric_inverse", [5], 7, 3),
    5: ("accuracy", "symmetric_inverse", [5], 7, 7),
    6: ("learning_speed", "eigenvalues", [5], 7, 2),
    7: ("learning_speed", "eigenvectors", [5], 4, 1),
}


@pytest.mark.parametrize("number", TABLES)
def test_every_published_table_is_complete(number):
    kind, task, sizes, height, width = TABLES[number]
    rows = PUBLISHED[kind][PUBLISHED[kind]["table"] == number]
    assert list(rows["n"].unique()) == sizes
    assert set(rows["task"]) == {task}
    down, across = ("distribution", "quantile") if number == 4 else ("train", "test")
    assert set(rows[down]) <= set(DISTRIBUTIONS)
    first = rows[rows["n"] == sizes[0]]
    assert not first.duplicated([down, across]).any()
    assert (first[down].nunique(), first[across].nunique()) == (height, width)
    assert len(first) == height * width


def test_the_lower_part_of_table_2_is_complete():
    lower = PUBLISHED["accuracy"]
    lower = lower[lower["n"] == 10]
    assert set(lower["train"]) == {"gaussian", "laplace"}
    assert len(lower) == 14


@pytest.mark.parametrize(
    ("kind", "printed"),
    [("out_of_distribution", "accuracy"), ("learning_speed", "learning_speed")],
)
def test_exactly_the_published_tables_are_reproduced(kind, printed):
    entries = CATALOG.linalg(REFERENCE).entries[kind]
    made = {(entry.task, entry.n) for entry in entries}
    rows = PUBLISHED[printed][["task", "n"]].itertuples(index=False, name=None)
    assert made == set(rows)


def test_every_published_accuracy_is_compared_with_the_oracle():
    tables = synthetic_tables("smoke")
    template = Path("paper/templates/oracle_accuracy.tex.j2")
    text = latex.render(template, tables, facts("smoke"))
    for (task, n), square in PUBLISHED["accuracy"].groupby(["task", "n"]):
        block = text.split(f"{task.replace('_', ' ')}, $n={n}$")[1]
        block = block.split("oracle}")[0]
        for distribution, row in square.groupby("train"):
            line = block.split(LABELS[distribution] + "}\n")[1].split("\\\\")[0]
            shown = [cell.split("}")[0].split("{")[-1] for cell in line.split("&")]
            assert shown[1:] == [str(value) for value in row["percent"]]


def test_every_point_has_the_required_fields():
    known = {"title", "text", "code", "here", "setting", "macro"}
    omissions = ERRATA["omissions"] | ERRATA["arith_omissions"]
    for point in omissions.values():
        assert {"title", "text", "code", "here"} <= set(point) <= known
    contradictions = ERRATA["contradictions"] | ERRATA["arith_contradictions"]
    for point in contradictions.values():
        assert {"title", "location", "text", "effect", "here"} <= set(point)
        assert set(point) <= known | {"location", "effect", "evidence"}


def test_names_of_points_are_unique_over_both_studies():
    assert len(POINTS) == len(FIRST) + len(SECOND)
    assert not set(EVIDENCE) & set(arith_evidence.EVIDENCE)


@pytest.mark.parametrize(
    ("points", "evidence"), [(FIRST, EVIDENCE), (SECOND, arith_evidence.EVIDENCE)]
)
def test_evidence_and_points_correspond(points, evidence):
    named = [name for point in points.values() for name in point.get("evidence", [])]
    assert sorted(named) == sorted(evidence)


def test_every_macro_of_a_point_is_defined():
    numbers = all_macros(synthetic_tables("demo"), facts("demo"))
    named = {f"here/{p['macro']}" for p in POINTS.values() if "macro" in p}
    assert named
    assert named <= numbers.keys()


def test_every_named_recipe_and_scale_exists():
    names = [
        point["setting"].split() for point in POINTS.values() if "setting" in point
    ]
    known = {"recipe": CATALOG.recipes, "scale": CATALOG.scales}
    chosen = [words for words in names if words[0] in known]
    assert chosen
    assert all(name in known[kind] for kind, name in chosen)


@pytest.mark.parametrize("name", POINTS)
def test_every_character_can_be_typeset(name):
    text = "".join(str(value) for value in POINTS[name].values())
    assert all(char.isascii() or char in formats.SPECIAL for char in text)
