import pytest

from mathprobe.paper import naming


@pytest.mark.parametrize(
    ("distribution", "group"),
    [
        ("laplace", naming.SYMMETRIC),
        ("laplace+uniform", naming.SYMMETRIC),
        ("abs_laplace+marchenko_pastur", naming.POSITIVE),
        ("abs_laplace+laplace", naming.BOTH),
        ("uniform_coefficients", naming.GENERAL),
    ],
)
def test_every_distribution_and_mixture_has_a_group(distribution, group):
    assert naming.group(distribution) == group


def test_distributions_stand_in_their_groups_and_mixtures_behind_single_distributions():
    distributions = [
        "abs_laplace+abs_semicircle",
        "abs_laplace",
        "laplace+uniform",
        "laplace",
    ]
    distributions += ["laplace+abs_laplace", "uniform_coefficients"]
    assert naming.sort_distributions(distributions) == [
        *("laplace", "laplace+uniform", "abs_laplace", "abs_laplace+abs_semicircle"),
        *("laplace+abs_laplace", "uniform_coefficients"),
    ]


@pytest.mark.parametrize(
    ("task", "n", "question"),
    [
        ("symmetric_inverse", 5, "symmetric inverse, 5 × 5"),
        ("transpose", "5x3", "transpose, 5 × 3"),
    ],
)
def test_a_question_says_what_is_asked_about_which_matrices(task, n, question):
    assert naming.task_title(task, n) == question
