import pytest

from mathprobe import catalog
from mathprobe.linalg import scores
from mathprobe.paper import tables
from mathprobe.paper.tables import Trained

LAWS = ("semicircle", "laplace")


@pytest.fixture(scope="module")
def published():
    return catalog.read("paper/published/charton2022.yaml")


def model(law, n=5, accuracies=(0.5,)):
    data = {"task": "eigenvalues", "law": law, "n": n, "columns": n}
    data |= {"law_settings": {}}
    schedule = {"curve_every": 100, "examples": 400}
    spec = {"data": data, "schedule": schedule, "curve": {"tests": ["semicircle"]}}
    spec |= {"seeds": len(accuracies), "precision": "float32"}
    scores = [
        {
            **{"seed": seed, "test": test, "tolerance": tolerance},
            **{"examples": 10, "correct": 10 * accuracy},
            **{"malformed": 0.0, "accuracy": accuracy, "low": 0.2, "high": 0.8},
            "oracle": 1.0,
        }
        for test in LAWS
        for tolerance in (0.05, 0.01)
        for seed, accuracy in enumerate(accuracies, 1)
    ]
    curve = [
        {"seed": seed, "examples": 100 * k, "test": "semicircle", "loss": 1.0}
        | {"accuracy": 0.5 * accuracy * k, "malformed": 0.0}
        for k in (1, 2, 3)
        for seed, accuracy in enumerate(accuracies, 1)
    ]
    run = {
        "spec": spec,
        "versions": {"torch": "2.13.0"},
        "machine": "m",
        "seconds": 1.0,
    }
    return Trained("base", run, scores, curve)


def columns(rows, kind):
    rows = list(rows)
    assert rows
    assert all(set(row) <= set(tables.COLUMNS[kind]) for row in rows)
    return rows


def test_out_of_distribution_has_the_promised_columns():
    assert tables.COLUMNS["ood"] == (
        *("train", "test", "n", "recipe", "seeds", "examples"),
        *("accuracy", "low", "high", "oracle", "published", "spread"),
    )


def test_published_shares_stand_beside_ours(published):
    rows = columns(tables.ood([model(law) for law in LAWS], published), "ood")
    shown = {(row["train"], row["test"]): row["published"] for row in rows}
    assert shown == {
        ("semicircle", "semicircle"): 1.0,
        ("semicircle", "laplace"): 0.39,
        ("laplace", "semicircle"): 1.0,
        ("laplace", "laplace"): 1.0,
    }


def test_one_seed_has_an_interval_and_no_spread(published):
    row = next(tables.ood([model("laplace")], published))
    assert (row["seeds"], row["accuracy"], row["spread"]) == (1, 0.5, None)
    assert (row["low"], row["high"]) == scores.wilson(5, 10)


def test_several_seeds_have_their_mean_and_spread(published):
    row = next(tables.ood([model("laplace", accuracies=(0.4, 0.6, 0.8))], published))
    assert (row["seeds"], row["examples"]) == (3, 10)
    assert row["accuracy"] == pytest.approx(0.6)
    assert row["spread"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == scores.wilson(6, 10)


def test_learning_speed_of_several_seeds_needs_all_of_them(published):
    several = [model("laplace", accuracies=(0.5, 1.0))]
    (row,) = tables.learning_speed(several, published, 0.5)
    assert (row["seeds"], row["reached"], row["examples"]) == (2, 2, 150)
    assert row["spread"] == pytest.approx(100 / 2**0.5)
    assert row["best"] == pytest.approx((0.75 + 1.5) / 2)
    (row,) = tables.learning_speed(several, published, 0.9)
    assert (row["reached"], row["examples"], row["spread"]) == (1, None, None)


def test_nothing_stands_where_nothing_was_published(published):
    rows = columns(tables.ood([model("laplace", n=2)], published), "ood")
    assert {row["published"] for row in rows} == {None}


def test_tolerances_are_those_of_the_own_law(published):
    rows = columns(tables.tolerances([model("laplace")], published), "tolerances")
    assert [(row["law"], row["tolerance"]) for row in rows] == [
        ("laplace", 0.05),
        ("laplace", 0.01),
    ]


@pytest.mark.parametrize(
    ("target", "reached"),
    [(0.5, 200), (0.6, 240), (0.1, 40), (0.75, 300), (0.76, None)],
)
def test_learning_speed_is_interpolated_where_it_is_first_reached(
    published, target, reached
):
    (row,) = columns(
        tables.learning_speed([model("laplace")], published, target), "learning_speed"
    )
    assert row["examples"] == reached
    assert (row["resolution"], row["budget"], row["best"]) == (100, 400, 0.75)
    assert row["published"] == 2_700_000


def test_a_curve_that_falls_again_counts_from_its_first_crossing():
    points = [(1, 0.0), (2, 1.0), (3, 0.0), (4, 1.0)]
    assert tables.first_reached(points, 0.5) == 1.5


def test_quantiles_meet_their_published_ones(published):
    row = {"law": "marchenko_pastur", "n": 5, "quantile": 0.9}
    (shown,) = tables.condition_numbers([row], published)
    assert shown["published"] == 5293
    (other,) = tables.condition_numbers([{**row, "n": 4}], published)
    assert other["published"] is None


def test_runs_name_the_model_by_its_path(published):
    (row,) = columns(tables.runs([model("laplace")], published), "runs")
    assert row["model"] == "eigenvalues/laplace/n5/base"
    assert (row["torch"], row["machine"]) == ("2.13.0", "m")


def test_cells_are_typed_and_an_empty_one_is_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("law,n,share,clean,revision\nlaplace,5,,True,7e10\n")
    assert tables.read(path) == [
        {"law": "laplace", "n": 5, "share": None, "clean": True, "revision": "7e10"}
    ]
