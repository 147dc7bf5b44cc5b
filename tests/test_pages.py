"""The documentation has valid links, and its code runs."""

import re
from pathlib import Path

import pytest
from wired import trained_spec, wired

from mathprobe.checkpoint import save_model
from mathprobe.studies.linalg.models import build_all

PAGES = [
    *(Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(Path().glob("*/README.md")),
    *sorted(Path("docs").glob("*.md")),
    *sorted(Path("paper").glob("*/README.md")),
]
BLOCKS = re.findall(
    r"```python\n(.*?)```", Path("docs/python.md").read_text(encoding="utf-8"), re.S
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_linked_files_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if not link.startswith("http")]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


@pytest.fixture
def trained(catalog, tmp_path, monkeypatch):
    """Stand-ins for the models of the Python page, in another working directory."""
    (tmp_path / "config").symlink_to(Path("config").absolute())
    monkeypatch.chdir(tmp_path)
    spec = catalog.model("demo", "eigenvalues", "laplace", 2, "base")
    decoder = wired("mixed", 3)
    decoder_spec = trained_spec(decoder, catalog, mixed=True)
    for name, own, networks, scores in (
        ("linalg/eigenvalues/laplace/n2/base", spec, build_all(spec), "scores.csv"),
        ("arith/mix_d3_l3_h4_t6K_s1", decoder_spec, {1: decoder}, "accuracy.csv"),
    ):
        folder = Path("results/demo", name)
        save_model(folder / "model.safetensors", networks, {"spec": own.to_dict()})
        (folder / scores).write_text("examples\n1\n")


def test_the_examples_of_the_python_page_run(trained):
    names = {}
    for block in BLOCKS:
        exec(block, names)
    assert names["matrix"].shape == (1000, 5, 5)
    assert names["answer"].shape == (1000, 5, 1)
    assert names["ok"].all()
    assert "# ['+', '314', 'E-2']" in BLOCKS[0]
    assert names["p1000"].tokens(3.14159) == ["+", "314", "E-2"]
    assert names["prediction"].shape == names["oracle"].shape == (1000, 2, 1)
    assert "# [-333, -4]" in BLOCKS[1]
    oracle = names["decoder"].oracle([123, 5], [456, 9], "subtraction")
    assert oracle.tolist() == [-333, -4]
    assert all(names["facts"])
