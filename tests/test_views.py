import pytest
from made_up import CATALOG, facts, mock, square

from mathprobe.paper import views


@pytest.fixture(scope="module")
def demo():
    return mock("demo"), facts("demo")


def test_a_square_has_every_law_in_order_and_a_ceiling_per_test(demo):
    (grid,) = views.grids(*demo)
    laws = demo[1]["laws"]
    assert grid["tests"] == [model.law for model in grid["models"]] == laws
    assert set(grid["cells"]) == {((a, "base"), b) for a in laws for b in laws}
    assert list(grid["ceilings"]) == laws


def test_the_nearest_printed_size_stands_beside(demo):
    (grid,) = views.grids(*demo)
    assert (grid["n"], grid["published_n"]) == (2, 5)
    assert grid["published"]["uniform", "laplace"] == 70


def test_a_law_with_several_recipes_is_several_models():
    base, other = (
        [{"task": "eigenvalues", "n": 5, "recipe": r, "law": "laplace"}]
        for r in ("base", "attended")
    )
    tables = {"ood_eigenvalues_n5": square(base + other)}
    (grid,) = views.grids(tables, facts("paper"))
    assert grid["models"] == [("laplace", "base"), ("laplace", "attended")]
    first = {key: 100 * cell["accuracy"] for key, cell in grid["cells"].items()}
    for (law, test), accuracy in views.percentages(grid).items():
        assert accuracy == first[(law, "base"), test]


def test_every_table_of_the_paper_is_summed_up_beside_its_printed_numbers():
    found = views.summaries(mock("paper"), facts("paper"))
    assert [square["number"] for square in found] == [1, 2, 2, 3, 5]
    inverse = found[-1]["parts"]["published"]
    assert (min(inverse["home"]), max(inverse["home"])) == (16, 84)
    assert max(inverse["positive_on_symmetric"]) == 3
    assert inverse["symmetric_on_marchenko"] == [0, 2, 5, 7]
    assert [square["compared"] for square in found] == [49, 49, 14, 49, 49]


def test_equal_squares_agree_and_constant_ones_say_nothing():
    cells = {("a", str(i)): float(i // 2) for i in range(6)}
    same = {"compared": 6, "rank": pytest.approx(1.0), "difference": 0.0}
    assert views.agreement(cells, cells) == same
    assert views.agreement(cells, dict.fromkeys(cells, 1.0))["rank"] is None
    assert views.agreement(cells, {}) == {
        **{"compared": 0, "rank": None, "difference": None}
    }


def test_quantiles_stand_beside_the_printed_ones(demo):
    (view,) = views.conditions(*demo)
    assert view["quantiles"] == [0.5, 0.75, 0.9]
    assert view["published"]["laplace", 0.9] == 99.5


def test_models_are_grouped_by_where_they_ran(demo):
    tables, all_facts = demo
    (place,) = views.runs(tables, all_facts)
    assert len(place["rows"]) == len(CATALOG.all_models("demo"))
    rows = [dict(row) for row in tables["runs"]]
    rows[3]["device"] = "another GPU"
    assert len(views.runs({**tables, "runs": rows}, all_facts)) == 2


def test_without_tables_there_is_nothing_to_see(demo):
    for view in views.VIEWS.values():
        assert view({}, demo[1]) == []


@pytest.mark.parametrize(
    ("printed", "where"),
    [(0.85, "below"), (0.88, "below"), (0.89, "at"), (0.91, "at"), (0.92, "above")],
)
def test_a_printed_share_is_at_a_ceiling_where_rounding_leaves_that_open(
    printed, where
):
    assert views.verdict(printed, {"low": 0.89, "high": 0.91}) == where


def test_published_squares_stand_above_the_ceilings_of_their_tests(demo):
    squares = {(s["task"], s["n"]): s for s in views.ceilings(*demo)}
    assert list(squares) == [
        *(("eigenvalues", n) for n in (5, 8, 10)),
        *(("eigenvectors", 5), ("symmetric_inverse", 5)),
    ]
    easy, hard = squares["eigenvalues", 5], squares["symmetric_inverse", 5]
    assert easy["verdicts"]["laplace", "laplace"] == "at"
    assert hard["verdicts"]["abs_laplace", "abs_semicircle"] == "below"
    assert hard["ceilings"]["laplace"]["oracle"] == 0.9


def test_ceilings_keep_laws_together_that_are_compared(demo):
    groups = views.ceilings_by_tolerance(*demo)
    sizes = {(g["task"], g["n"], g["input"], len(g["tests"])) for g in groups}
    assert ("eigenvectors", 5, "fp15", 7) in sizes
    assert ("eigenvectors", 5, "fp15", 1) in sizes
    assert ("eigenvectors", 5, "p1000", 1) in sizes


def test_failures_are_seen_model_by_model_beside_the_nearest_printed_size(demo):
    tables, all_facts = mock("paper"), facts("paper")
    seen = {
        (v["task"], v["n"], v["recipe"]): v for v in views.failures(tables, all_facts)
    }
    assert {key: view["published_n"] for key, view in seen.items()} == {
        ("eigenvectors", 5, "base"): 5,
        ("eigenvectors", 5, "half"): 5,
        ("eigenvectors", 6, "base"): 6,
        ("inverse", 5, "base"): 5,
    }
    place = ("norm_deviation", "all", None, "below", 0.01)
    half = seen["eigenvectors", 5, "half"]
    assert half["published"][place] == pytest.approx(0.967)
    assert half["notebook"] == {}
    assert place in half["cells"]
    sizes = [view["published_n"] for view in views.failures(*demo)]
    assert sizes == [5, 5, None]  # of symmetric inverses nothing is printed


def test_verifiers_are_seen_model_by_model(demo):
    seen = views.verifiers(*demo)
    names = [view["verifier"] for view in seen]
    assert names == ["vectors_condition", "matrix_condition", "matrix_condition"]
    printed = seen[0]["published"]["vectors_condition", 1.045, "right"]
    assert printed == pytest.approx(0.993)
    assert seen[0]["cells"]["vectors_condition", "paper", "right"]["seeds"] == 2
