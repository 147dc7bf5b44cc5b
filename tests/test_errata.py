"""The published numbers are whole, and the errata agree wherever they are shown."""

from pathlib import Path

import pytest
from made_up import CATALOG, ERRATA, LAWS, PUBLISHED, facts, mock

from mathprobe.catalog import REFERENCE
from mathprobe.paper import latex
from mathprobe.paper.numbers import results
from mathprobe.studies import arith_evidence
from mathprobe.studies.evidence import EVIDENCE

FIRST = {**ERRATA["contradictions"], **ERRATA["silences"]}
SECOND = {**ERRATA["arith_contradictions"], **ERRATA["arith_silences"]}
POINTS = {**FIRST, **SECOND}
TABLES = {  # of the paper: where its numbers are kept, and their shape
    1: ("out_of_distribution", "eigenvalues", "n5", 7, 7),
    2: ("out_of_distribution", "eigenvalues", "n8", 7, 7),
    3: ("out_of_distribution", "eigenvectors", "n5", 7, 7),
    5: ("out_of_distribution", "symmetric_inverse", "n5", 7, 7),
    6: ("learning_speed", "eigenvalues", "n5", 7, 2),
    7: ("learning_speed", "eigenvectors", "n5", 4, 1),
}


def cells(kind, task, size):
    printed = PUBLISHED[kind][task][size]
    return printed["rows"] if kind == "learning_speed" else printed


@pytest.mark.parametrize("number", TABLES)
def test_every_published_table_is_whole(number):
    *place, height, width = TABLES[number]
    rows = cells(*place)
    assert set(rows) <= set(LAWS)
    assert [len(rows), *{len(row) for row in rows.values()}] == [height, width]


def test_table_4_and_the_lower_part_of_table_2_are_whole():
    assert set(PUBLISHED["condition_numbers"]["rows"]) == set(LAWS)
    assert set(cells("out_of_distribution", "eigenvalues", "n10")) == {
        *("gaussian", "laplace")
    }


@pytest.mark.parametrize("kind", ["out_of_distribution", "learning_speed"])
def test_every_published_table_is_reproduced_and_the_reverse(kind):
    entries = getattr(CATALOG.linalg(REFERENCE).settings.tables, kind)
    made = {(entry.task, f"n{entry.n}") for entry in entries}
    printed = {(task, n) for task, sizes in PUBLISHED[kind].items() for n in sizes}
    assert made == printed


def test_every_published_accuracy_stands_beside_its_ceiling():
    tables = mock("smoke")
    template = Path("paper/templates/ceilings.tex.j2")
    text = latex.render(template, tables, facts("smoke"))
    for task, sizes in PUBLISHED["out_of_distribution"].items():
        for size, rows in sizes.items():
            head = f"{task.replace('_', ' ')}, $n={size[1:]}$"
            block = text.split(head)[1].split("exact answers")[0]
            for law, row in rows.items():
                line = block.split(PUBLISHED["labels"][law] + "}\n")[1].split("\\\\")[0]
                shown = [cell.split("}")[0].split("{")[-1] for cell in line.split("&")]
                assert shown[1:] == [str(value) for value in row]


def test_every_point_says_what_is_printed_and_what_is_done():
    known = {"title", "text", "code", "here", "setting", "number"}
    silences = ERRATA["silences"] | ERRATA["arith_silences"]
    for point in silences.values():
        assert {"title", "text", "code", "here"} <= set(point) <= known
    contradictions = ERRATA["contradictions"] | ERRATA["arith_contradictions"]
    for point in contradictions.values():
        assert {"title", "place", "text", "changes", "here"} <= set(point)
        assert set(point) <= known | {"place", "changes", "evidence"}


def test_no_point_of_one_study_has_the_name_of_anothers():
    assert len(POINTS) == len(FIRST) + len(SECOND)
    assert not set(EVIDENCE) & set(arith_evidence.EVIDENCE)


@pytest.mark.parametrize(
    ("points", "evidence"), [(FIRST, EVIDENCE), (SECOND, arith_evidence.EVIDENCE)]
)
def test_all_evidence_belongs_to_a_point_and_the_reverse(points, evidence):
    named = [name for point in points.values() for name in point.get("evidence", [])]
    assert sorted(named) == sorted(evidence)


def test_every_setting_of_this_run_that_a_point_shows_is_known():
    numbers = results(mock("demo"), facts("demo"))
    named = {f"here/{p['number']}" for p in POINTS.values() if "number" in p}
    assert named
    assert named <= numbers.keys()


def test_every_recipe_and_scale_of_another_choice_exists():
    names = [
        point["setting"].split() for point in POINTS.values() if "setting" in point
    ]
    known = {"recipe": CATALOG.recipes, "scale": CATALOG.scales}
    chosen = [words for words in names if words[0] in known]
    assert chosen
    assert all(name in known[kind] for kind, name in chosen)


@pytest.mark.parametrize("name", POINTS)
def test_latex_has_a_way_to_print_every_character(name):
    text = "".join(str(value) for value in POINTS[name].values())
    assert all(char.isascii() or char in latex.SPECIAL for char in text)


@pytest.mark.parametrize("name", POINTS)
def test_the_readme_of_the_configuration_has_every_point(name):
    point = POINTS[name]
    other = f"`{point['setting']}`" if "setting" in point else ""
    row = (point["title"], point["text"], point.get("code", ""), point["here"], other)
    lines = Path("config/README.md").read_text().splitlines()
    assert f"| {' | '.join(row)} |" in lines
