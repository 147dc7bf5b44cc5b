"""Published numbers: units, sizes, table numbers and labels."""

import pytest
from synthetic import LABELS, PUBLISHED

from mathprobe.paper import published


@pytest.mark.parametrize(("n", "size"), [(2, 5), (5, 5), (6, 5), (7, 8), (20, 10)])
def test_the_nearest_size_is_the_smaller_on_a_tie(n, size):
    near = published.nearest_size(PUBLISHED["accuracy"], "eigenvalues", n)
    assert set(near["n"]) == {size}


@pytest.mark.parametrize(("task", "n"), [("eigenvalues", "5x3"), ("transpose", 5)])
def test_rectangles_and_other_tasks_have_no_nearest_size(task, n):
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


def test_columns_in_our_units_are_added():
    rates = PUBLISHED["verifiers"]
    assert (rates["text"] / 100 == rates["published"]).all()
    speeds = PUBLISHED["learning_speed"].dropna(subset="millions")
    assert speeds["published"].tolist()[:2] == [3_600_000, 2_400_000]
    failures = PUBLISHED["failures"]
    means = failures[failures["statistic"] == "mean"].dropna(subset="text")
    assert (means["text"] == means["published"]).all()


def test_shares_above_a_bound_become_shares_below():
    failures = PUBLISHED["failures"]
    assert "above" not in set(failures["statistic"])
    wrong = failures[
        (failures["quantity"] == "angle") & (failures["group"] == "failure")
    ]
    assert wrong[["at", "published"]].to_numpy().tolist() == [[0.03, 0.1]]


def test_a_distribution_without_a_label_keeps_its_name():
    assert LABELS["abs_laplace"] == "abs-Lapl"
    assert LABELS["uniform_coefficients"] == "uniform coefficients"
    assert LABELS["laplace+uniform_wigner"] == "Laplace + uniform wigner"


def test_the_notebook_and_the_text_agree_except_for_one_mean():
    """The text has fewer digits; its 1.28 is the mantissa of the notebook's mean."""
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
