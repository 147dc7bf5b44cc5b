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
