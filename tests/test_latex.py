"""Numbers, tables and the PDF of the paper."""

import math
import re
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from synthetic import (
    EMPTY_TABLES,
    PAPER,
    PROJECT,
    SCALES,
    facts,
    synthetic_tables,
    task_sizes,
)

from mathprobe.errors import InputError
from mathprobe.paper import formats, latex, macros
from mathprobe.paper.tables import KINDS

PER_TABLE = {  # templates with a table for every task and size, by configuration
    "out_of_distribution.tex.j2": "out_of_distribution",
    "tolerances.tex.j2": "out_of_distribution",
    "learning_speed.tex.j2": "learning_speed",
}
OF_TWO_TABLES = ("oracle_accuracy.tex.j2", "arith_accuracy.tex.j2")
WITHOUT_TABLE = "setting_differences.tex.j2"
TEMPLATES = sorted(path.name for path in (PAPER / "templates").glob("*.tex.j2"))
FIGURES = set(
    re.findall(
        r"{figures/(\w+/\w+)\.pdf}",
        "".join(path.read_text() for path in (PAPER / "sections").glob("*.tex")),
    )
)
OF_TWO_TASKS = ("failures.tex.j2",)  # a table for each
OF_CELLS = (formats.uncertainty, formats.half_width, formats.at_most)
WITHOUT_MODELS = [
    f"{name}.tex.j2"
    for name in ("condition_numbers", "oracle_accuracy", "errata", "arith_errata")
]
FILTERS = [write for write in formats.FILTERS.values() if write not in OF_CELLS]


def page(kind: str, scale: str = "demo", tables: dict | None = None) -> str:
    tables = synthetic_tables(scale) if tables is None else tables
    return latex.render(PAPER / "templates" / kind, tables, facts(scale))


def line(template: str, **values) -> str:
    return latex.environment(PAPER).from_string(template).render(**values)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ '50% & a_b' | escape_latex }}", r"50\% \& a\_b"),
        (r"{{ '\\{~^}<$#' | escape_latex }}", None),
        ("{{ 36000000 | thousands }}", r"36\,000\,000"),
        ("{{ -1234.6 | thousands }}", r"$-$1\,235"),
        ("{{ -0.004 | fixed(2) }}", "0.00"),
        ("{{ -1.25 | fixed(1) }}", "$-$1.2"),
        ("{{ 0.8804 | percent }}", "88.0"),
        ("{{ 0.2 | percent(0) }}", "20"),
        ("{{ 0.5 | plain }}", "0.5"),
        ("{{ 5.0 | plain }}", "5"),
        ("{{ 99.94 | rounded }}", "99.9"),
        ("{{ 5293.4 | rounded }}", r"5\,293"),
        ("{{ 187342 | round_to(20032) }}", r"187\,000"),
        ("{{ 187342 | round_to(5) }}", r"187\,342"),
        ("{{ 0.0001 | scientific }}", "$10^{-4}$"),
        ("{{ 0.00025 | scientific }}", r"$2.5\cdot 10^{-4}$"),
        ("{{ 1.0102350851 | significant(5) }}", "1.0102"),
        ("{{ 640.5 | significant }}", "640.5"),
        ("{{ 1.2849138960821085e+108 | significant }}", r"$1.28\cdot 10^{108}$"),
        ("{{ 0.00649 | significant(2) }}", "0.0065"),
        ("{{ 1e400 | significant }}", r"$\infty$"),
        ("{{ 0.0 | significant }}", "0"),
        ("{{ 0.0000355 | significant }}", r"$3.55\cdot 10^{-5}$"),
        ("{{ {'low': 1.0, 'high': 1.0, 'spread': none} | half_width }}", ""),
        ("{{ {'low': 1.0, 'high': 1.5, 'spread': none} | half_width }}", "0.25"),
        ("{{ {'low': 1.0, 'high': 1.5, 'spread': 0.1} | half_width }}", "0.1"),
        ("{{ {'low': none, 'high': none, 'spread': none} | half_width }}", ""),
        ("{{ {'value': 1.0, 'spread': 1e-16, 'low': 1, 'high': 1} | half_width }}", ""),
        ("{{ {'per_million': 0.0, 'high': 73.8} | at_most }}", r"$\le$\,74"),
        ("{{ {'per_million': 8880.0, 'high': 9741.5} | at_most }}", r"8\,880"),
        ("{{ 12.4 | duration }}", r"12\,s"),
        ("{{ 59.7 | duration }}", r"1\,min 00\,s"),
        ("{{ 3723 | duration }}", r"1\,h 02\,min"),
        ("{{ 1.0 | shade }}", str(formats.MAX_SHADE)),
        ("{{ {'low': 1.0, 'high': 1.0, 'spread': none} | uncertainty }}", "0.1"),
        ("{{ {'low': 0.9, 'high': 0.9, 'spread': 0.0301} | uncertainty }}", "3.1"),
        ("{{ {'low': 0.9, 'high': 0.914, 'spread': none} | uncertainty }}", "0.7"),
        ("{{ {'low': none, 'high': none, 'spread': none} | uncertainty }}", "---"),
    ],
)
def test_a_filter_formats_a_value(text, printed):
    text = text.replace("{{", r"\VAR{").replace(" }}", "}")
    escaped = r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\}"
    printed = escaped + r"\textless{}\$\#" if printed is None else printed
    assert line(text) == printed


@pytest.mark.parametrize("write", FILTERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("value", [None, math.nan, ""])
def test_a_missing_value_is_a_dash(write, value):
    assert write(value) == "---"  # filters of cells are tested above


@pytest.mark.parametrize("value", [0.5, None, math.nan, True])
def test_a_number_without_a_filter_is_refused(value):
    with pytest.raises(InputError, match="is not formatted"):
        line(r"\VAR{value}", value=value)
    assert line(r"\VAR{value}", value=7) == "7"


def test_an_unknown_name_in_a_template_is_refused():
    with pytest.raises(jinja2.UndefinedError, match="nobody"):
        line(r"\VAR{nobody}")


def test_a_template_leaves_latex_unchanged():
    text = "\\begin{a}{#1} % {{x}} {%\n%% if false\nno\n%% endif\n\\% &\n"
    assert line(text) == "\\begin{a}{#1} % {{x}} {%\n\\% &\n"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_template_gives_complete_tables(kind, scale):
    text = page(kind, scale)
    table = PER_TABLE.get(kind)
    wanted = len(task_sizes(scale, table)) if table else 1
    if kind in (*OF_TWO_TASKS, *OF_TWO_TABLES):
        wanted = 2
    if kind == "verifiers.tex.j2":
        wanted = {"paper": 2}.get(scale, 1)
    if kind == "arith_subtasks.tex.j2":
        wanted = 3  # two of sub-tasks, one of inserted nodes
    if kind in ("accuracy_matrices.tex.j2", "trend.tex.j2") and scale != "paper":
        wanted = 0  # one accuracy matrix needs no summary
    if kind == WITHOUT_TABLE:
        wanted = 0
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == wanted
    assert text.count("{") == text.count("}")
    assert r"\texttt{" + scale in text or kind in WITHOUT_MODELS or not wanted
    assert not re.search(r"None|nan|\\VAR|\d\.\d{5}", text)


@pytest.mark.parametrize("kind", sorted({*TEMPLATES} - {"runs.tex.j2", WITHOUT_TABLE}))
def test_an_empty_table_still_defines_its_label(kind):
    assert r"\label{tab:" in page(kind, tables=EMPTY_TABLES)


def test_decoders_that_were_not_tested_have_no_interval():
    tables = synthetic_tables("demo")
    rows = tables["arith_accuracy"]
    rows = tables["arith_accuracy"] = rows[rows["class"] == "all"].copy()
    rows[["per_million", "low", "high"]] = math.nan
    rows["questions"] = pd.array([pd.NA] * len(rows), "Int64")
    assert r"\smallgray{}" in page("arith_accuracy.tex.j2", "demo", tables=tables)


def inputs_of(template: str, scale: str = "demo") -> dict[str, pd.DataFrame]:
    name = template.removesuffix(".tex.j2")
    tables = synthetic_tables(scale)
    return {kind: tables[kind] for kind in tables if name in KINDS[kind].templates}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_needs_only_the_tables_that_are_its_input(name):
    assert page(name, tables=inputs_of(name))


@pytest.mark.parametrize("kind", ["accuracy", "circuits", "subtasks"])
def test_a_record_shows_only_the_decoders_with_results(kind):
    template = f"arith_{kind}.tex.j2"
    tables = inputs_of(template, "paper")
    for name in (name for name in tables if name.startswith("arith_")):
        tables[name] = tables[name].query("model == 'add_d5_l1_h3_t30K_s372001'")
    context = {**facts("paper"), "recorded": True}
    text = latex.render(PAPER / "templates" / template, tables, context)
    assert "5 digits" in text
    assert "6 digits" not in text


def test_every_template_of_a_table_has_its_file():
    named = {f"{name}.tex.j2" for kind in KINDS.values() for name in kind.templates}
    assert named <= {*TEMPLATES}


def test_settings_that_differ_from_the_published_ones_are_listed():
    found = page(WITHOUT_TABLE, "workstation").split("\\texttt")
    joined = [" ".join(text.split()) for text in found]
    assert "{input.digits} 2 (3);" in joined
    assert "{precision} float32 (bfloat16);" in joined
    (examples,) = (text for text in joined if "schedule.examples" in text)
    millions = ", ".join(rf"{count}\,000\,000" for count in (12, 4, 2, 1))
    assert examples == rf"{{schedule.examples}} {millions} (36\,000\,000);"
    assert joined[-1].endswith(").")
    assert page(WITHOUT_TABLE, "paper") == ""


def test_settings_that_specifications_omit_are_compared_as_well():
    text = " ".join(page(WITHOUT_TABLE, "as_coded").split())
    assert r"\texttt{eigenvalue\_order} ascending (descending)" in text


def test_a_caption_names_both_sizes_if_they_differ():
    text = page("out_of_distribution.tex.j2", "demo")
    joined = " ".join(text.split())
    assert "published at $n=5$ (Table~1 of Charton, 2022), ours at" in joined
    assert text.count(r"\reprocell") == 49
    assert r"\midrule" + "\n" + r"\tablelabel{abs-sc}" in text
    assert "published for the same size" in page("out_of_distribution.tex.j2", "paper")


def models(task: str, n: int | str, recipe: str, *distributions: str) -> list[dict]:
    return [
        {"task": task, "n": n, "recipe": recipe, "distribution": distribution}
        for distribution in distributions
    ]


def test_tables_of_the_settings_come_first():
    others = [
        *models("transpose", 3, "base", "gaussian_coefficients"),
        *models("eigenvalues", 10, "base", "gaussian"),
    ]
    text = page("out_of_distribution.tex.j2", tables=synthetic_tables("demo", *others))
    assert re.findall(r"\\label{tab:(.*)}", text) == [
        *("ood", "ood:eigenvalues_n10", "ood:transpose_n3")
    ]
    assert "Nothing is published for this task" in text


def test_every_caption_names_the_papers_table():
    text = page("out_of_distribution.tex.j2", "paper")
    assert re.findall(r"\(Table~(\d) of Charton, 2022\)", text) == list("12235")
    text = page("learning_speed.tex.j2", "paper")
    assert re.findall(r"Table~(\d) of Charton, 2022", text) == list("67")
    assert "for the same size, in the text, to" in text.replace("\n ", "")


def test_rows_have_their_recipe_if_a_table_has_several():
    text = page("out_of_distribution.tex.j2", "paper")
    rows = re.findall(r"tablelabel{(\w+)}\\newline{\\scriptsize\\texttt{(\w+)}}", text)
    assert rows == [("Gaussian", "deep12"), ("Laplace", "deep8")]


def test_mixtures_other_distributions_and_rectangles_have_tables():
    others = [
        *models(
            *("transpose", "5x3", "base"),
            *("uniform_coefficients", "gaussian_coefficients"),
        ),
        *models(
            *("eigenvalues", 3, "base", "laplace", "laplace+uniform"),
            *("abs_laplace", "uniform_wigner"),
        ),
    ]
    text = page("out_of_distribution.tex.j2", tables=synthetic_tables("demo", *others))
    assert r"transpose for" + "\n  $5\\times 3$ matrices" in text
    small, general = text.split(r"\begin{table}")[2:]
    names = re.findall(r"^\\tablelabel{([^\\]+)}$", small, re.M)
    assert names == ["Laplace", "uniform wigner", "Laplace + Uniform", "abs-Lapl"]
    assert small.count(r"\midrule") == 3
    assert r"\tablelabel{uniform coefficients}" in general
    assert r"\footnotesize" in small  # eight columns


def test_an_accuracy_that_was_not_reached_is_a_dash():
    rows = page("learning_speed.tex.j2", "paper").split("\\\\\n")
    uniform = next(
        row for row in rows if row.strip().startswith(r"\tablelabel{Uniform}")
    )
    cells = [cell.strip() for cell in uniform.split("&")[1:]]
    assert cells == ["---", "50.0", "---", r"41\,000", "100.0", "---"]


def test_models_of_several_machines_are_lettered():
    tables = synthetic_tables("demo")
    tables["runs"].loc[3, ["device", "threads"]] = "cuda", 4
    text = page("runs.tex.j2", tables=tables)
    assert r"\textbf{b}" in text
    assert r"cuda, Cores \& Co" in text
    assert r"\textbf{a}" not in page("runs.tex.j2")


@pytest.fixture(scope="module")
def tex():
    """Return a function that typesets with an installed TeX."""
    tex = pytest.importorskip("mathprobe.paper.tex")
    engine = tex.find(PROJECT / tex.CACHE)
    if not engine.usable:
        pytest.skip(engine.message)
    return lambda source, folder: tex.typeset(source, folder, engine)


def figure(path: Path) -> None:
    """Write an empty PDF of 5.5 by 2 inches."""
    parts = [
        "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 396 144]>>endobj\n",
    ]
    text, places = "%PDF-1.4\n", []
    for part in parts:
        places.append(f"{len(text):010d} 00000 n \n")
        text += part
    start = len(text)
    text += "xref\n0 4\n0000000000 65535 f \n" + "".join(places)
    path.write_text(
        text + f"trailer<</Size 4/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n",
        encoding="utf-8",
    )


def build(folder: Path, scale: str) -> Path:
    """Write the tables, macros and figures of the paper into a folder."""
    tables = synthetic_tables(scale)
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    for kind in TEMPLATES:
        (folder / "tables" / kind.removesuffix(".j2")).write_text(
            page(kind, scale, tables)
        )
    made = macros.definitions(macros.all_macros(tables, facts(scale)))
    (folder / "tables" / "numbers.tex").write_text(made)
    tex = "".join(path.read_text() for path in (folder / "tables").glob("*.tex"))
    for name in FIGURES | set(re.findall(r"{figures/(\w+/\w+)\.pdf}", tex)):
        path = folder / "figures" / f"{name}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure(path)
    return folder


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_the_paper_compiles_without_overfull_boxes(tex, tmp_path, capsys, scale):
    assert tex(PAPER / "main.tex", build(tmp_path, scale)).startswith(b"%PDF")
    assert "Overfull" not in (tmp_path / "main.log").read_text("latin-1")
    assert capsys.readouterr().err == ""


def test_an_undefined_macro_is_an_error(tex, tmp_path):
    source = tmp_path / "main.tex"
    source.write_text(
        "\\documentclass{article}\\usepackage{mathprobe}\n\\defresult{scale}{demo}\n"
        "\\begin{document}\\result{scale} \\result{nowhere}\\end{document}\n"
    )
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "mathprobe.sty").write_text(
        (PAPER / "mathprobe.sty").read_text()
    )
    with pytest.raises(Exception, match="no result of the name 'nowhere'"):
        tex(source, tmp_path / "build")
