"""Evidence on the second study, from printed numbers and random questions."""

from math import comb

import pytest
from synthetic import PUBLISHED_ARITH

from mathprobe.studies import arith_evidence
from mathprobe.studies.evidence_rows import COLUMNS, table


@pytest.fixture(scope="module")
def found():
    rows = list(table(arith_evidence.EVIDENCE, PUBLISHED_ARITH))
    assert all(set(row) == set(COLUMNS) for row in rows)
    return {row["quantity"]: row for row in rows}


def values(found, *starts):
    return [row["value"] for name, row in found.items() if name.startswith(starts)]


def test_the_abstract_lists_fewer_models_than_it_states(found):
    row = found["models that are listed"]
    assert (row["value"], row["printed"]) == (16 + 2 + 8 + 14, 44)


def test_shares_of_equal_numbers_match_text_and_code(found):
    for who, share in (("text", 0.6), ("code", 0.4)):
        row = found[f"subtractions of equal numbers, by the {who}"]
        assert row["low"] < share < row["high"]


def test_printed_shares_of_classes_match_the_number_of_carrying_columns(found):
    for k in range(6):
        columns = found[f"S{k}, by columns that carry"]
        assert columns["value"] == pytest.approx(
            100 * comb(5, k) * 0.45**k * 0.55 ** (5 - k)
        )
        assert columns["value"] == pytest.approx(columns["printed"], abs=0.5)
    cascades = values(found, *(f"S{k}, by cascades" for k in range(6)))
    assert sum(cascades) == pytest.approx(100.0)
    assert cascades[1] > 3 * found["S1, by cascades"]["printed"]


def test_most_intervals_of_both_operations_match_no_count(found):
    one, two = (values(found, f"exact of {n} million")[0] for n in ("one", "two"))
    assert 0 == two < one < 23 / 2
    alone = found["exact, models of one operation"]
    assert alone["value"] > alone["total"] / 2 == 23 / 2


def test_intervals_are_compared_at_three_printed_digits():
    assert arith_evidence._is_exact(10**6, 0, 0.0, 3.69e-6)
    assert not arith_evidence._is_exact(10**6, 0, 0.0, 3.68e-6)


def test_sums_of_18_digits_fit_in_64_bits(found):
    (width,) = values(found, "digits of numbers")
    assert 2 * (10**width - 1) < 2**63 <= 2 * (10 ** (width + 1) - 1)


def test_fifteen_tokens_are_listed(found):
    row = found["tokens that are listed"]
    assert (row["value"], row["printed"]) == (15, 14)
