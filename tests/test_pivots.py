import math

import pytest
from synthetic import (
    CATALOG,
    EMPTY_TABLES,
    PUBLISHED,
    accuracy_matrix,
    facts,
    frame,
    synthetic_tables,
)

from mathprobe.paper import latex, pivots
from mathprobe.paper.tables import KINDS

FUNCTIONS = latex.pivot_functions()
# Findings have no pivots: they have a row per claim, also without results.
LISTS = [
    *(kind for kind in KINDS if kind != "findings"),
    "summaries",
    "oracle_comparisons",
]


@pytest.fixture(scope="module")
def demo():
    return synthetic_tables("demo"), facts("demo")


def test_an_accuracy_matrix_is_sorted_and_has_oracle_accuracies(demo):
    (pivot,) = FUNCTIONS["ood"](*demo)
    distributions = demo[1]["distributions"]
    assert (
        pivot.columns == [model.distribution for model in pivot.models] == distributions
    )
    assert set(pivot.cells) == {
        (a, "base", b) for a in distributions for b in distributions
    }
    assert pivot.oracle.to_dict() == dict.fromkeys(distributions, 0.96)


def test_a_pivot_has_the_nearest_published_size(demo):
    (pivot,) = FUNCTIONS["ood"](*demo)
    assert (pivot.n, pivot.published_n, pivot.table_number) == (2, 5, 1)
    assert pivot.published["uniform", "laplace"] == 0.7
    assert (pivot.name, pivot.title) == ("eigenvalues_n2", "eigenvalues, 2 × 2")


def test_a_title_has_a_table_number_only_for_the_same_size():
    titles = [
        pivot.title
        for pivot in FUNCTIONS["ood"](synthetic_tables("paper"), facts("paper"))
    ]
    assert titles[0] == "eigenvalues, 5 × 5 (Table 1 of Charton, 2022)"
    speeds = FUNCTIONS["learning_speed"](synthetic_tables("paper"), facts("paper"))
    assert [speed.table_number for speed in speeds] == [6, 7, None]


def test_a_distribution_with_several_recipes_is_several_models():
    models = [
        {"task": "eigenvalues", "n": 5, "recipe": recipe, "distribution": "laplace"}
        for recipe in ("base", "attended")
    ]
    (pivot,) = pivots.make_pivots("ood", frame(accuracy_matrix(models)), PUBLISHED)
    assert pivot.models == [("laplace", "base"), ("laplace", "attended")]
    for (distribution, test), accuracy in pivot.measured.items():
        assert accuracy == pivot.cells[distribution, "base", test]["accuracy"]


def test_a_wide_pivot_has_sorted_distributions(demo):
    rows = demo[0]["ood"].iloc[::-1]
    (pivot,) = pivots.make_pivots("ood", rows, PUBLISHED)
    wide = pivot.wide("accuracy")
    distributions = demo[1]["distributions"]
    assert (
        [distribution for distribution, _ in wide.index]
        == list(wide.columns)
        == distributions
    )
    for (distribution, recipe, test), row in pivot.cells.items():
        assert wide.loc[(distribution, recipe), test] == row["accuracy"]


def of_recipes(**oracle):
    """Return an accuracy matrix of several recipes, by their oracle accuracies."""
    models = [
        {"task": "eigenvalues", "n": 5, "recipe": recipe, "distribution": name}
        for recipe in oracle
        for name in ("laplace", "gaussian")
    ]
    rows = frame(accuracy_matrix(models))
    return rows.assign(oracle=rows["recipe"].map(oracle))


def test_a_recipe_that_the_paper_does_not_use_is_compared_with_its_base():
    rows = synthetic_tables("paper")["failures"]
    renamed = rows.assign(recipe=rows["recipe"].replace({"base": "mine"}))
    expected, found = (
        {
            (pivot.task, pivot.n, pivot.first("recipe")): pivot.published
            for pivot in pivots.make_pivots("failures", own, PUBLISHED)
        }
        for own in (rows, renamed)
    )
    assert expected["inverse", 5, "base"]
    assert found["inverse", 5, "mine"] == expected["inverse", 5, "base"]
    half = found["eigenvectors", 5, "half"]
    assert half == expected["eigenvectors", 5, "half"]
    assert half != found["eigenvectors", 5, "mine"]


def test_recipes_with_other_encodings_have_their_own_matrices():
    rows = of_recipes(base=0.9, small=0.8)
    first, second = pivots.make_pivots("ood", rows, PUBLISHED)
    assert (first.name, second.name) == (
        "eigenvalues_n5_base",
        "eigenvalues_n5_small",
    )
    assert set(second.oracle) == {0.8}
    assert {model.recipe for model in second.models} == {"small"}


def test_accuracies_of_two_recipes_are_never_mixed():
    rows = of_recipes(base=0.9, other=0.9)
    lost = (rows["recipe"] == "base") & (rows["train"] == "gaussian")
    rows.loc[lost, "accuracy"] = None
    (pivot,) = pivots.make_pivots("ood", rows, PUBLISHED)
    assert {train for train, _ in pivot.measured} == {"laplace"}


def test_a_trend_has_all_sizes_of_a_task_in_order():
    tables = synthetic_tables("workstation")
    found = FUNCTIONS["trends"](tables, facts("workstation"))["eigenvalues"]
    assert [row["pivot"].n for row in found] == [2, 3, 4, 5]
    assert [row["recipe"] for row in found] == [
        *("narrow_1m", "narrow_2m", "layers6_4m", "small_12m")
    ]
    assert {row["pivot"].published_n for row in found} == {5}
    assert all(row["speed"]["laplace"]["target"] == 0.9 for row in found)


def test_a_single_size_has_no_trend(demo):
    assert FUNCTIONS["trends"](*demo) == {}


def test_costs_are_summed_by_kind_and_unfinished_models_are_apart(demo):
    first, *_, last = FUNCTIONS["costs"](*demo)
    assert (first["models"], first["hours"], first["joules"]) == (7, 3.5, None)
    assert (last["models"], last["examples"], last["total"]) == (0, 300, 400)


def test_a_missing_cell_is_a_row_without_numbers(demo):
    (pivot,) = FUNCTIONS["ood"](*demo)
    assert pivot.cells["laplace", "other", "laplace"]["accuracy"] is None


def test_every_table_of_the_paper_is_summarised():
    found = FUNCTIONS["summaries"](synthetic_tables("paper"), facts("paper"))
    assert [square["pivot"].table_number for square in found] == [1, 2, 2, 3, 5]
    inverse = found[-1]["blocks"]["published"]
    assert (min(inverse["in_distribution"]), max(inverse["in_distribution"])) == (
        16,
        84,
    )
    assert max(inverse["positive_on_symmetric"]) == 3
    assert inverse["symmetric_on_marchenko"] == pytest.approx([0, 2, 5, 7])
    assert [square["compared"] for square in found] == [49, 49, 14, 49, 49]


def test_equal_matrices_agree_and_constant_ones_have_no_rank():
    cells = {("a", str(i)): i // 2 / 100 for i in range(6)}
    same = {"compared": 6, "rank": pytest.approx(1.0), "difference": 0.0}
    assert pivots.agreement(cells, cells) == same
    constant = pivots.agreement(cells, dict.fromkeys(cells, 0.01))
    assert math.isnan(constant["rank"])
    assert constant["difference"] == pytest.approx(2 / 3)
    assert pivots.agreement(cells, {})["compared"] == 0


def test_quantiles_have_their_published_values(demo):
    (pivot,) = FUNCTIONS["condition_numbers"](*demo)
    assert pivot.columns == [0.5, 0.75, 0.9]
    assert [model.distribution for model in pivot.models] == demo[1]["distributions"]
    assert pivot.published["laplace", 0.9] == 99.5
    assert pivot.cells["laplace", 0.9]["value"] == 99.5


def test_runs_are_grouped_by_machine(demo):
    tables, all_facts = demo
    (place,) = pivots.runs(tables, all_facts)
    assert len(place["rows"]) == len(CATALOG.all_models("demo"))
    rows = tables["runs"].copy()
    rows.loc[3, "device"] = "another GPU"
    assert len(pivots.runs({**tables, "runs": rows}, all_facts)) == 2


@pytest.mark.parametrize("name", LISTS)
def test_a_table_that_is_not_given_is_an_error(name, demo):
    with pytest.raises(KeyError):
        FUNCTIONS[name]({}, demo[1])


@pytest.mark.parametrize("name", LISTS)
def test_tables_without_rows_have_no_pivots(name, demo):
    assert FUNCTIONS[name](EMPTY_TABLES, demo[1]) == []


@pytest.mark.parametrize(
    ("printed", "where"),
    [(0.85, "below"), (0.88, "below"), (0.89, "at"), (0.91, "at"), (0.92, "above")],
)
def test_a_verdict_allows_for_rounding(printed, where):
    assert pivots.verdict(printed, {"low": 0.89, "high": 0.91}) == where


def test_published_tables_are_compared_with_the_oracle(demo):
    found = pivots.oracle_comparisons(*demo)
    matrices = {(s["oracle"].task, s["oracle"].n): s for s in found}
    assert list(matrices) == [
        *(("eigenvalues", n) for n in (5, 8, 10)),
        *(("eigenvectors", 5), ("symmetric_inverse", 5)),
    ]
    easy, hard = matrices["eigenvalues", 5], matrices["symmetric_inverse", 5]
    assert easy["verdicts"]["laplace", "laplace"] == "at"
    assert hard["verdicts"]["abs_laplace", "abs_semicircle"] == "below"
    assert hard["oracle"].cells["laplace", 0.05]["oracle"] == 0.9


def test_compared_distributions_share_a_pivot_of_the_oracle(demo):
    groups = pivots.oracle_accuracies(*demo)
    sizes = {(g.task, g.n, g.first("input"), g.rows["test"].nunique()) for g in groups}
    assert ("eigenvectors", 5, "fp15", 7) in sizes
    assert ("eigenvectors", 5, "fp15", 1) in sizes
    assert ("eigenvectors", 5, "p1000", 1) in sizes
    assert {tuple(group.columns) for group in groups} == {(0.05, 0.02, 0.01, 0.005)}


def test_failures_have_a_pivot_per_model_with_the_nearest_published_size(demo):
    found = FUNCTIONS["failures"](synthetic_tables("paper"), facts("paper"))
    seen = {(pivot.task, pivot.n, pivot.first("recipe")): pivot for pivot in found}
    assert {key: pivot.published_n for key, pivot in seen.items()} == {
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
    sizes = [pivot.published_n for pivot in FUNCTIONS["failures"](*demo)]
    assert sizes == [5, 5, None]  # symmetric inverses are not published


def test_verifiers_have_a_pivot_per_model(demo):
    seen = FUNCTIONS["verifiers"](*demo)
    names = [pivot.first("verifier") for pivot in seen]
    assert names == ["vectors_condition", "matrix_condition", "matrix_condition"]
    printed = seen[0].published["vectors_condition", "paper", "right"]
    assert printed == pytest.approx(0.993)
    assert seen[0].cells["vectors_condition", "paper", "right"]["seeds"] == 2
