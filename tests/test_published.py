"""Printed numbers: what is read of them, and what stands nearest."""

import pytest
from synthetic import LABELS, PUBLISHED

from mathprobe.paper import published


@pytest.mark.parametrize(("n", "size"), [(2, 5), (5, 5), (6, 5), (7, 8), (20, 10)])
def test_sizes_are_near_by_their_difference_and_small_on_ties(n, size):
    near = published.nearest_size(PUBLISHED["accuracy"], "eigenvalues", n)
    assert set(near["n"]) == {size}


@pytest.mark.parametrize(("task", "n"), [("eigenvalues", "5x3"), ("transpose", 5)])
def test_of_rectangles_and_other_tasks_nothing_is_near(task, n):
    assert published.nearest_size(PUBLISHED["accuracy"], task, n).empty


def test_tables_have_the_papers_numbers():
    found = {
        (task, n): published.table_number(PUBLISHED["accuracy"], task, n)
        for task, n in (("eigenvalues", 8), ("symmetric_inverse", 5), ("inverse", 5))
    }
    assert list(found.values()) == [2, 5, None]
    speeds = PUBLISHED["learning_speed"]
    assert published.table_number(speeds, "eigenvectors", 5) == 7
    assert published.table_number(speeds, "eigenvalues", 8) is None  # in the text


def test_printed_units_stay_beside_those_of_our_tables():
    rates = PUBLISHED["verifiers"]
    assert (rates["text"] / 100 == rates["published"]).all()
    speeds = PUBLISHED["learning_speed"].dropna(subset="millions")
    assert speeds["published"].tolist()[:2] == [3_600_000, 2_400_000]
    failures = PUBLISHED["failures"]
    means = failures[failures["statistic"] == "mean"].dropna(subset="text")
    assert (means["text"] == means["published"]).all()


def test_what_is_printed_as_above_is_read_as_below():
    failures = PUBLISHED["failures"]
    assert "above" not in set(failures["statistic"])
    wrong = failures[
        (failures["quantity"] == "angle") & (failures["group"] == "failure")
    ]
    assert wrong[["at", "published"]].to_numpy().tolist() == [[0.03, 0.1]]


def test_what_the_paper_does_not_name_has_its_own_name():
    assert LABELS["abs_laplace"] == "abs-Lapl"
    assert LABELS["uniform_coefficients"] == "uniform coefficients"
    assert LABELS["laplace+uniform_wigner"] == "Laplace + uniform wigner"


def test_the_notebook_and_the_text_agree_but_for_one_mean():
    """Printed with fewer digits; 1.28 is the mantissa of the notebook's mean."""
    both = PUBLISHED["failures"].dropna(subset=["text", "stored"])
    apart = both[(both["text"] / both["stored"] - 1).abs() > 4e-3]
    assert len(both) == 7
    (odd,) = apart.itertuples()
    assert (odd.quantity, odd.group) == ("vectors_condition", "failure")
    assert (odd.statistic, odd.text, odd.stored) == (
        "mean",
        1.28,
        1.2849138960821085e108,
    )
