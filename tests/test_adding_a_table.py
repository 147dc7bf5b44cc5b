"""The steps of docs/development.md add a table: a function, a template, a line."""

import json
import re

import pytest
from synthetic import CATALOG, PAPER, PRINTED, PROJECT, frame, run_of
from test_cli import ERRATA, run

from mathprobe.paper import tables
from workflow import Workflow

DOCS = (PROJECT / "docs/development.md").read_text()
FUNCTION, TEMPLATE = (
    re.search(rf"```{language}\n(.*?)```", DOCS, re.S)[1]
    for language in ("python", "jinja")
)


@pytest.fixture
def added(tmp_path):
    """Register the function of the documentation and return its template."""
    exec(FUNCTION, {**vars(tables), "__name__": tables.__name__})
    template = tmp_path / "worst.tex.j2"
    template.write_text(TEMPLATE)
    yield template
    del tables.KINDS._entries["worst"]


def test_a_new_table_goes_from_scores_to_latex(added, tmp_path):
    model, csv, facts = tmp_path / "base", tmp_path / "a.csv", tmp_path / "facts.json"
    tests = enumerate(["gaussian", "uniform", "laplace"])
    rows = [
        {"seed": 1, "test": test, "tolerance": tolerance, "accuracy": (k - 1) ** 2 + t}
        for k, test in tests
        for t, tolerance in ((0.125, 0.05), (0.0, 0.01))
    ]
    model.mkdir()
    (model / "run.json").write_text(json.dumps(run_of("eigenvalues", "laplace", 2)))
    tables.write(model / "scores.csv", frame(rows), list(rows[0]))
    facts.write_text(json.dumps(CATALOG.facts("demo")))

    run("table", "worst", csv, "--published", *PRINTED, "--models", model)
    given = "--facts", facts, "--published", *PRINTED, "--errata", *ERRATA
    run("latex", added, tmp_path / "worst.tex", *given, "--tables", csv)
    text = (tmp_path / "worst.tex").read_text()
    assert text == "\\tablelabel{Laplace} & Uniform & 12.5 \\\\\n"


def test_the_workflow_makes_a_new_table_for_the_paper(tmp_path):
    copy = Workflow(tmp_path / "copy")
    before = copy.planned_jobs("results/demo/paper.pdf")
    module = copy.folder / "src/mathprobe/paper/tables.py"
    module.write_text(f"{module.read_text()}\n\n{FUNCTION}")
    (copy.folder / "paper/templates/worst.tex.j2").write_text(TEMPLATE)
    section = copy.folder / PAPER.name / "sections/generalization.tex"
    section.write_text(section.read_text() + "\\input{tables/worst}\n")
    after = copy.planned_jobs("results/demo/paper.pdf")
    grown = {rule: n - before[rule] for rule, n in after.items() if n != before[rule]}
    assert grown == {"paper_table": 1, "paper_latex": 1}
