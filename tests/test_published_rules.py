"""The published rules: their questions, and the heads and answers that they accept.

The questions are those in the comments of the published code, with 6 digits.
"""

import pytest

from mathprobe.arith.published_rules import RULES, impact_text
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.arith.tokens import Layout

QUESTIONS = {  # source, base, and the predicted answer; column 3, if any
    "SA": [
        ("222222+111111=+0333333", "555555+444444=+0999999", "+0993999"),
        ("222222+666666=+0888888", "555555+111111=+0666666", "+0668666"),
    ],
    "SC": [("222222+669666=+0891888", "333333+555555=+0888888", "+0898888")],
    "SS": [("225222+444444=+0669666", "334633+555555=+0890188", "+0880188")],
    "ST": [("222222+779777=+1001999", "333333+666666=+0999999", None)],
    "MD": [
        ("333333-111111=+0222222", "999999-444444=+0555555", "+0552555"),
        ("666666-222222=+0444444", "999999-333333=+0666666", "+0664666"),
    ],
    "MB": [("222222-113111=+0109111", "777777-444444=+0333333", "+0323333")],
    "MT": [("555555-000000=+0555555", "222222-224222=-0002000", None)],
    "ND": [
        ("033333-111111=-0077778", "099999-444444=-0344445", "-0347445"),
        ("066666-222222=-0155556", "099999-333333=-0233334", "-0235334"),
    ],
    "NB": [("022222-113111=-0090889", "077777-444444=-0366667", "-0376667")],
    "GT": [
        ("006000-002001=+0003999", "001000-002001=-0001001", "+0000000"),
        ("001000-002001=-0001001", "006000-002001=+0003999", "-0000000"),
    ],
    "OPR": [],
    "SGN": [],
}


def column(name):
    return None if RULES[name].lowest is None else 3


def test_the_library_has_rules_for_all_published_sub_tasks_except_cascades():
    published = {name for name, task in SUBTASKS.items() if task.is_published}
    assert published - set(RULES) == {"SV", "MV", "NV"}
    assert set(RULES) == set(QUESTIONS)
    for name, rule in RULES.items():
        assert set(rule.operations) >= SUBTASKS[name].operations or name == "OPR"


@pytest.mark.parametrize("name", RULES)
def test_the_questions_are_those_of_the_library(name):
    rule = RULES[name]
    trials = rule.trials(6, column(name))
    expected = [(source, base) for source, base, _ in QUESTIONS[name]]
    assert expected == [
        (rule.question(trial.source, 6), rule.question(trial.base, 6))
        for trial in trials
    ]


@pytest.mark.parametrize("name", [name for name in RULES if QUESTIONS[name]])
def test_only_the_predicted_answer_succeeds(name):
    rule = RULES[name]
    for trial, (_, base, predicted) in zip(
        rule.trials(6, 3), QUESTIONS[name], strict=True
    ):
        correct = base[-8:]
        assert not rule.succeeds(trial, correct, 6, 3, weak=False)
        other = correct[:7] + ("0" if correct[7] != "0" else "1")
        assert rule.succeeds(trial, other, 6, 3, weak=False) == (predicted is None)
        assert rule.succeeds(trial, predicted or other, 6, 3, weak=False)


def test_a_weak_finding_has_any_value_of_the_predicted_digit():
    rule = RULES["SA"]
    trial, _ = rule.trials(6, 3)
    assert rule.allow_weak
    assert not rule.succeeds(trial, "+0991999", 6, 3, weak=False)
    assert rule.succeeds(trial, "+0991999", 6, 3, weak=True)
    assert not rule.succeeds(trial, "+0993998", 6, 3, weak=True)


def test_heads_that_affect_a_digit_above_ten_are_not_tested():
    """The library stores A12 as the sorted characters A21, and A11 as A1."""
    for k in range(15):
        start = RULES["SA"].needed_tags(15, k)[2]
        is_found = f"Impact:{impact_text([str(k)])}".startswith(start)
        assert is_found == (k <= 10)


def test_needed_tags_are_beginnings():
    """D4 is at position 1 of 6 digits, and its tag is that of positions 10 to 19."""
    assert RULES["SA"].needed_tags(6, 4) == ["Attn:P1", "Attn:P8", "Impact:A4", ""]
    assert RULES["SS"].needed_tags(6, 4)[:3] == ["Attn:P2", "Attn:P9", "Impact:A5"]
    assert RULES["ST"].needed_tags(6, 0) == ["Attn:P5", "Attn:P12", "Math.Add"]
    assert RULES["OPR"].needed_tags(6, None) == ["Attn:P6", ""]
    assert RULES["SGN"].needed_tags(6, None) == ["Attn:P14", ""]


def test_positions_are_those_of_the_library():
    names = Layout(6).names
    for name, first, last in (
        *(("SA", "A6", "A0"), ("NB", "A6", "A0"), ("ST", "OPR", "A7")),
        *(("GT", "OPR", "A0"), ("OPR", "OPR", "A0"), ("MT", "OPR", "A7")),
    ):
        searched = RULES[name].positions(6)
        assert (names[searched[0]], names[searched[-1]]) == (first, last)
    assert list(RULES["SS"].columns(6)) == [1, 2, 3, 4, 5]
    assert list(RULES["OPR"].columns(6)) == [None]
