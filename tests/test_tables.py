"""Tidy tables: means over seeds, published numbers and missing models."""

import io

import pandas as pd
import pytest
from synthetic import (
    PUBLISHED,
    frame,
    measured_properties,
    measured_rates,
    model_result,
    run_of,
)

from mathprobe.errors import InputError
from mathprobe.intervals import wilson
from mathprobe.paper import tables
from mathprobe.paper.tables import KINDS, STATISTIC_KEYS, records
from mathprobe.registry import UnknownName

DISTRIBUTIONS = ("semicircle", "laplace")
MADE = [kind for kind in KINDS if KINDS[kind].build]


def scored(distribution, n=5, accuracies=(0.5,)):
    """Return scores of a model whose seeds have these accuracies."""
    rows = [
        {
            **{"seed": seed, "test": test, "tolerance": tolerance},
            **{"examples": 10, "correct": 10 * accuracy},
            **{"malformed": 0.0, "accuracy": accuracy, "low": 0.2, "high": 0.8},
            "oracle": 1.0,
        }
        for test in DISTRIBUTIONS
        for tolerance in (0.05, 0.01)
        for seed, accuracy in enumerate(accuracies, 1)
    ]
    return model_result("eigenvalues", distribution, n, "base", rows)


def learned(distribution, accuracies=(0.5,)):
    """Return a curve whose seeds reach 0.5, 1 and 1.5 times these accuracies."""
    rows = [
        {"seed": seed, "examples": 100 * k, "test": "semicircle", "loss": 1.0}
        | {"accuracy": 0.5 * accuracy * k, "malformed": 0.0}
        for k in (1, 2, 3)
        for seed, accuracy in enumerate(accuracies, 1)
    ]
    return model_result("eigenvalues", distribution, 5, "base", rows)


def made(kind, *models, missing=(), target=None):
    """Return all rows of a table, measured or missing."""
    paths = ["{0}/{2}/n{1}/{3}".format(*model.name) for model in models]
    paths += missing
    targets = [] if target is None else [(path, target) for path in paths]
    table = tables.build(kind, models, PUBLISHED, missing, targets)
    assert tuple(table) == KINDS[kind].columns
    return records(table)


def measured(kind, *models, **options):
    rows = made(kind, *models, **options)
    column = "value" if "value" in KINDS[kind].columns else "seeds"
    return [row for row in rows if row[column] is not None]


def test_ood_has_the_documented_columns():
    assert KINDS["ood"].columns == (
        *("task", "train", "test", "n", "recipe", "seeds", "examples"),
        *("accuracy", "low", "high", "oracle", "published", "spread"),
    )


@pytest.mark.parametrize("kind", MADE)
def test_every_table_has_columns_for_task_and_size(kind):
    assert {"task", "n"} <= set(KINDS[kind].columns)


def test_published_shares_are_merged():
    rows = measured("ood", *map(scored, DISTRIBUTIONS))
    shown = {(row["train"], row["test"]): row["published"] for row in rows}
    assert shown == {
        ("semicircle", "semicircle"): 1.0,
        ("semicircle", "laplace"): 0.39,
        ("laplace", "semicircle"): 1.0,
        ("laplace", "laplace"): 1.0,
    }


def test_one_seed_has_an_interval_and_no_spread():
    row = measured("ood", scored("laplace"))[0]
    assert (row["seeds"], row["accuracy"], row["spread"]) == (1, 0.5, None)
    assert (row["low"], row["high"]) == wilson(5, 10)


def test_several_seeds_have_their_mean_and_spread():
    row = measured("ood", scored("laplace", accuracies=(0.4, 0.6, 0.8)))[0]
    assert (row["seeds"], row["examples"]) == (3, 10)
    assert row["accuracy"] == pytest.approx(0.6)
    assert row["spread"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == wilson(6, 10)


def test_learning_speed_of_several_seeds_needs_all_of_them():
    several = learned("laplace", (0.5, 1.0))
    row = measured("learning_speed", several, target=0.5)[0]
    assert (row["seeds"], row["reached"], row["examples"]) == (2, 2, 150)
    assert row["spread"] == pytest.approx(100 / 2**0.5)
    assert row["best"] == pytest.approx((0.75 + 1.5) / 2)
    row = measured("learning_speed", several, target=0.9)[0]
    assert (row["reached"], row["examples"], row["spread"]) == (1, None, None)


def test_an_unpublished_size_has_no_published_numbers():
    rows = measured("ood", scored("laplace", n=2))
    assert {row["published"] for row in rows} == {None}


def test_measured_and_published_rows_are_joined_outer():
    rows = made("learning_speed", learned("laplace"), target=0.5)
    shown = {row["test"]: (row["seeds"], row["published"]) for row in rows}
    assert shown == {"semicircle": (1, 2_700_000), "abs_semicircle": (None, 2_400_000)}


def test_tolerances_are_of_the_training_distribution():
    rows = measured("tolerances", scored("laplace"))
    assert [(row["train"], row["tolerance"]) for row in rows] == [
        ("laplace", 0.05),
        ("laplace", 0.01),
    ]


@pytest.mark.parametrize(
    ("target", "reached"),
    [(0.5, 200), (0.6, 240), (0.1, 40), (0.75, 300), (0.76, None)],
)
def test_learning_speed_is_interpolated_at_the_first_crossing(target, reached):
    (row,) = measured("learning_speed", learned("laplace"), target=target)
    assert row["examples"] == reached
    assert (row["resolution"], row["budget"], row["best"]) == (100, 400, 0.75)
    assert row["published"] == 2_700_000


def test_a_curve_that_falls_again_counts_its_first_crossing():
    points = {"examples": [1, 2, 3, 4], "accuracy": [0.0, 1.0, 0.0, 1.0]}
    assert tables.examples_to_reach(pd.DataFrame(points), 0.5) == 1.5


def test_quantiles_have_their_published_values():
    row = {"distribution": "marchenko_pastur", "n": 5, "quantile": 0.9}
    same, other = (
        tables.condition_numbers([{**row, "n": n}], PUBLISHED)["published"]
        for n in (5, 4)
    )
    assert same.item() == 5293
    assert other.isna().all()


def test_runs_have_the_path_of_the_model():
    run = run_of("eigenvalues", "laplace", 5) | {"machine": "m", "clean": True}
    run["spec"] |= {"seeds": 3, "precision": "float32"}
    (row,) = made("runs", tables.model_rows("base", run))
    assert row["model"] == "eigenvalues/laplace/n5/base"
    assert (row["torch"], row["machine"], row["clean"]) == ("2.13.0", "m", True)
    assert (row["seeds"], row["precision"], row["joules"]) == (3, "float32", None)


def test_cells_are_typed_and_empty_cells_are_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "distribution,n,share,clean,revision,seeds,seed\nNA,5,,True,7e10,,oracle\n"
    )
    assert records(tables.read(path)) == [
        {"distribution": "NA", "n": 5, "share": None, "clean": True, "revision": "7e10"}
        | {"seeds": None, "seed": "oracle"}
    ]


def test_a_rectangle_has_its_size_as_text():
    rows = tables.read(io.StringIO("n\n5\n5x3\n"))
    assert rows["n"].tolist() == [5, "5x3"]


def test_a_table_round_trips(tmp_path):
    table = tables.build("ood", [scored("laplace", accuracies=(0.25, 0.75))], PUBLISHED)
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    tables.write(first, table, KINDS["ood"].columns)
    tables.write(second, tables.read(first), KINDS["ood"].columns)
    assert first.read_bytes() == second.read_bytes()
    assert b"laplace,semicircle,5,base,2,10,0.5," in first.read_bytes()


def test_the_kind_of_a_table_follows_from_its_columns(tmp_path):
    for name, distribution in (("a", "laplace"), ("b", "uniform")):
        table = tables.build("ood", [scored(distribution)], PUBLISHED)
        tables.write(tmp_path / f"{name}.csv", table, KINDS["ood"].columns)
    (tmp_path / "evidence.csv").write_text("evidence,value\nx,1\n")
    found = tables.read_by_kind(sorted(tmp_path.iterdir()))
    assert set(found) == {"ood", "evidence"}
    assert set(found["ood"]["train"]) == {"laplace", "uniform"}


MAIN = [  # models with published numbers in sections 2 and 3
    *(("eigenvectors", "uniform_wigner", n, "base") for n in (5, 6)),
    ("eigenvectors", "uniform_wigner", 5, "half"),
    ("inverse", "uniform_coefficients", 5, "base"),
]


def published_rows(printed, task, distribution, n, recipe):
    names = {"task": task, "train": distribution, "n": n, "recipe": recipe}
    return printed[(printed[list(names)] == pd.Series(names)).all(axis=1)]


@pytest.mark.parametrize("model", MAIN)
def test_every_published_property_has_its_row(model):
    rows = measured("failures", model_result(*model, measured_properties(*model[:3])))
    printed = records(published_rows(PUBLISHED["failures"], *model))
    assert printed
    shown = {tuple(row[key] for key in STATISTIC_KEYS): row for row in rows}
    for column in ("published", "notebook"):
        known = sum(row[column] is not None for row in rows)
        assert known == sum(row[column] is not None for row in printed)
        for row in printed:
            key = tuple(row[name] for name in STATISTIC_KEYS)
            assert shown[key][column] == row[column]


def test_all_published_statistics_are_of_the_main_models():
    for kind in ("failures", "verifiers"):
        names = PUBLISHED[kind][["task", "train", "n", "recipe"]].drop_duplicates()
        assert set(names.itertuples(index=False, name=None)) <= set(MAIN)


@pytest.mark.parametrize("model", [MAIN[0], MAIN[-1]])
def test_every_published_rate_has_its_row(model):
    rows = measured("verifiers", model_result(*model, measured_rates(*model[:2])))
    shown = [row for row in rows if row["published"] is not None]
    printed = records(published_rows(PUBLISHED["verifiers"], *model))
    keys = ("verifier", "chosen_by", "threshold", "statistic", "published")
    expected = [tuple(row[key] for key in keys) for row in printed]
    assert sorted(tuple(row[key] for key in keys) for row in shown) == sorted(expected)


@pytest.mark.parametrize(
    "model",
    [
        ("eigenvectors", "uniform_wigner", 2, "base"),
        ("eigenvectors", "laplace", 5, "base"),
        ("symmetric_inverse", "uniform_coefficients", 5, "base"),
        ("inverse", "uniform_coefficients", 5, "half"),
    ],
)
def test_other_models_have_no_published_numbers(model):
    rows = made("failures", model_result(*model, measured_properties(*model[:3])))
    assert rows
    assert {row["published"] for row in rows} == {None} == {r["notebook"] for r in rows}


def test_failures_are_in_distribution_with_oracle_values():
    model = MAIN[0]
    rows = measured("failures", model_result(*model, measured_properties(*model[:3])))
    assert {row["test"] for row in rows} == {"uniform_wigner"}
    first = rows[0]
    assert (first["seeds"], first["value"], first["oracle"]) == (1, 1.0, 1.0)
    mixed = "eigenvectors", "laplace+uniform_wigner", 5, "base"
    rows = measured("failures", model_result(*mixed, measured_properties(*model[:3])))
    assert {row["test"] for row in rows} == {"laplace", "uniform_wigner"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.5, 0.7), (2, pytest.approx(0.6), pytest.approx(0.02**0.5), 0.0)),
        ((None, 0.7), (1, 0.7, None, 0.0)),
        ((None, None), (0, None, None, 0.0)),
    ],
)
def test_rates_are_means_over_the_seeds_with_a_value(values, expected):
    task, distribution = "inverse", "uniform_coefficients"
    rows = made(
        "verifiers",
        model_result(
            task, distribution, 2, "base", measured_rates(task, distribution, values)
        ),
    )
    assert (
        tuple(rows[0][key] for key in ("seeds", "value", "spread", "low")) == expected
    )
    assert (rows[0]["oracle"], rows[0]["threshold"]) == (1.0, 62.0)


def test_points_of_roc_curves_have_the_name_of_their_model():
    point = {"seed": "1", "verifier": "matrix_condition", "threshold": 3.0}
    point |= {"false_positive_rate": 0.25, "true_positive_rate": 0.5}
    point |= {"test": "uniform_coefficients"}
    (row,) = made(
        "roc", model_result("inverse", "uniform_coefficients", 2, "base", [point])
    )
    name = {"task": "inverse", "train": "uniform_coefficients", "n": 2}
    assert row == {**point, **name, "recipe": "base"}


def test_a_missing_model_comes_last_with_its_published_numbers():
    rows = made("ood", scored("semicircle"), missing=["eigenvalues/laplace/n5/base"])
    missing = [row for row in rows if row["train"] == "laplace"]
    assert rows[-len(missing) :] == missing
    assert [row["published"] for row in missing] == 7 * [1.0]
    assert {(row["accuracy"], row["n"]) for row in missing} == {(None, 5)}


@pytest.mark.parametrize("kind", MADE)
def test_tables_of_missing_models_have_no_measured_numbers(kind):
    options = {"target": 0.9} if kind == "learning_speed" else {}
    missing = ["eigenvectors/uniform_wigner/n5/base", "eigenvectors/gaussian/n5/base"]
    rows = made(kind, missing=missing, **options)
    assert all(row.get("seeds") is None for row in rows)
    numbers = [row["published"] for row in rows if row.get("published") is not None]
    assert bool(numbers) == (KINDS[kind].published is not None and kind != "curves")
    if kind == "learning_speed":
        assert {row["target"] for row in rows} == {0.9}
    if kind == "verifiers":
        assert {(row["chosen_by"], row["threshold"]) for row in rows} == {
            ("paper", 1.045)
        }


def test_a_missing_unpublished_model_has_rows_of_accuracies():
    rows = made("ood", missing=["transpose/uniform_coefficients/n5x3/base"])
    assert [(row["n"], row["published"]) for row in rows] == 2 * [("5x3", None)]


@pytest.mark.parametrize("kind", MADE)
def test_a_table_of_no_models_is_empty(kind):
    assert made(kind) == []


def test_an_invalid_path_of_a_model_is_refused():
    with pytest.raises(InputError, match=r"eigenvalues/laplace.*size"):
        made("ood", missing=["eigenvalues/laplace"])


@pytest.mark.parametrize(
    ("kind", "message"), [("oods", "known names are ood"), ("evidence", "not")]
)
def test_a_kind_that_is_not_built_from_models_is_refused(kind, message):
    with pytest.raises((InputError, UnknownName), match=message):
        tables.build(kind, [], PUBLISHED)


def test_a_model_without_rows_makes_an_empty_table():
    rows = frame([{"seed": 1, "test": "a", "verifier": "b", "threshold": 1.0}]).iloc[:0]
    model = tables.model_rows(
        "base", run_of("inverse", "uniform_coefficients", 2), rows
    )
    assert made("roc", model) == []


def test_costs_are_hours_of_one_core_or_of_a_gpu():
    same = {"seconds": 1800.0, "examples": 300, "joules": None, "finished": None}
    matrices = run_of("eigenvalues", "laplace", 5) | same
    matrices["spec"] = {**matrices["spec"], "seeds": 3}
    name = {"name": "add_d5", "questions": {"shares": {"addition": 1.0}}}
    decoder = {"spec": {**name, "schedule": {"updates": 10, "batch": 64}}, **same}
    runs = [
        ("base", {**matrices, "device": "cpu", "threads": 4}),
        ("add_d5", {**decoder, "device": "some GPU", "threads": 4}),
    ]
    first, second = records(tables.costs(runs))
    assert (first["examples"], second["examples"]) == (900, 300)  # of all seeds
    assert (first["hours"], second["hours"]) == (2.0, 0.5)
    assert first["model"] == "eigenvalues/laplace/n5/base"
    assert first["kind"] == "eigenvalues, n = 5, base"
    assert (second["model"], second["kind"]) == ("add_d5", "addition")
    assert (first["total"], second["total"]) == (1200, 640)


def test_a_table_without_rows_does_not_change_the_types_of_others(tmp_path):
    for name, rows in (("full", "5,0.5\n"), ("empty", "")):
        (tmp_path / name).write_text(f"n,accuracy\n{rows}", encoding="utf-8")
    both = tables.read_concat([tmp_path / "full", tmp_path / "empty"])
    assert both["accuracy"].dtype == float
