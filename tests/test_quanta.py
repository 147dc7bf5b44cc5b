"""Quanta maps as figures and as an HTML page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mathprobe.arith.subtasks import MEANINGS, SUBTASKS
from mathprobe.arith.tokens import Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper import figures, quanta
from mathprobe.paper.quanta import MAPS, format_digits

TEMPLATE = Path(__file__).parent.parent / "paper/templates/circuit.html.j2"
LAYOUT = Layout(6)
A, B, C, D = (
    Node.parse(name) for name in ("P11L0H0", "P11L0H1", "P18L0H1", "P18L1MLP")
)
FACTS = Facts(
    [
        Fact(A, "fails", "", 0.004, 0.001, 0.01),
        Fact(A, "impact", "A7", 0.004),
        Fact(A, "fails", "S2", 0.02, 0.01, 0.03),
        Fact(A, "attends", "D'5", 0.47),
        Fact(A, "attends", "D5", 0.49),
        Fact(A, "attends", "OPR", 0.04),
        Fact(A, "ST", "2", 1.0, 0.9, 1.0),
        Fact(B, "fails", "", 0.05, 0.03, 0.08),
        Fact(B, "impact", "A7", 0.05),
        Fact(C, "fails", "", 0.57, 0.5, 0.6),
        *(Fact(C, "impact", f"A{k}", 0.2) for k in (5, 4, 3, 1)),
        *(Fact(C, "fails", level, 0.3) for level in ("S1", "S0", "M3", "N2")),
        *(Fact(C, "attends", f"D'{k}", share) for k, share in ((2, 0.31), (1, 0.6))),
        Fact(C, "SA", "2", 1.0, 0.95, 1.0, partner="L0H2"),
        Fact(C, "MD", "2", 1.0, 0.95, 1.0),
        Fact(C, "ND", "2", 0.4, 0.3, 0.5),
        Fact(D, "fails", "", 0.1, 0.05, 0.2),
        Fact(D, "OPR", "", 0.9, 0.8, 1.0),
    ]
)
TEXTS = {
    "fails": {A: "<1", B: "5", C: "57", D: "10"},
    "impact": {A: "A7", B: "A7", C: "A5..3,A1"},
    "attention": {A: "D'5 D5", C: "D'1 D'2"},
    "coverage": {A: "S", C: "SMN"},
    "complexity_S": {A: "S2", C: "S0"},
    "complexity_M": {C: "M3"},
    "complexity_N": {C: "N2"},
    "purpose": {A: "A2.ST", C: "A2.SA A2.MD", D: "OPR"},
}


@pytest.mark.parametrize("kind", MAPS)
def test_cells_have_the_known_facts(kind):
    found = quanta.cells(kind, FACTS, LAYOUT)
    assert set(found) == set(FACTS.nodes)
    assert {node: c.text for node, c in found.items() if c.text} == TEXTS[kind]
    assert all(0.0 <= cell.shade <= 1.0 for cell in found.values())


def test_nodes_with_many_fails_are_marked():
    found = quanta.cells("fails", FACTS, LAYOUT)
    assert [node for node, cell in found.items() if cell.marked] == [C]


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        ([7], "A7"),
        ([3, 4], "A4,A3"),
        ([5, 3, 4], "A5..3"),
        ([12, 11, 10, 9, 2], "A12..9,A2"),
        ([5, 4, 3, 1, 0], "A5..3,A1,A0"),
    ],
)
def test_three_consecutive_digits_are_a_range(digits, text):
    assert format_digits(digits) == text


@pytest.mark.parametrize(
    ("text", "lines", "size"),
    [
        ("A1.SA A1.SR", "A1.SA\nA1.SR", 6.5),
        ("A0.SC A0.SU A0.MB A0.MU", "A0.SC A0.SU\nA0.MB A0.MU", 6.5),
        ("A0.SC", "A0.SC", 6.5),
    ],
)
def test_words_share_a_line_if_this_makes_them_larger(text, lines, size):
    assert quanta.fit(text, 45.0, 17.0) == (lines, size)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("kind", MAPS)
def test_a_figure_has_the_text_of_all_cells(kind):
    figure = quanta.draw(kind, FACTS, 6)
    written = " ".join(texts(figure)).replace("\n", " ").split()
    for text in TEXTS[kind].values():
        assert set(text.split()) <= set(written)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["P11", "P18"]
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    assert rows == ["L0H0", "L0H1", "L1MLP"]


def test_equal_neighbours_are_merged_except_for_shares():
    heights = [
        [patch.get_height() for patch in quanta.draw(kind, FACTS, 6).axes[0].patches]
        for kind in ("impact", "fails")
    ]
    assert 2 in heights[0]
    assert texts(quanta.draw("impact", FACTS, 6)).count("A7") == 1
    assert set(heights[1]) == {1}


def test_a_figure_is_bitwise_reproducible(tmp_path):
    for name in ("first", "second"):
        figures.save(quanta.draw("purpose", FACTS, 6), tmp_path / name / "map")
    for kind in ("pdf", "svg"):
        first, second = (tmp_path / n / f"map.{kind}" for n in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_a_model_without_facts_has_an_empty_map():
    figure = quanta.draw("purpose", Facts(), 6)
    assert texts(figure) == []


class Page(HTMLParser):
    """Collect the tags and ids of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page():
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    clause = {"algorithm": "addition", "clause": "SA0 at A1", "optional": False}
    control = {"control": "purpose", "of": "head", "nodes": 4, "count": 2, "total": 4}
    return quanta.page(
        TEMPLATE,
        "add <6>",
        6,
        FACTS,
        "../report.html",
        positions=[
            {"position": 18, "token": "A4", "questions": 9, "fails": 3, **share}
        ],
        claims=[{**clause, "holds": True, "positions": "P18"}],
        controls=[control | share],
    )


def test_the_page_is_valid_and_self_contained(page):
    found = Page(page)
    assert found.open == []
    assert not {"script", "img", "link", "iframe"} & set(found.tags)
    assert not re.findall(r"https?:|url\(|@import", page)
    assert {"legend", "positions", "claims", "controls", *MAPS} == set(found.ids)


def test_the_page_has_the_facts_of_every_node(page):
    for node in FACTS.nodes:
        assert page.count(f"<b>{node.name}</b>") == len(MAPS)
    assert "A2.SA 100.0 % (95.0 to 100.0) with L0H2" in page
    assert "A2.ND" not in page
    assert "D5 49.0 %" in page.replace("&#39;", "'")
    assert "add &lt;6&gt;" in page
    assert "3 of 9" in page
    assert 'href="../report.html"' in page


def test_the_legend_explains_the_sub_tasks_of_the_map(page):
    legend = page.split('id="legend"')[1].split("</section>")[0]
    rows = re.findall(r"<b>(.*?)</b></td><td>(.*?)</td>", legend)
    assert [name for name, _ in rows] == ["SA", "ST", "MD", "OPR"]
    assert dict(rows)["OPR"] == "operation of the question"
    assert legend.count("<td>published</td>") == 4
    assert "<td>addition, positive difference</td>" in legend


def test_sub_tasks_that_are_ours_are_marked():
    facts = Facts([Fact(A, "SU", "1", 1.0, 0.9, 1.0)])
    tables = {"positions": [], "claims": [], "controls": []}
    page = quanta.page(TEMPLATE, "add", 6, facts, None, **tables)
    assert "<td>ours</td>" in page
    assert "report" not in page.split("<main>")[1]


def test_every_sub_task_has_a_meaning():
    assert set(MEANINGS) == set(SUBTASKS)
