"""Pages fit the window of a browser, and their tooltips hide nothing."""

import pandas as pd
import pytest
from browser import HEIGHT, WIDTHS, measure, overflow
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_quanta import FACTS, TEMPLATE

from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.paper import notebooks, quanta

pytestmark = pytest.mark.browser

NOTEBOOK = TEMPLATE.with_name("notebook.html.j2")
# The frame has no scroll bars, so that its width is that of the window.
TIPS = """
const found = [];
for (const node of document.querySelectorAll(".node")) {
  node.focus();
  const tip = node.querySelector(".tip").getBoundingClientRect();
  const hidden = [node.parentElement, ...node.closest("tr").children].filter(cell => {
    const box = cell.getBoundingClientRect();
    return box.right > tip.left && box.left < tip.right
        && box.bottom > tip.top && box.top < tip.bottom;
  });
  found.push([tip.left, tip.top, tip.right, tip.bottom, hidden.length]);
}
return found;"""


def circuit_page(facts):
    tables = {"positions": [], "claims": [], "controls": []}
    return quanta.page(TEMPLATE, "a_" + "long_" * 20 + "name", 6, facts, None, **tables)


@pytest.fixture(scope="module")
def circuit():
    """The page of a model with a node at every position of four layers."""
    wide = [
        Fact(Node(position, layer, "head", 0), name, label, 0.5, 0.4, 0.6)
        for position in range(22)
        for layer in range(4)
        for name, label in (("fails", ""), ("impact", "A3"), ("attends", "D'5"))
    ]
    return circuit_page(Facts([*FACTS, *wide]))


def test_a_wide_circuit_does_not_scroll_sideways(circuit, tmp_path):
    assert overflow(circuit, tmp_path) == [0, 0]


def test_tooltips_are_in_the_window_and_hide_no_neighbour(circuit, tmp_path):
    found = measure(circuit, tmp_path, TIPS)
    for width, tips in zip(WIDTHS, found, strict=True):
        assert len(tips) == circuit.count('class="node"') > 500
        for left, top, right, bottom, hidden in tips:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= HEIGHT
            assert hidden == 0


def test_a_tooltip_is_hidden_until_its_node_is_pointed_at(circuit, tmp_path):
    script = "return [...document.querySelectorAll('.tip')].map(tip => tip.offsetWidth)"
    for widths in measure(circuit, tmp_path, script):
        assert set(widths) == {0}


def test_a_wide_table_scrolls_in_its_own_box(tmp_path):
    table = pd.DataFrame([[0.123456789] * 60] * 3).style.to_html()
    output = new_output("display_data", {"text/html": table})
    text = new_markdown_cell("# Title\n\n" + "word " * 200)
    code = new_code_cell("x = 1  # " + "long " * 60, outputs=[output])
    page = notebooks.html(new_notebook(cells=[text, code]), NOTEBOOK)
    assert overflow(page, tmp_path) == [0, 0]
    script = """
    const box = document.querySelector(".output_area");
    return box.scrollWidth > box.clientWidth;"""
    assert measure(page, tmp_path, script) == [True, True]


def test_a_page_that_is_too_wide_is_found(tmp_path):
    page = '<!DOCTYPE html><body style="margin: 0"><p style="width: 1000px">text'
    assert overflow(page, tmp_path) == [0, 1000 - 400]
