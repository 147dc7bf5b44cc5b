"""Executed notebooks repeat to the byte, and failures say where and why."""

from __future__ import annotations

import json
import os
import re
from itertools import product
from pathlib import Path

import nbformat
import pytest

from mathprobe import files
from mathprobe.errors import InputError
from mathprobe.linalg.draws import laws_for
from mathprobe.paper import notebooks, tables

LAWS = laws_for("eigenvalues")

PROJECT = Path(__file__).parent.parent
GENERALIZATION = PROJECT / "paper" / "notebooks" / "generalization.py"
HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
number = "1"

"""
VOLATILE = """\
# %%
import sys, time
for _ in range(3):
    print("step", flush=True)
    time.sleep(0.3)
print(object(), __file__ if "__file__" in globals() else "", {"law", "size", "test"})

# %%
import pandas
pandas.DataFrame({"a": [1]}).style.format("{:.2f}")
"""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "failed.ipynb"


def source(folder: Path, body: str) -> Path:
    path = folder / "question.py"
    path.write_text(HEADER + body)
    return path


def mock_results(folder: Path) -> dict[str, str]:
    ood = [
        {
            "train": train,
            "test": test,
            "n": 5,
            "recipe": "base",
            "seeds": 1,
            "examples": 100,
            **{"accuracy": 0.5, "low": 0.4, "high": 0.6, "oracle": 0.9},
            "published": None if train == "laplace" else 1,
        }
        for train, test in product(LAWS, LAWS)
    ]
    curves = [
        {
            "train": train,
            "n": 5,
            "recipe": "base",
            "examples": count,
            "test": test,
            **{"accuracy": 0.5, "malformed": 0, "loss": 1},
        }
        for train, test, count in product(LAWS, ("semicircle", "uniform"), (10, 20))
    ]
    paths = {name: folder / f"{name}_eigenvalues_n5.csv" for name in ("ood", "curves")}
    files.write_csv(paths["ood"], ood, tables.COLUMNS["ood"])
    files.write_csv(paths["curves"], curves, tables.COLUMNS["curves"])
    return {
        **{name: str(path) for name, path in paths.items()},
        "published": str(PROJECT / "paper/published/charton2022.yaml"),
        "figures": str(folder / "figures"),
    }


@pytest.fixture(scope="module")
def generalization(tmp_path_factory) -> tuple[Path, notebooks.Executed]:
    folder = tmp_path_factory.mktemp("results")
    parameters = mock_results(folder)
    kept = folder / "kept.ipynb"
    return folder, notebooks.execute(GENERALIZATION, parameters, kept)


def test_the_notebook_of_the_paper_shows_tables_and_saves_figures(generalization):
    folder, executed = generalization
    names = {path.name for path in (folder / "figures").iterdir()}
    stems = ("ood_heatmap", "learning_curves")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "svg")}
    assert executed.html.count("data:image/svg+xml;base64") == 2
    assert executed.html.count("<table") == 5
    assert "42 of 42 pairs lie outside" in executed.html


def test_no_path_of_this_machine_stays(generalization):
    folder, executed = generalization
    for text in executed:
        assert str(folder) not in text
        assert str(PROJECT) not in text


def test_the_page_loads_nothing(generalization):
    _, executed = generalization
    assert "<script" not in executed.html
    assert not re.search(r"<(img|link|iframe)[^>]*(src|href)=.https?:", executed.html)
    assert "@import" not in executed.html


def test_the_notebook_is_valid_and_opens_with_its_question(generalization):
    _, executed = generalization
    notebook = nbformat.reads(executed.ipynb, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# Which training laws generalise")
    assert [cell.id for cell in notebook.cells[:2]] == ["cell-000", "cell-001"]
    assert "papermill" not in notebook.metadata


def test_the_page_shows_the_parameters_that_were_used(generalization):
    _, executed = generalization
    assert "ood_eigenvalues_n5.csv" in executed.html
    assert "results/demo" not in executed.html


def test_a_notebook_repeats_to_the_byte(tmp_path, kept):
    path = source(tmp_path, VOLATILE)
    first, second = (notebooks.execute(path, {"number": "2"}, kept) for _ in range(2))
    assert first == second
    assert "T_000" in first.html
    assert not kept.exists()


def test_the_environment_is_restored(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    before = dict(os.environ)
    with notebooks._environment(tmp_path):
        assert os.environ["PYTHONPATH"].endswith(f"{os.pathsep}elsewhere")
    assert dict(os.environ) == before


def test_a_failure_names_cell_and_reason_and_keeps_what_was_done(tmp_path, kept):
    body = "# %%\nprint('so far', number)\n\n# %%\nopen('no such table')\n"
    with pytest.raises(notebooks.NotebookError) as caught:
        notebooks.execute(source(tmp_path, body), {"number": "7"}, kept)
    message = str(caught.value)
    assert "question.py: cell In [4], `open('no such table')`" in message
    assert "FileNotFoundError: [Errno 2] No such file or directory" in message
    assert str(kept) in message
    assert "\n" not in message
    outputs = [cell.get("outputs") for cell in json.loads(kept.read_text())["cells"]]
    assert "so far 7" in json.dumps(outputs)


def test_a_failure_is_bad_input_not_a_traceback():
    assert issubclass(notebooks.NotebookError, InputError)


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path, kept):
    path = source(tmp_path, "# %%\nraise RuntimeError('ran')\n")
    with pytest.raises(
        InputError, match="unknown parameters nubmer; known ones are nu"
    ):
        notebooks.execute(path, {"nubmer": "1"}, kept)


def test_a_kernel_that_dies_is_reported(tmp_path, kept):
    path = source(tmp_path, "# %%\nimport os\nos._exit(1)\n")
    with pytest.raises(notebooks.NotebookError, match=r"question\.py: the kernel died"):
        notebooks.execute(path, {}, kept)
    assert kept.exists()


def test_long_socket_paths_are_avoided():
    assert notebooks._transport(Path("/tmp/short"))
    assert not notebooks._transport(Path("/scratch" + "/long" * 20))
