import re

import pytest
from made_up import PAPER, SCALES, facts, mock

from mathprobe.paper import numbers


@pytest.mark.parametrize("scale", SCALES)
def test_every_number_of_the_prose_is_there(scale):
    made = numbers.results(mock(scale), facts(scale))
    prose = "".join(file.read_text() for file in (PAPER / "sections").glob("*.tex"))
    prose += (PAPER / "main.tex").read_text()
    named = set(re.findall(r"\\(?:when)?result\{([^}]*)\}", prose))
    named |= {f"{key}/encoding" for key in re.findall(r"\\encoding\{([^}]*)\}", prose)}
    assert named
    assert named <= made.keys()


def test_the_numbers_are_those_of_the_tables():
    made = numbers.results(mock("paper"), facts("paper"))
    assert made["ood/eigenvalues_n5/semicircle/marchenko_pastur"] == "42.9"
    assert made["main/ours/home"] == "0.0 to~85.7"
    assert made["main/published/home"] == "100"
    assert made["main/published/positive_on_symmetric"] == "0 to~5"
    assert made["main/published_all_positive"] == "3.1"
    assert made["conditions/covered"] == made["conditions/compared"] == "21"
    assert made["speed/reached"] == "7"
    assert made["speed/published/semicircle"] == r"3\,600\,000"
    assert made["runs/time"] == r"23\,min 24\,s"


def test_equal_squares_agree_and_constant_ones_say_nothing():
    cells = {("a", str(i)): float(i // 2) for i in range(6)}
    same = numbers._agreement(cells, cells)
    assert same["main/agreement/rank"] == "1.00"
    assert same["main/agreement/difference"] == "0.0"
    assert numbers._agreement(cells, dict.fromkeys(cells, 1.0))[
        "main/agreement/rank"
    ] == ("---")
    assert numbers._agreement(cells, {})["main/agreement/cells"] == "0"


def test_failures_are_described_by_their_first_model_of_each_kind():
    made = numbers.results(mock("paper"), facts("paper"))
    assert made["failures/vectors/n"] == made["failures/vectors/published_n"] == "5"
    assert made["failures/vectors/same_n"] == "yes"
    assert made["failures/vectors/accuracy/published"] == "92"
    assert made["failures/vectors/wrong/angles/published"] == "10"
    assert made["failures/inverses/wrong/near/published"] == "84"
    assert made["verifiers/vectors/paper/threshold"] == "1.045"
    assert made["verifiers/vectors/paper/right"] == "60.0"
    assert made["verifiers/vectors/paper/successes_below/published"] == "99.94"
    assert made["verifiers/vectors/calibration/right/published"] == "---"
    assert made["verifiers/vectors/wrong/mean/published"] == "1.28"
    notebook = made["verifiers/vectors/wrong/mean/notebook"]
    assert notebook == r"$1.28\cdot 10^{108}$"
    assert made["verifiers/inverses/area"] == "0.600"


def test_a_scale_without_inverses_says_so():
    tables = {key: rows for key, rows in mock("demo").items() if "inverse" not in key}
    made = numbers.results(tables, facts("demo"))
    assert made["failures/vectors/shown"] == "yes"
    assert made["failures/inverses/shown"] == "no"
    assert made["failures/inverses/accuracy"] == "---"
    assert made["verifiers/inverses/paper/threshold"] == "---"
