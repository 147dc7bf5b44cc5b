"""Executed notebooks are bitwise reproducible, and failures name cell and reason."""

from __future__ import annotations

import json
import os
import re
from itertools import product
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from synthetic import PRINTED

from mathprobe.errors import InputError
from mathprobe.linalg.examples import distributions_for
from mathprobe.paper import notebooks, tables

DISTRIBUTIONS = distributions_for("eigenvalues")

PROJECT = Path(__file__).parent.parent
TEMPLATE = PROJECT / "paper/templates/notebook.html.j2"
HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
number = 1

"""
VOLATILE = """\
# %%
import sys, time
for _ in range(3):
    print("step", flush=True)
    time.sleep(0.3)
print(object(), __file__ if "__file__" in globals() else "", {"task", "size", "test"})

# %%
import pandas
pandas.DataFrame({"a": [1]}).style.format("{:.2f}")
"""


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    return tmp_path / "failed" / "failed.ipynb"


def source(folder: Path, body: str) -> Path:
    path = folder / "question.py"
    path.write_text(HEADER + body)
    return path


def ood(task: str, n: int, trained: list[str], recipe: str = "base") -> list[dict]:
    return [
        {
            **{"task": task, "n": n, "train": train, "test": test, "recipe": recipe},
            **{"seeds": 1, "examples": 100, "oracle": 0.9},
            **{"accuracy": 0.5, "low": 0.4, "high": 0.6},
            "published": None if train == "laplace" else 1,
        }
        for train, test in product(trained, distributions_for(task))
    ]


def within(distributions: list[str], n: int = 5) -> list[dict]:
    same = {"task": "eigenvalues", "n": n, "recipe": "base", "seeds": 1}
    same |= {"examples": 100, "accuracy": 0.5, "low": 0.4, "high": 0.6}
    same |= {"oracle": 0.9, "malformed": 0.01}
    return [
        {"train": distribution, "tolerance": tolerance, **same}
        for distribution, tolerance in product(distributions, (0.05, 0.01))
    ]


def curves(trained: list[str], n: int = 5) -> list[dict]:
    same = {"task": "eigenvalues", "n": n, "recipe": "base", "malformed": 0, "loss": 1}
    places = product(trained, (1, 2), ("semicircle", "uniform"), (10, 20))
    return [
        {"train": train, "seed": seed, "test": test, "examples": count}
        | {**same, "accuracy": 0.5}
        for train, seed, test, count in places
    ]


def speeds(trained: list[str]) -> list[dict]:
    same = {
        "task": "eigenvalues",
        "n": 5,
        "recipe": "base",
        "target": 0.4,
        "seeds": 2,
        "best": 0.5,
    }
    same |= {"resolution": 1000, "budget": 90_000}
    return [
        {"train": train, "test": "semicircle", **same, "published": 5000 - place}
        | {"examples": 3000 + 500 * place if place < 3 else None}
        for place, train in enumerate(trained)
    ]


TABLES = {
    "generalization": {
        "ood_eigenvalues_n5": ood("eigenvalues", 5, DISTRIBUTIONS),
        "ood_eigenvalues_n10": [
            *ood("eigenvalues", 10, ["gaussian"], "deep12"),
            *ood("eigenvalues", 10, ["laplace+uniform"], "deep8"),
        ],
        "ood_inverse_n3": ood("inverse", 3, distributions_for("inverse")),
        "tolerances_eigenvalues_n5": within(["laplace", "uniform"]),
    },
    "learning_speed": {
        "learning_speed_eigenvalues_n5": speeds(DISTRIBUTIONS),
        "curves_eigenvalues_n5": curves(DISTRIBUTIONS),
        "curves_eigenvalues_n8": curves(["laplace+uniform"], 8),
    },
}

PARAMETERS = {"learning_speed": "speeds"}  # others have the name of their kind


def executed(name: str, folder: Path) -> notebooks.Executed:
    """Execute a notebook of the paper on synthetic tables in a folder."""
    paths: dict[str, list[str]] = {}
    for stem, rows in TABLES[name].items():
        kind = next(kind for kind in tables.KINDS if stem.startswith(f"{kind}_"))
        path = folder / f"{stem}.csv"
        tables.write(path, pd.DataFrame(rows), tables.KINDS[kind].columns)
        paths.setdefault(PARAMETERS.get(kind, kind), []).append(str(path))
    parameters = {
        **paths,
        "published": list(map(str, PRINTED)),
        "figures": str(folder / "figures"),
    }
    source = PROJECT / f"paper/notebooks/{name}.py"
    return notebooks.execute(source, TEMPLATE, parameters, folder / "failed.ipynb")


def figures(folder: Path) -> set[str]:
    return {path.name for path in (folder / "figures").iterdir()}


@pytest.fixture(scope="module")
def generalization(tmp_path_factory) -> tuple[Path, notebooks.Executed]:
    folder = tmp_path_factory.mktemp("results")
    return folder, executed("generalization", folder)


def test_every_accuracy_matrix_is_displayed_and_saved(generalization):
    folder, shown = generalization
    stems = [stem for stem in TABLES["generalization"] if stem.startswith("ood_")]
    stems.append("trend_eigenvalues")  # of two sizes
    assert figures(folder) == {
        f"{stem}.{kind}" for stem in stems for kind in ("pdf", "svg")
    }
    assert shown.html.count("data:image/svg+xml;base64") == 4
    assert "eigenvalues, 5 × 5 (Table 1 of Charton, 2022)" in shown.html
    assert "42 of 42 pairs lie outside" in shown.html
    assert ">Laplace + Uniform (deep8)<" in shown.html
    assert ">uniform coefficients<" in shown.html


def test_accuracies_have_interval_oracle_and_published_value(
    generalization,
):
    _, shown = generalization
    assert shown.html.count(">50.0% (40.0–60.0), published 100%</td>") == 42 + 14 + 4
    assert shown.html.count(">50.0% (40.0–60.0)</td>") == 7
    assert shown.html.count(">90.0%</td>") == 7 + 7 + 2
    assert shown.html.count(">50.0% (40.0–60.0), oracle 90.0%</td>") == 4
    assert shown.html.count(">1.00%</td>") == 2


def test_learning_speeds_are_ranked_with_the_published_ones(tmp_path):
    shown = executed("learning_speed", tmp_path)
    stems = ("curves_eigenvalues_n5", "curves_eigenvalues_n8")
    assert figures(tmp_path) == {
        f"{stem}.{kind}" for stem in stems for kind in ("pdf", "svg")
    }
    notebook = nbformat.reads(shown.ipynb, as_version=4)
    assert notebook.cells[0].source.startswith(
        "# Which training distribution learns fastest"
    )
    race = notebook.cells[-1].outputs[0].data["text/html"]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", race)
    assert cells == [
        *("eigenvalues, 5 × 5 (Table 6 of Charton, 2022)", "Semi-circle"),
        *("Semi-circle", "3 k", "Uniform", "0.5", "3 k", "Marchenko"),
    ]


def test_outputs_have_no_absolute_paths(generalization):
    folder, shown = generalization
    for text in shown:
        assert str(folder) not in text
        assert str(PROJECT) not in text


def test_the_page_is_self_contained(generalization):
    _, shown = generalization
    assert "<script" not in shown.html
    assert not re.search(r"<(img|link|iframe)[^>]*(src|href)=.https?:", shown.html)
    assert "@import" not in shown.html


def test_the_notebook_is_valid_and_starts_with_its_title(generalization):
    _, shown = generalization
    notebook = nbformat.reads(shown.ipynb, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith(
        "# Which training distributions generalize"
    )
    assert [cell.id for cell in notebook.cells[:2]] == ["cell-000", "cell-001"]
    assert "papermill" not in notebook.metadata


def test_the_page_has_the_given_parameters(generalization):
    _, shown = generalization
    assert "ood_eigenvalues_n5.csv" in shown.html
    assert "results/demo" not in shown.html


def test_a_notebook_is_bitwise_reproducible(tmp_path, failed):
    path = source(tmp_path, VOLATILE)
    first, second = (
        notebooks.execute(path, TEMPLATE, {"number": 2}, failed) for _ in range(2)
    )
    assert first == second
    assert "T_000" in first.html
    assert not failed.exists()


def test_the_kernel_gets_the_environment_which_is_restored(
    tmp_path, failed, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    before = dict(os.environ)
    body = "# %%\nimport os\nprint(os.environ['PYTHONPATH'])\n"
    executed = notebooks.execute(
        source(tmp_path, body), TEMPLATE, {"number": 1}, failed
    )
    assert f"src{os.pathsep}elsewhere" in executed.ipynb
    assert dict(os.environ) == before


PATH_LIKE = "results/a folder/with 'quotes'.csv"


def test_a_parameter_keeps_its_type(tmp_path, failed):
    values = [2, 0.5, True, None, PATH_LIKE, [PATH_LIKE], []]
    path = source(tmp_path, "# %%\nprint(number)\n")
    executed = notebooks.execute(path, TEMPLATE, {"number": values}, failed)
    cell = nbformat.reads(executed.ipynb, as_version=4).cells[-1]
    assert cell.outputs[0].text == f"{values}\n"


def test_a_stream_is_one_output(tmp_path, failed):
    executed = notebooks.execute(
        source(tmp_path, VOLATILE), TEMPLATE, {"number": 1}, failed
    )
    outputs = nbformat.reads(executed.ipynb, as_version=4).cells[2].outputs
    assert len(outputs) == 1
    assert outputs[0].text.startswith("step\nstep\nstep\n")


def test_a_failure_names_cell_and_reason_and_saves_outputs(tmp_path, failed):
    body = "# %%\nprint('so far', number)\n\n# %%\nopen('no such table')\n"
    with pytest.raises(InputError) as caught:
        notebooks.execute(source(tmp_path, body), TEMPLATE, {"number": 7}, failed)
    message = str(caught.value)
    assert "question.py: cell In [4], `open('no such table')`" in message
    assert "FileNotFoundError: [Errno 2] No such file or directory" in message
    assert str(failed) in message
    assert "\n" not in message
    outputs = [cell.get("outputs") for cell in json.loads(failed.read_text())["cells"]]
    assert "so far 7" in json.dumps(outputs)


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path, failed):
    path = source(tmp_path, "# %%\nraise RuntimeError('ran')\n")
    with pytest.raises(
        InputError, match="unknown parameters nubmer; known ones are nu"
    ):
        notebooks.execute(path, TEMPLATE, {"nubmer": 1}, failed)


def test_a_missing_parameter_is_refused(tmp_path, failed):
    path = source(tmp_path, "")
    with pytest.raises(InputError, match="missing parameters number; known ones are"):
        notebooks.execute(path, TEMPLATE, {}, failed)


def test_a_kernel_that_dies_is_reported(tmp_path, failed):
    path = source(tmp_path, "# %%\nimport os\nos._exit(1)\n")
    with pytest.raises(InputError, match=r"question\.py: the kernel died"):
        notebooks.execute(path, TEMPLATE, {"number": 1}, failed)
    assert failed.exists()


def test_long_socket_paths_are_avoided():
    assert notebooks._transport(Path("/tmp/short"))
    assert not notebooks._transport(Path("/scratch" + "/long" * 20))
