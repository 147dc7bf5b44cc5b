"""The page shows every result, loads nothing, and repeats to the byte."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from mathprobe import catalog, costs, files
from mathprobe.errors import InputError
from mathprobe.linalg.draws import laws_for
from mathprobe.paper import report, tables

LAWS = laws_for("eigenvalues")

PROJECT = Path(__file__).parent.parent
TEMPLATE = PROJECT / "paper/templates/report.html.j2"
PUBLISHED = PROJECT / "paper/published/charton2022.yaml"
PRINTED = yaml.safe_load(PUBLISHED.read_text())
NOTEBOOK = """<!DOCTYPE html><html><head><script>alert("no")</script></head>
<body><p class="quoted">What "this" shows & why</p></body></html>"""
HEAD = {"Revision": "0123abcd", "Note": "<b>5 < 6</b>"}
TESTS = ("semicircle", "abs_semicircle")
LOADING = {"img", "script", "link", "iframe", "source", "object", "embed", "video"}


class Loads(HTMLParser):
    """Collects what a page refers to, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attrs:
            if tag in LOADING and name in ("src", "href", "data"):
                self.loaded.append(value or "")
            elif name == "href":
                self.linked.append(value or "")
            elif name == "id":
                self.ids.add(value or "")


def parsed(page: str) -> Loads:
    parser = Loads()
    parser.feed(page)
    return parser


def ood_rows(n: int, published: float | None) -> list[dict[str, Any]]:
    shared = {"n": n, "recipe": "base", "seeds": 1, "examples": 5000}
    scores = {"accuracy": 0.877, "low": 0.8671, "high": 0.8853, "oracle": 0.9642}
    return [
        {"train": train, "test": test, **shared, **scores, "published": published}
        for train, test in product(LAWS, LAWS)
    ]


def rows(n: int, printed: bool) -> dict[str, list[dict[str, Any]]]:
    entry = f"eigenvalues_n{n}"
    name = {"n": n, "recipe": "base"}
    score = {
        "recipe": "base",
        "examples": 5000,
        "accuracy": 0.61,
        "low": 0.6,
        "high": 0.62,
    }
    speed = {"target": 0.99, "resolution": 300000, "budget": 36_000_000, "best": 0.975}
    run = {
        **name,
        **{"machine": "node", "cpu": "processor", "device": "cpu", "threads": 1},
        **{"parameters": 1_250_000, "examples": 400_000, "seconds": 90.0},
        **{"examples_per_second": 4444.4, "attempts": 1, "python": "3.11.7"},
        **{"finished": "2026-01-02T03:04:05+00:00", "torch": "2.13.0"},
        **{"revision": "7e10" + "0" * 36, "clean": True},
    }
    home = {"train": "uniform_wigner", "test": "uniform_wigner", **name, "seeds": 1}
    home |= {"examples": 5000, "low": 0.6, "high": 0.62, "spread": None}
    told = {"statistic": "below", "value": 0.61, "oracle": 0.9971}
    vectors = f"eigenvectors_n{n}"
    return {
        f"failures_{vectors}": [
            {
                **{**home, "quantity": quantity, "group": group, "at": 0.05, **told},
                "tolerance": None if group == "all" else tolerance,
                "published": 0.986 if printed else None,
                "notebook": 0.98864 if printed else None,
            }
            for quantity, group, tolerance in (
                *(("angle", "all", None), ("error", "all", None)),
                *(("angle", "failure", 0.05), ("angle", "failure", 0.01)),
            )
        ],
        f"verifiers_{vectors}": [
            {
                **{**home, "verifier": "vectors_condition", "chosen_by": chosen_by},
                **{**told, "threshold": threshold, "statistic": statistic},
                "published": 0.9994 if printed and chosen_by == "paper" else None,
            }
            for chosen_by, threshold, statistic in (
                ("paper", 1.045, "successes_below"),
                ("calibration", 1.1, "successes_below"),
                (None, None, "auc"),
            )
        ],
        f"roc_{vectors}": [
            {"train": "laplace", **name, "seed": "oracle", "threshold": 1.0}
        ],
        f"ood_{entry}": ood_rows(n, 0.34 if printed else None),
        f"tolerances_{entry}": [
            {"law": law, "tolerance": t, **score, "oracle": 0.91, "malformed": 0.0004}
            for law, t in product(LAWS, (0.05, 0.02, 0.01, 0.005))
        ],
        f"learning_speed_{entry}": [
            {
                **{"train": train, "test": test, **name, **speed},
                "examples": 2_400_000 if test == "semicircle" else None,
                "published": 3_600_000 if printed else None,
            }
            for train, test in product(LAWS, TESTS)
        ],
        f"curves_{entry}": [
            {"train": law, **name, "examples": 10, "test": law, "accuracy": 0.5}
            for law in LAWS
        ],
        "condition_numbers": [
            {
                **{"law": law, "n": 5, "matrices": 10000, "rejected": 7},
                **{"quantile": q, "value": 9.4321, "low": 9.2, "high": 9.6},
                "published": 9.4 if printed else None,
            }
            for law, q in product(LAWS, (0.5, 0.75, 0.9))
        ],
        "runs": [
            {"model": f"eigenvalues/{law}/n{n}/base", "law": law, **run} for law in LAWS
        ],
        "trainings": [
            {
                **{"model": f"eigenvalues/{law}/n{n}/base", "operations": 4e12},
                **{"seconds": 90.0, "foreseen": 60.0, "gpu_hours": hours},
            }
            for law, hours in (("laplace", 0.025), ("gaussian", None))
        ],
        "costs": [
            {"rule": "linalg_train", "jobs": 7, "seconds": 630.0, "longest": 100.0},
            {"rule": "paper_table", "jobs": 1200, "seconds": 6.0, "peak_mb": 250.4},
        ],
    }


COLUMNS = {
    **tables.COLUMNS,
    **{"trainings": costs.COLUMNS["trainings"], "costs": costs.COLUMNS["rules"]},
}


def written(folder: Path, made: dict[str, list[dict[str, Any]]]) -> dict[str, Path]:
    paths = {key: folder / f"{key}.csv" for key in made}
    for key, path in paths.items():
        kind = next(kind for kind in COLUMNS if key.startswith(kind))
        files.write_csv(path, made[key], COLUMNS[kind])
    return paths


def page(folder: Path, scale: str, made: dict[str, list[dict[str, Any]]]) -> str:
    svg, html = folder / "ood_eigenvalues_n5.svg", folder / "generalization.html"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    html.write_text(NOTEBOOK)
    figures, notebooks = {svg.stem: svg}, {html.stem: html}
    facts = {"scale": scale, "labels": PRINTED["labels"], "head": HEAD}
    facts["published"] = PRINTED
    facts["full"] = scale in ("paper", "as_coded")
    return report.build(TEMPLATE, written(folder, made), figures, notebooks, facts)


@pytest.fixture
def paper(tmp_path: Path) -> str:
    return page(tmp_path, "paper", rows(5, printed=True))


@pytest.fixture
def demo(tmp_path: Path) -> str:
    return page(tmp_path, "demo", rows(2, printed=False))


def test_the_page_repeats_to_the_byte(paper, tmp_path):
    assert page(tmp_path, "paper", rows(5, printed=True)) == paper


def test_the_page_loads_nothing(paper):
    loaded = parsed(paper).loaded
    assert loaded
    assert all(address.startswith("data:image/svg+xml;base64,") for address in loaded)
    assert "@import" not in paper
    assert "url(" not in paper
    assert "default-src 'none'" in paper


def test_nothing_runs_on_the_page_and_notebooks_are_fenced_in(paper):
    assert "script" not in parsed(paper).open
    assert 'sandbox="allow-popups"' in paper
    assert "&lt;script&gt;" in paper


def test_every_table_figure_and_notebook_is_shown_and_linked(paper):
    seen = parsed(paper)
    made = rows(5, printed=True)
    assert {f"tables/{key}.csv" for key in made} <= set(seen.linked)
    unseen = {key for key in made if key.startswith(("curves", "roc"))}
    assert made.keys() - unseen <= seen.ids
    assert {"figures/ood_eigenvalues_n5.pdf", "notebooks/generalization.ipynb"} <= set(
        seen.linked
    )
    assert seen.open.count("table") == len(made) - len(unseen)
    assert seen.open.count("figure") == seen.open.count("iframe") == 1


def test_every_link_within_the_page_leads_somewhere(paper):
    seen = parsed(paper)
    inner = {address[1:] for address in seen.linked if address.startswith("#")}
    assert inner
    assert inner <= seen.ids


def test_a_cell_shows_accuracy_interval_ceiling_and_what_was_printed(paper):
    tip = (
        "87.7 % of 5,000 test examples; 95 % interval 86.7 to 88.5; "
        "exact answer 96.4; paper 34"
    )
    assert paper.count(f'title="{tip}">87.7') == 49
    assert paper.count("<small>paper 34</small>") == 49
    assert "<small>86.7–88.5</small>" in paper


def test_learning_speed_says_when_and_else_how_far(paper):
    assert paper.count('title="best accuracy 97.5 %">2.4 M') == 7
    assert paper.count("not reached<small>best 97.5 %</small>") == 7
    assert paper.count("<small>paper 3.6 M</small>") == 14


def test_what_failures_keep_stands_beside_exact_answers_and_the_printed(paper):
    assert "deviation of all angles from π/2, wrong answers: below 0.05" in paper
    beside = ("exact 99.7", "paper 98.6", "notebook 98.864")
    cell = "".join(f"<small>{text}</small>" for text in beside)
    assert paper.count(f">61.0<small>60.0–62.0</small>{cell}</td>") == 3  # not at 1 %
    assert ">uniform wigner, base</th>" in paper


def test_a_rate_of_a_rule_says_its_threshold(paper):
    rule = "condition number of the eigenvectors"
    assert f"{rule}, threshold of the paper: right answers believed, %" in paper
    assert f"{rule}: area under the ROC curve" in paper
    tip = "5 k test examples; 95 % interval 60.0 to 62.0; threshold 1.04"
    assert paper.count(f'title="{tip}') == 1
    assert paper.count("<small>paper 99.94</small>") == 1
    assert ">0.610<small>0.600–0.620</small><small>exact 0.997</small>" in paper


def test_laws_are_named_as_printed(paper):
    assert ">abs-sc<" in paper
    assert ">abs_semicircle<" not in paper


def test_totals_of_what_ran_are_given(paper):
    assert "10.5 min" in paper  # 7 models of 90 s
    assert "7 models trained" in paper
    assert "node (cpu, processor)" in paper
    assert "2026-01-02 03:04 UTC" in paper


def test_a_revision_stays_text(paper):
    assert ">7e100000<" in paper


def test_what_is_not_printed_is_left_out(demo):
    assert "<small>paper" not in demo
    assert "The paper prints no table for this question and size." in demo
    assert not re.search(r"\bnan\b|None|&lt;NA&gt;", re.sub(r'srcdoc=".*?"', "", demo))


@pytest.mark.parametrize(
    ("scale", "marked"),
    [("paper", False), ("as_coded", False), ("demo", True), ("smoke", True)],
)
def test_a_shrunk_scale_is_marked_at_the_top(scale, marked, tmp_path):
    text = page(tmp_path, scale, rows(5, printed=True))
    assert ("is not the paper’s" in text) is marked
    assert f"<strong>{scale}</strong>" in text.split("<h1>")[0]


def test_what_comes_from_outside_is_escaped(paper):
    assert "<dd>&lt;b&gt;5 &lt; 6&lt;/b&gt;</dd>" in paper


def test_missing_scores_are_dashes(tmp_path):
    made = rows(5, printed=True)
    for row in made["ood_eigenvalues_n5"][:7]:
        row |= dict.fromkeys(("accuracy", "low", "high"))
    text = page(tmp_path, "paper", made)
    assert len(re.findall(r">–<small>paper \d+</small></td>", text)) == 7
    assert "nan" not in re.sub(r'srcdoc=".*?"', "", text)


def test_costs_stand_beside_what_was_foreseen(paper):
    row = "<td>4.00e+12</td><td>1.0 min</td><td>1.5 min</td><td>150 %</td><td>–</td>"
    squeezed = re.sub(r">\s+<", "><", paper)
    assert squeezed.count(f"{row}<td>0.03</td><td>–</td>") == 1
    together = "<td>8.00e+12</td><td>2.0 min</td><td>3.0 min</td><td>150 %</td>"
    assert together in squeezed
    assert "<td>1,200</td><td>6.0 s</td><td>–</td><td>–</td><td>250 MB</td>" in squeezed


def test_runs_of_which_little_is_known_are_shown(tmp_path):
    made = rows(5, printed=True)
    for row in made["runs"]:
        unknown = ("revision", "clean", "device", "cpu", "threads", "attempts")
        row |= dict.fromkeys(unknown)
    assert ">unknown</td>" in page(tmp_path, "paper", made)


def test_a_page_without_results_can_be_built():
    text = report.build(TEMPLATE, {}, {}, {}, {"scale": "demo", "full": False})
    assert parsed(text).open.count("table") == 0


def test_several_entries_stand_side_by_side(tmp_path):
    made = rows(5, printed=True) | rows(8, printed=False)
    text = page(tmp_path, "paper", made)
    assert text.count('title="87.7 %') == 98
    assert "eigenvalues, 5 × 5" in text
    assert "eigenvalues, 8 × 8" in text


def test_an_unknown_table_is_refused_with_the_known_ones(tmp_path):
    path = tmp_path / "else.csv"
    path.write_text("a\n1\n")
    with pytest.raises(InputError, match=r"'else'.*ood_TASK_nSIZE.*runs"):
        report.build(TEMPLATE, {"else": path}, {}, {}, {"scale": "demo"})


def test_settings_stand_beside_the_papers_and_differences_are_shaded():
    books = catalog.load(PROJECT / "config/config.yaml")
    page = report.build(TEMPLATE, {}, {}, {}, books.facts("demo"))
    cell = '<td class="shaded" style="--share: {}">{}</td>'
    examples = books.linalg("demo").recipe("eigenvalues", "base").schedule.examples
    assert cell.format("1.000", f"{examples:,}") in page
    assert "<td>36,000,000</td>" in page
    assert cell.format("0.000", "64") in page
