"""The accuracy of decoders beside published numbers, as table, view and prose."""

import csv
import json

import pytest
from made_up import CATALOG, PAPER, decoders, facts
from test_cli import refused, run

from mathprobe.arith.claims import PASSED_BELOW
from mathprobe.catalog import read
from mathprobe.intervals import clopper_pearson
from mathprobe.paper import arith_numbers, arith_tables, arith_views

PUBLISHED = read(PAPER / "published" / "quirke2024.yaml")
NAME = "add_d5_l1_h3_t30K_s372001"
GROKFAST = "add_d10_l2_h3_t40K_gf_s572091"  # of which no fails are printed


def decoder(name, curve=(), rows=()):
    """A model of the paper of which this is there."""
    described = {"name": name, **CATALOG.arith("paper").rows[name].plain()}
    return arith_tables.Decoder(described, list(curve), list(rows))


def measured(fails, operation="addition", level="all"):
    return {
        **{"operation": operation, "class": level, "questions": 1000},
        **{"fails": fails, "malformed": 0, "per_million": 1000.0 * fails},
        **{"low": 0.0, "high": 9.0, "nines": 2},
    }


def prose(changed=(), scale="demo"):
    """Numbers of the prose when some rows of the made-up table are others."""
    rows = decoders(scale)
    for row in rows:
        for model, operation, rate in changed:
            if (row["model"], row["operation"]) == (model, operation):
                row["per_million"] = rate if row["class"] == "all" else None
    return arith_numbers.decoders({"arith_accuracy": rows}, facts(scale))


def test_published_numbers_stand_beside_measured_ones():
    model = decoder(NAME, [{"loss": 1.0}, {"loss": 0.5}], [measured(7)])
    (row,) = arith_tables.accuracy([model], PUBLISHED)
    assert tuple(row) == arith_tables.COLUMNS["accuracy"]
    assert (row["family"], row["digits"]) == ("addition", 5)
    assert (row["fails"], row["loss"]) == (7, 0.5)
    assert (row["published"], row["published_loss"]) == (12621.0, 0.094)
    ends = clopper_pearson(12621, 10**6)
    found = row["published_low"], row["published_high"]
    assert found == pytest.approx([1e6 * end for end in ends])


def test_only_the_whole_of_an_operation_has_a_published_number():
    model = decoder(NAME, [{"loss": 0.5}], [measured(7, level="S1")])
    (row,) = arith_tables.accuracy([model], PUBLISHED)
    assert row["published"] is row["published_loss"] is row["loss"] is None


def test_a_model_that_is_not_there_has_what_is_printed():
    names = [NAME, GROKFAST, "mix_d5_l3_h4_t40K_s372001"]
    models = [decoder(name) for name in names]
    rows = list(arith_tables.accuracy(models, PUBLISHED))
    found = [(row["model"], row["operation"], row["published"]) for row in rows]
    assert found == [
        (NAME, "addition", 12621.0),
        (names[2], "addition", 0.0),
        (names[2], "subtraction", 0.0),
    ]
    assert all(row["fails"] is None for row in rows)


def test_every_printed_model_of_the_44_has_its_name_and_operations():
    rows = CATALOG.arith("paper").rows
    assert set(rows) <= set(PUBLISHED["accuracy"])
    for name, row in rows.items():
        printed = PUBLISHED["accuracy"][name]
        if not row.grokfast:
            asked = CATALOG.arith("paper").model(name).questions.shares
            counted = [o for o in ("addition", "subtraction") if printed[o] is not None]
            assert counted == list(asked)


def test_classes_are_summed_up_over_a_family():
    names = list(CATALOG.arith("demo").rows)
    families = ("addition", "addition", "mixed", "inserted")
    rows = [
        {"model": name, "family": family, **measured(fails, level="S1")}
        for name, family, fails in zip(names, families, (3, 4, 5, 6), strict=True)
    ]
    (row,) = arith_views.by_class({"arith_accuracy": rows}, facts("demo"))
    assert row["class"] == "S1"
    assert {who: cell["fails"] for who, cell in row["cells"].items()} == {
        "addition": 7,
        "mixed": 5,
        "inserted": 6,
    }
    assert row["cells"]["addition"]["per_million"] == 3500.0


def test_prose_names_the_worst_and_counts_who_passes():
    one_layer, two_layers, scratch, child = CATALOG.arith("demo").rows
    numbers = prose([(one_layer, "addition", 9600.0), (scratch, "addition", 9.0)])
    assert numbers["arith/addition/worst"] == r"9\,600"
    assert numbers["arith/mixed/worst"] == "9"
    assert numbers["arith/models"] == numbers["arith/there"] == "4"
    assert numbers["arith/passed"] == "3"
    parts = [numbers[f"arith/{who}"] for who in ("parent", "scratch", "child")]
    assert [part.replace(r"\_", "_") for part in parts] == [two_layers, scratch, child]


def test_prose_counts_what_is_published():
    """Of the 44, 43 have a count; 28 of the 40 that are stated pass, none by far."""
    numbers = prose(scale="paper")
    counts = [
        [one[o] for o in ("addition", "subtraction") if one[o] is not None]
        for name, one in PUBLISHED["accuracy"].items()
        if name in CATALOG.arith("paper").rows
    ]
    counts = [count for count in counts if count]
    assert numbers["arith/printed"] == str(len(counts)) == "43"
    passed = sum(max(count) < PASSED_BELOW for count in counts)
    assert numbers["arith/published/passed"] == str(passed) == "28"


def test_prose_of_a_record_that_is_empty_has_dashes():
    table = arith_tables.accuracy([decoder(NAME)], PUBLISHED)
    numbers = arith_numbers.decoders({"arith_accuracy": list(table)}, facts("paper"))
    assert numbers["arith/shown"] == "no"
    assert numbers["arith/child"] == numbers["arith/addition/worst"] == "---"
    assert numbers["arith/there"] == "0"


def test_curves_are_put_together_by_model():
    point = {"seed": 1, "examples": 64, "test": "addition", "accuracy": 0.5}
    point |= {"malformed": 0.0, "loss": 2.0, "loss_A0": 1.0}
    rows = list(arith_tables.curves([decoder(NAME, [point, point])], PUBLISHED))
    assert len(rows) == 2
    assert tuple(rows[0]) == arith_tables.COLUMNS["curves"]
    assert (rows[0]["model"], rows[0]["loss"]) == (NAME, 2.0)


def test_rows_that_are_none_are_named(tmp_path):
    published = "--published", PAPER / "published" / "quirke2024.yaml"
    given = *published, "--rows", "{", "--models"
    assert "--rows: not JSON" in refused(
        "arith_table", "curves", tmp_path / "t", *given
    )


def test_the_command_makes_the_table_of_folders_and_rows(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "curve.csv").write_text("examples,loss\n64,0.5\n")
    header = "operation,class,questions,fails,malformed,per_million,low,high,nines"
    (folder / "accuracy.csv").write_text(f"{header}\naddition,all,10,1,0,1e5,1,2,1\n")
    named = (NAME, "sub_d6_l2_h3_t30K_s372001")
    rows = json.dumps([decoder(name).described for name in named])
    published = "--published", PAPER / "published" / "quirke2024.yaml"
    out = tmp_path / "table.csv"
    given = *published, "--rows", rows, "--models", folder
    run("arith_table", "accuracy", out, *given)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fails"] for row in rows] == ["1", ""]
    assert [row["published"] for row in rows] == ["12621.0", "2.0"]
    assert [row["family"] for row in rows] == ["addition", "subtraction"]
