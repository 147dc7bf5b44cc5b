import math

import pytest
from synthetic import (
    CATALOG,
    PUBLISHED,
    accuracy_matrix,
    facts,
    frame,
    synthetic_tables,
)

from mathprobe.paper import pivots
from mathprobe.paper.tables import KINDS, Frame

VIEWS = pivots.pivot_functions()
LISTS = [
    name
    for name in VIEWS
    if name in KINDS or name in ("summaries", "oracle_comparisons")
]


@pytest.fixture(scope="module")
def demo():
    return synthetic_tables("demo"), facts("demo")


def test_a_square_has_every_distribution_in_order_and_a_ceiling_per_test(demo):
    (grid,) = VIEWS["ood"](*demo)
    distributions = demo[1]["distributions"]
    assert (
        grid.columns == [model.distribution for model in grid.models] == distributions
    )
    assert set(grid.cells) == {
        (a, "base", b) for a in distributions for b in distributions
    }
    assert grid.oracle.to_dict() == dict.fromkeys(distributions, 0.96)


def test_the_nearest_printed_size_stands_beside(demo):
    (grid,) = VIEWS["ood"](*demo)
    assert (grid.n, grid.published_n, grid.table_number) == (2, 5, 1)
    assert grid.published["uniform", "laplace"] == 0.7
    assert (grid.name, grid.title) == ("eigenvalues_n2", "eigenvalues, 2 × 2")


def test_a_title_has_the_number_of_the_same_size_alone():
    titles = [
        pivot.title for pivot in VIEWS["ood"](synthetic_tables("paper"), facts("paper"))
    ]
    assert titles[0] == "eigenvalues, 5 × 5 (Table 1 of the paper)"
    speeds = VIEWS["learning_speed"](synthetic_tables("paper"), facts("paper"))
    assert [speed.table_number for speed in speeds] == [6, 7, None]


def test_a_distribution_with_several_recipes_is_several_models():
    models = [
        {"task": "eigenvalues", "n": 5, "recipe": recipe, "distribution": "laplace"}
        for recipe in ("base", "attended")
    ]
    (grid,) = pivots.make_pivots("ood", frame(accuracy_matrix(models)), PUBLISHED)
    assert grid.models == [("laplace", "base"), ("laplace", "attended")]
    for (distribution, test), accuracy in grid.measured.items():
        assert accuracy == grid.cells[distribution, "base", test]["accuracy"]


def test_a_wide_pivot_has_its_distributions_in_the_order_of_all_tables(demo):
    rows = demo[0]["ood"].iloc[::-1]
    (grid,) = pivots.make_pivots("ood", rows, PUBLISHED)
    wide = grid.wide("accuracy")
    distributions = demo[1]["distributions"]
    assert (
        [distribution for distribution, _ in wide.index]
        == list(wide.columns)
        == distributions
    )
    for (distribution, recipe, test), row in grid.cells.items():
        assert wide.loc[(distribution, recipe), test] == row["accuracy"]


def test_what_is_not_there_is_a_row_without_numbers(demo):
    (grid,) = VIEWS["ood"](*demo)
    assert grid.cells["laplace", "other", "laplace"]["accuracy"] is None


def test_every_table_of_the_paper_is_summed_up_beside_its_printed_numbers():
    found = VIEWS["summaries"](synthetic_tables("paper"), facts("paper"))
    assert [square["pivot"].table_number for square in found] == [1, 2, 2, 3, 5]
    inverse = found[-1]["blocks"]["published"]
    assert (min(inverse["in_distribution"]), max(inverse["in_distribution"])) == (
        16,
        84,
    )
    assert max(inverse["positive_on_symmetric"]) == 3
    assert inverse["symmetric_on_marchenko"] == pytest.approx([0, 2, 5, 7])
    assert [square["compared"] for square in found] == [49, 49, 14, 49, 49]


def test_equal_squares_agree_and_constant_ones_say_nothing():
    cells = {("a", str(i)): i // 2 / 100 for i in range(6)}
    same = {"compared": 6, "rank": pytest.approx(1.0), "difference": 0.0}
    assert pivots.agreement(cells, cells) == same
    constant = pivots.agreement(cells, dict.fromkeys(cells, 0.01))
    assert math.isnan(constant["rank"])
    assert constant["difference"] == pytest.approx(2 / 3)
    assert pivots.agreement(cells, {})["compared"] == 0


def test_quantiles_stand_beside_the_printed_ones(demo):
    (view,) = VIEWS["condition_numbers"](*demo)
    assert view.columns == [0.5, 0.75, 0.9]
    assert [model.distribution for model in view.models] == demo[1]["distributions"]
    assert view.published["laplace", 0.9] == 99.5
    assert view.cells["laplace", 0.9]["value"] == 99.5


def test_models_are_grouped_by_where_they_ran(demo):
    tables, all_facts = demo
    (place,) = pivots.runs(tables, all_facts)
    assert len(place["rows"]) == len(CATALOG.all_models("demo"))
    rows = tables["runs"].copy()
    rows.loc[3, "device"] = "another GPU"
    assert len(pivots.runs({**tables, "runs": rows}, all_facts)) == 2


@pytest.mark.parametrize("view", LISTS)
def test_without_tables_there_is_nothing_to_see(view, demo):
    assert VIEWS[view]({}, demo[1]) == []


@pytest.mark.parametrize("view", LISTS)
def test_of_tables_without_rows_there_is_nothing_to_see(view, demo):
    tables, all_facts = demo
    empty = {kind: Frame(columns=rows.columns) for kind, rows in tables.items()}
    assert VIEWS[view](empty, all_facts) == []


@pytest.mark.parametrize(
    ("printed", "where"),
    [(0.85, "below"), (0.88, "below"), (0.89, "at"), (0.91, "at"), (0.92, "above")],
)
def test_a_printed_share_is_at_a_ceiling_where_rounding_leaves_that_open(
    printed, where
):
    assert pivots.verdict(printed, {"low": 0.89, "high": 0.91}) == where


def test_published_squares_stand_above_the_ceilings_of_their_tests(demo):
    found = pivots.oracle_comparisons(*demo)
    squares = {(s["oracle"].task, s["oracle"].n): s for s in found}
    assert list(squares) == [
        *(("eigenvalues", n) for n in (5, 8, 10)),
        *(("eigenvectors", 5), ("symmetric_inverse", 5)),
    ]
    easy, hard = squares["eigenvalues", 5], squares["symmetric_inverse", 5]
    assert easy["verdicts"]["laplace", "laplace"] == "at"
    assert hard["verdicts"]["abs_laplace", "abs_semicircle"] == "below"
    assert hard["oracle"].cells["laplace", 0.05]["oracle"] == 0.9


def test_ceilings_keep_distributions_together_that_are_compared(demo):
    groups = pivots.oracle_accuracies(*demo)
    sizes = {(g.task, g.n, g.first("input"), g.rows["test"].nunique()) for g in groups}
    assert ("eigenvectors", 5, "fp15", 7) in sizes
    assert ("eigenvectors", 5, "fp15", 1) in sizes
    assert ("eigenvectors", 5, "p1000", 1) in sizes
    assert {tuple(group.columns) for group in groups} == {(0.05, 0.02, 0.01, 0.005)}


def test_failures_are_seen_model_by_model_beside_the_nearest_printed_size(demo):
    found = VIEWS["failures"](synthetic_tables("paper"), facts("paper"))
    seen = {(view.task, view.n, view.first("recipe")): view for view in found}
    assert {key: view.published_n for key, view in seen.items()} == {
        ("eigenvectors", 5, "base"): 5,
        ("eigenvectors", 5, "half"): 5,
        ("eigenvectors", 6, "base"): 6,
        ("inverse", 5, "base"): 5,
    }
    place = ("norm_deviation", "all", None, "below", 0.01)
    half = seen["eigenvectors", 5, "half"]
    assert half.published[place] == pytest.approx(0.967)
    assert half.notebook == {}
    assert place in half.cells
    sizes = [view.published_n for view in VIEWS["failures"](*demo)]
    assert sizes == [5, 5, None]  # of symmetric inverses nothing is printed


def test_verifiers_are_seen_model_by_model(demo):
    seen = VIEWS["verifiers"](*demo)
    names = [view.first("verifier") for view in seen]
    assert names == ["vectors_condition", "matrix_condition", "matrix_condition"]
    printed = seen[0].published["vectors_condition", "paper", "right"]
    assert printed == pytest.approx(0.993)
    assert seen[0].cells["vectors_condition", "paper", "right"]["seeds"] == 2
