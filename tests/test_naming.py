import pytest
from made_up import PUBLISHED

from mathprobe.errors import InputError
from mathprobe.paper import naming


@pytest.mark.parametrize(("n", "size"), [(2, 5), (5, 5), (6, 5), (7, 8), (20, 10)])
def test_sizes_are_near_by_their_difference_and_small_on_ties(n, size):
    printed = PUBLISHED["out_of_distribution"]
    assert naming.printed_size(printed, "eigenvalues", n) == size


def test_a_rectangle_has_no_printed_size():
    printed = PUBLISHED["out_of_distribution"]
    assert naming.printed_size(printed, "eigenvalues", "5x3") is None


@pytest.mark.parametrize(
    ("law", "group"),
    [
        ("laplace", naming.SYMMETRIC),
        ("laplace+uniform", naming.SYMMETRIC),
        ("abs_laplace+marchenko_pastur", naming.POSITIVE),
        ("abs_laplace+laplace", naming.BOTH),
        ("uniform_coefficients", naming.GENERAL),
    ],
)
def test_every_law_and_mixture_has_a_group(law, group):
    assert naming.group(law) == group


def test_laws_stand_in_their_groups_and_mixtures_behind_single_laws():
    laws = ["abs_laplace+abs_semicircle", "abs_laplace", "laplace+uniform", "laplace"]
    laws += ["laplace+abs_laplace", "uniform_coefficients"]
    assert naming.in_order(laws) == [
        *("laplace", "laplace+uniform", "abs_laplace", "abs_laplace+abs_semicircle"),
        *("laplace+abs_laplace", "uniform_coefficients"),
    ]


def test_what_the_paper_does_not_name_has_its_own_name():
    labels = naming.Labels(PUBLISHED["labels"])
    assert labels["abs_laplace"] == "abs-Lapl"
    assert labels["uniform_coefficients"] == "uniform coefficients"
    assert labels["laplace+uniform_wigner"] == "Laplace + uniform wigner"


@pytest.mark.parametrize(
    ("stem", "entry", "question"),
    [
        (
            "ood_symmetric_inverse_n5",
            ("ood", "symmetric_inverse", 5),
            "symmetric inverse, 5 × 5",
        ),
        ("ood_transpose_n5x3", ("ood", "transpose", "5x3"), "transpose, 5 × 3"),
    ],
)
def test_a_table_is_known_by_its_name(stem, entry, question):
    found = naming.entry(stem, ["curves", "ood"])
    assert found == entry
    assert found.question == question
    assert stem == f"ood_{found.name}"


def test_another_name_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"'runs'.*known names are ood_TASK_nSIZE"):
        naming.entry("runs", ["ood"])


def test_a_task_of_which_nothing_is_printed_has_no_size():
    assert naming.printed_size(PUBLISHED["learning_speed"], "transpose", 5) is None
