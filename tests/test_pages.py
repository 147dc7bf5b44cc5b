"""The documentation has valid links, and its code runs."""

import re
from pathlib import Path

import pytest

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


def test_the_first_example_of_the_python_page_runs():
    names = {}
    exec(BLOCKS[0], names)
    assert names["matrix"].shape == (1000, 5, 5)
    assert names["answer"].shape == (1000, 5, 1)
    assert names["ok"].all()
    assert "# ['+', '314', 'E-2']" in BLOCKS[0]
    assert names["p1000"].tokens(3.14159) == ["+", "314", "E-2"]
