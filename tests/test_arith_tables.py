"""Accuracy of decoders with published numbers: table, pivots and macros."""

import csv

import pandas as pd
import pytest
from synthetic import (
    ARITH_FILES,
    CATALOG,
    PUBLISHED_ARITH,
    decoders,
    facts,
    frame,
    records,
)
from test_cli import refused, run

from mathprobe import files
from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.intervals import clopper_pearson
from mathprobe.paper import arith_macros, arith_pivots, arith_tables
from mathprobe.studies import arith_evidence

COUNTS = PUBLISHED_ARITH["arith_accuracy"]
NAME = "add_d5_l1_h3_t30K_s372001"
GROKFAST = "add_d10_l2_h3_t40K_gf_s572091"  # without published fails
MODELS = CATALOG.arith("paper").facts()["models"]


def accuracy(names, counts=(), losses=()):
    """Return the accuracy table of these models with these measurements."""
    keys = ["model", "operation", "class"]
    measured = pd.DataFrame(list(counts), columns=[*keys, *measurements(0)])
    curve = pd.DataFrame([{"model": NAME, "loss": loss} for loss in losses])
    curve = curve.reindex(columns=["model", "loss"])
    made = arith_tables.accuracy(measured, curve, PUBLISHED_ARITH)
    models = [model for model in MODELS if model["name"] in names]
    return records(arith_tables.add_model_columns("accuracy", models, made))


def measurements(fails):
    return {
        **{"questions": 1000, "fails": fails, "malformed": 0},
        **{"per_million": 1000.0 * fails, "low": 0.0, "high": 9.0, "nines": 2},
    }


def measured(fails, operation="addition", level="all", model=NAME):
    key = {"model": model, "operation": operation, "class": level}
    return {**key, **measurements(fails)}


def changed_macros(changed=(), scale="demo"):
    """Return the macros after changing rates of the synthetic table."""
    rows = decoders(scale)
    for row in rows:
        for model, operation, rate in changed:
            if (row["model"], row["operation"]) == (model, operation):
                row["per_million"] = rate if row["class"] == "all" else None
                row["high"] = 1.1 * rate
    return arith_macros.decoders({"arith_accuracy": frame(rows)}, facts(scale))


def test_published_numbers_are_merged():
    (row,) = accuracy([NAME], [measured(7)], losses=[1.0, 0.5])
    assert list(row) == arith_tables.COLUMNS["accuracy"]
    assert (row["family"], row["digits"]) == ("addition", 5)
    assert (row["fails"], row["loss"]) == (7, 0.5)
    assert (row["published"], row["published_loss"]) == (12621.0, 0.094)
    ends = clopper_pearson(12621, 10**6)
    found = row["published_low"], row["published_high"]
    assert found == pytest.approx([1e6 * end for end in ends])


def test_single_complexity_classes_have_no_published_number():
    whole, row = accuracy([NAME], [measured(7, level="S1")], losses=[0.5])
    assert row["class"] == "S1"
    assert row["published"] is row["published_loss"] is row["loss"] is None
    assert (whole["class"], whole["published"]) == ("all", 12621.0)


def test_a_missing_model_has_its_published_numbers():
    both = "mix_d5_l3_h4_t40K_s372001"
    rows = accuracy([both, GROKFAST, NAME])
    found = [(row["model"], row["operation"], row["published"]) for row in rows]
    assert found == [
        (NAME, "addition", 12621.0),
        (both, "addition", 0.0),
        (both, "subtraction", 0.0),
    ]
    assert all(row["fails"] is None for row in rows)


def test_rows_are_sorted_by_catalog_and_complexity():
    both = "mix_d5_l3_h4_t40K_s372001"
    counts = [
        measured(1, operation, level, both)
        for operation in ("subtraction", "addition")
        for level in ("all", "M0" if operation == "subtraction" else "S0")
    ]
    rows = accuracy([both, NAME], [*counts, measured(2)])
    found = [(row["model"], row["operation"], row["class"]) for row in rows]
    assert found == [
        (NAME, "addition", "all"),
        (both, "addition", "all"),
        (both, "addition", "S0"),
        (both, "subtraction", "all"),
        (both, "subtraction", "M0"),
    ]


def test_every_published_number_occurs_once():
    keys = {
        "arith_accuracy": ["model", "operation"],
        "arith_models": ["model"],
        "arith_circuits": ["model", "quantity"],
    }
    for name, key in keys.items():
        table = PUBLISHED_ARITH[name]
        assert not table.duplicated(key).any()
        assert set(table["source"]) <= {"table", "notebook", "text"}


def test_every_published_model_has_its_name_and_operations():
    rows = CATALOG.arith("paper").rows
    assert set(rows) <= set(PUBLISHED_ARITH["arith_models"]["model"])
    for name, row in rows.items():
        if not row.grokfast:
            asked = CATALOG.arith("paper").model(name).questions.shares
            assert list(COUNTS["operation"][COUNTS["model"] == name]) == list(asked)


def test_complexity_classes_are_summed_over_a_family():
    names = list(CATALOG.arith("demo").rows)
    families = ("addition", "addition", "mixed", "inserted")
    rows = [
        {"family": family, **measured(fails, level=level, model=name)}
        for name, family, fails in zip(names, families, (3, 4, 5, 6), strict=True)
        for level in ("N1", "M0", "S1")
    ]
    found = arith_pivots.by_class({"arith_accuracy": frame(rows)}, facts("demo"))
    assert list(found) == ["S1", "M0", "N1"]
    rates = {family: cell["per_million"] for family, cell in found["S1"].items()}
    assert rates == {"addition": 3500.0, "mixed": 5000.0, "inserted": 6000.0}
    ends = [found["S1"]["addition"][end] for end in ("low", "high")]
    assert ends == pytest.approx([1e6 * end for end in clopper_pearson(7, 2000)])


def test_macros_have_the_worst_rate_and_the_number_that_pass():
    one_layer, _, scratch, _ = CATALOG.arith("demo").rows
    numbers = changed_macros(
        [(one_layer, "addition", 9600.0), (scratch, "addition", 9.0)]
    )
    assert numbers["addition/worst/per_million"] == r"9\,600"
    assert numbers["mixed/worst/per_million"] == "9"
    assert numbers["models"] == numbers["tested"] == "4"
    assert numbers["passed"] == "3"
    assert [numbers[who] for who in ("parent", "scratch", "child")] == [
        *(r"add, 3 digits, 2 $\times$ 3 heads", r"both, 3 digits, 3 $\times$ 4 heads"),
        r"both, 3 digits, 3 $\times$ 4 heads, from parent",
    ]


def test_macros_count_published_models():
    """Of 49 models with a published count, 29 pass (stated: 40)."""
    worst = COUNTS.groupby("model")["fails"].max()
    (claim,) = arith_evidence.accuracy_claim(PUBLISHED_ARITH)
    numbers = arith_macros.accuracy_claim([{"evidence": "accuracy_claim", **claim}])
    assert numbers["models"] == str(len(worst)) == "49"
    passed = sum(worst < WRONG_PER_MILLION_LIMIT)
    assert numbers["passed"] == str(passed) == "29"


def test_macros_of_an_empty_record_are_dashes():
    numbers = arith_macros.decoders(
        {"arith_accuracy": frame(accuracy([NAME]))}, facts("paper")
    )
    assert numbers["measured"] == "no"
    assert numbers["child"] == numbers["addition/worst/fails"] == "---"
    assert numbers["tested"] == "0"


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a model with a curve and an accuracy."""
    folder = tmp_path / NAME
    folder.mkdir()
    curve = "seed,examples,test,accuracy,malformed,loss,loss_A0"
    (folder / "curve.csv").write_text(f"{curve}\n1,64,addition,0.5,0.0,0.5,1.0\n")
    header = "operation,class,questions,fails,malformed,per_million,low,high,nines"
    (folder / "accuracy.csv").write_text(f"{header}\naddition,all,10,1,0,1e5,1,2,1\n")
    return folder


def make(kind, folder):
    """Write and read the table of two models; one has a folder."""
    named = (NAME, "sub_d6_l2_h3_t30K_s372001")
    models = [model for model in MODELS if model["name"] in named]
    settings, out = folder.parent / "facts.json", folder.parent / "table.csv"
    files.write_json(settings, {"arith": {"models": models}})
    given = "--facts", settings, "--published", *ARITH_FILES, "--models", folder
    run("arith_table", kind, out, *given)
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def test_curves_are_concatenated(folder):
    (row,) = make("curves", folder)
    assert list(row) == arith_tables.COLUMNS["curves"]
    assert (row["model"], row["family"], row["loss"]) == (NAME, "addition", "0.5")


def test_the_command_writes_the_table_of_all_models(folder):
    rows = make("accuracy", folder)
    assert [row["fails"] for row in rows] == ["1", ""]
    assert [row["published"] for row in rows] == ["12621.0", "2.0"]
    assert [row["family"] for row in rows] == ["addition", "subtraction"]
    assert [row["loss"] for row in rows] == ["0.5", ""]


def test_an_unknown_kind_is_refused(folder, tmp_path):
    files.write_json(tmp_path / "facts.json", {"arith": {"models": MODELS}})
    given = "--facts", tmp_path / "facts.json", "--published", *ARITH_FILES
    message = refused(
        "arith_table", "rates", tmp_path / "t", *given, "--models", folder
    )
    assert "unknown kind 'rates'; known are accuracy" in message
