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


def test_distributions_are_sorted_by_group_with_mixtures_last():
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
    ("task", "n", "title"),
    [
        ("symmetric_inverse", 5, "symmetric inverse, 5 × 5"),
        ("transpose", "5x3", "transpose, 5 × 3"),
    ],
)
def test_a_title_has_the_task_and_the_size(task, n, title):
    assert naming.task_title(task, n) == title
