import re

import pytest
from synthetic import PAPER, SCALES, facts, synthetic_tables

from mathprobe.errors import InputError
from mathprobe.paper import macros


@pytest.mark.parametrize("scale", SCALES)
def test_every_macro_of_the_prose_is_defined(scale):
    made = macros.all_macros(synthetic_tables(scale), facts(scale))
    prose = "".join(file.read_text() for file in (PAPER / "sections").glob("*.tex"))
    prose += (PAPER / "main.tex").read_text()
    printing = r"\\(?:result|whenresult|share|published(?:\[[^]]*\])?)\{([^}#]*)\}"
    named = set(re.findall(printing, prose))
    named |= {f"verdict/{key}" for key in re.findall(r"\\verdict\{([^}]*)\}", prose)}
    for key in re.findall(r"\\(?:wrong|worst)\{([^}#]*)\}", prose):
        named |= {
            f"{key}/{end}" for end in ("per_million", "fails", "questions", "high")
        }
    named |= {f"{key}/encoding" for key in re.findall(r"\\encoding\{([^}]*)\}", prose)}
    assert named
    assert named <= made.keys()


def test_macros_are_the_numbers_of_the_tables():
    made = macros.all_macros(synthetic_tables("paper"), facts("paper"))
    assert made["main/ours/in_distribution"] == "0.0 to~85.7"
    assert made["main/published/in_distribution"] == "100"
    assert made["main/published/positive_on_symmetric"] == "0 to~5"
    assert made["main/published_all_positive"] == "3.1"
    assert made["conditions/covered"] == made["conditions/compared"] == "21"
    assert made["speed/reached"] == "7"
    assert made["speed/published/semicircle"] == r"3\,600\,000"
    assert made["runs/time"] == r"1\,h 53\,min"  # 34 models


def test_every_published_accuracy_matrix_has_macros_at_every_scale():
    made = macros.all_macros(synthetic_tables("demo"), facts("demo"))
    assert made["published/eigenvalues_n8/semicircle/semicircle"] == "0"
    assert made["published/eigenvectors_n5/positive_on_symmetric"] == "0 to~3"
    assert made["accuracy_tables"] == "1"
    assert (
        macros.all_macros(synthetic_tables("paper"), facts("paper"))["accuracy_tables"]
        == "5"
    )


def test_failures_are_those_of_the_first_model_of_each_kind():
    made = macros.all_macros(synthetic_tables("paper"), facts("paper"))
    assert made["failures/vectors/n"] == made["failures/vectors/published_n"] == "5"
    assert made["failures/vectors/same_n"] == "yes"
    assert made["failures/vectors/accuracy/published"] == "92"
    assert made["failures/vectors/wrong/angles/published"] == "10"
    assert made["failures/inverses/wrong/within_5/published"] == "84"
    assert made["verifiers/vectors/paper/threshold"] == "1.045"
    assert made["verifiers/vectors/paper/right"] == "60.0"
    assert made["verifiers/vectors/paper/successes_below/published"] == "99.94"
    assert made["verifiers/vectors/calibration/right/published"] == "---"
    assert made["verifiers/vectors/wrong/mean/published"] == "1.28"
    notebook = made["verifiers/vectors/wrong/mean/notebook"]
    assert notebook == r"$1.28\cdot 10^{108}$"
    assert made["verifiers/inverses/area"] == "0.600"


def test_a_scale_without_inverses_has_dashes():
    tables = {
        kind: rows[~rows["task"].str.contains("inverse")] if "task" in rows else rows
        for kind, rows in synthetic_tables("demo").items()
        if kind != "condition_numbers"
    }
    tables["condition_numbers"] = synthetic_tables("demo")["condition_numbers"]
    made = macros.all_macros(tables, facts("demo"))
    assert made["failures/vectors/measured"] == "yes"
    assert made["failures/inverses/measured"] == "no"
    assert made["failures/inverses/accuracy"] == "---"
    assert made["verifiers/inverses/paper/threshold"] == "---"


def test_a_scale_without_learning_speeds_has_dashes():
    tables = synthetic_tables("demo")
    tables["learning_speed"] = tables["learning_speed"].iloc[:0]
    made = macros.all_macros(tables, facts("demo"))
    assert made["speed/curves"] == made["speed/reached"] == "0"
    assert made["speed/target"] == made["speed/ours/laplace"] == "---"


def test_an_invalid_macro_is_refused():
    assert macros.definitions({"a/b_n2": "5"}) == "\\defresult{a/b_n2}{5}\n"
    for key, text in (("a b", "5"), ("a", 5.0), ("a{", "5")):
        with pytest.raises(InputError, match="cannot be a macro"):
            macros.definitions({key: text})


@pytest.mark.parametrize(
    ("found", "random", "p", "above"),
    [
        ((4, 8), (0, 3), "0.21", "no"),  # 70 of 330 ways to choose 4 of 11
        ((20, 20), (0, 20), r"$7.25\cdot 10^{-12}$", "yes"),
        ((0, 20), (20, 20), "1", "no"),
        ((0, 0), (0, 0), "1", "no"),
    ],
)
def test_the_sentence_on_chance_follows_from_the_counts(found, random, p, above):
    tables = synthetic_tables("demo")
    controls = tables["arith_controls"]
    counted = {"found": found, "random nodes": random, "untrained": random}
    for control, (count, total) in counted.items():
        controls.loc[controls["control"] == control, "count"] = count
        controls.loc[controls["control"] == control, "total"] = total
    made = macros.all_macros(tables, facts("demo"))
    chance = {
        key.removeprefix("circuits/addition/chance/"): text
        for key, text in made.items()
        if key.startswith("circuits/addition/chance/")
    }
    assert (chance["p"], chance["above"]) == (p, above)
    assert chance["found/count"] == str(found[0])
    assert chance["random/total"] == str(random[1])
    if found == (4, 8):
        assert (chance["found/low"], chance["found/high"]) == ("16", "84")


def test_a_model_without_a_map_has_no_numbers_on_chance():
    tables = synthetic_tables("demo")
    tables["arith_controls"] = tables["arith_controls"].iloc[:0]
    made = macros.all_macros(tables, facts("demo"))
    assert made["circuits/addition/chance/above"] == "no"
    assert made["circuits/addition/chance/p"] == "---"
    assert made["circuits/addition/chance/found/count"] == "---"
