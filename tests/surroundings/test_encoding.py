"""Text files are UTF-8, whatever the encoding of the user's locale."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("src", "paper/notebooks", "benchmarks")
    for path in sorted((PROJECT / folder).rglob("*.py"))
]
OTHERS = ("files", "os", "tarfile", "zstandard")  # with other functions of these names
METHODS = {"read_text": 1, "write_text": 2, "open": 1}  # arguments with an encoding
LATIN_1 = "en_US"


def is_text_without_encoding(call):
    """Return whether a call reads or writes text in the encoding of the locale."""
    names = {keyword.arg for keyword in call.keywords}
    function = ast.unparse(call.func)
    module, _, name = function.rpartition(".")
    if module == "subprocess":
        return bool(names & {"text", "universal_newlines"})
    if "encoding" in names or module in OTHERS or name not in METHODS:
        return False
    if name == "open":
        modes = [a for a in call.args if isinstance(a, ast.Constant | ast.JoinedStr)]
        return not any("b" in ast.unparse(mode) for mode in modes)
    return len(call.args) < METHODS[name]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_text_file_is_opened_with_an_encoding(path):
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    assert [ast.unparse(c) for c in calls if is_text_without_encoding(c)] == []


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory):
    """Return the variables of a locale whose encoding is not UTF-8."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", LATIN_1, "-f", "ISO-8859-1", str(folder / LATIN_1)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot make a locale: {error}")
    return {**os.environ, "LOCPATH": str(folder), "LC_ALL": LATIN_1}


def run(latin_1, *arguments, folder=PROJECT):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=latin_1,
        capture_output=True,
        encoding="latin-1",
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_workflow_is_planned_in_another_encoding(latin_1):
    code = "import locale; print(locale.getpreferredencoding())"
    assert run(latin_1, "-c", code) == "ISO-8859-1\n"
    found = run(latin_1, "-m", "snakemake", "-n", "--quiet", "rules")
    assert "paper_pdf" in found or "paper_notebook" in found


def test_published_numbers_and_errata_are_read_in_another_encoding(latin_1):
    code = """
from pathlib import Path
from mathprobe import strict_yaml
from mathprobe.paper import published
errata = strict_yaml.read("paper/published/errata.yaml")
assert any(ord(c) > 255 for c in str(errata)), "no character beyond Latin-1"
published.read_folder(Path("paper/published"))
"""
    run(latin_1, "-c", code)


def test_messages_are_printed_in_another_encoding(latin_1):
    assert "\\u2265 0" in run(latin_1, "-m", "mathprobe", "settings")
