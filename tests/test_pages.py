"""The documentation has valid links, and its code runs."""

import json
import re
from pathlib import Path

import pytest
import torch
from networks import decoder, ids
from test_lens import COMMON

from mathprobe.nets.lens import weights

PAGES = [
    *(Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(Path().glob("*/README.md")),
    *sorted(Path("docs").glob("*.md")),
    *sorted(Path("paper").glob("*/README.md")),
]


def blocks(page):
    text = Path(page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_linked_files_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if not link.startswith("http")]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


def test_the_readme_is_short():
    assert len(Path("README.md").read_text("utf-8").splitlines()) <= 110


def test_the_first_example_of_the_python_page_runs():
    names, (first, *_) = {}, blocks("docs/python.md")
    exec(first, names)
    assert names["matrix"].shape == (1000, 5, 5)
    assert names["answer"].shape == (1000, 5, 1)
    assert names["ok"].all()
    assert "# ['+', '314', 'E-2']" in first
    assert names["p1000"].tokens(3.14159) == ["+", "314", "E-2"]


@torch.inference_mode()
def test_the_examples_of_the_page_on_interpretability_run(tmp_path, monkeypatch):
    examples = blocks("docs/interp.md")
    monkeypatch.chdir(tmp_path)
    torch.save({name: one.clone() for name, one in weights(decoder())}, "weights.pt")
    Path("config.json").write_text(json.dumps(COMMON), encoding="utf-8")
    names = {"clean_ids": ids(15, 6, 9), "corrupted_ids": ids(15, 6, 9, seed=1)}
    for block in examples:
        exec(block, names)
    assert names["changed"].shape == (len(names["clean"].nodes), 6, 4)
    assert names["kept"].shape == (6,)
    assert names["per_question"].shape == names["changed"].shape
    assert names["shares"].shape == (len(names["heads"]), 8)
    assert names["pattern"].shape == (6, 8)
    assert names["direct"].shape == (len(names["heads"]), 6, 4)
    assert names["effect"].value.shape == (4,)
    assert (names["low"] <= names["value"]).all()
    assert {clause["algorithm"] for clause in names["clauses"]} == {"addition"}
    assert {path.stem for path in tmp_path.glob("*.pdf")} == {"patching", "attention"}
