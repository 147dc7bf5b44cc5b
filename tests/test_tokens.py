import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notation import parse, text

from mathprobe.arith.tokens import TOKENS, VOCABULARY, Layout
from mathprobe.errors import InputError

# Examples of the published code.  The second answer is wrong (it is -0222220), but the
# layout does not depend on that.
WRITTEN = ["133357+182243=+0315600", "123450-345670=-0123230", "12345+67890=+080235"]


def size(written):
    return written.index("=") // 2


def test_tokens_match_the_published_models():
    known = {"0": 0, "9": 9, "+": 10, "-": 11, "=": 12, "*": 13, "\\": 14}
    assert known.items() <= TOKENS.items()
    assert len(VOCABULARY) == 15


@pytest.mark.parametrize("written", WRITTEN)
def test_split_returns_the_parts_and_join_is_its_inverse(written):
    layout = Layout(size(written))
    parts = layout.split(parse([written]))
    assert text(parts.first) == [written[: layout.digits]]
    assert VOCABULARY[parts.operator] == written[layout.digits]
    assert text(parts.second) == [written[layout.digits + 1 : written.index("=")]]
    assert text(parts.answer) == [written[written.index("=") + 1 :]]
    operator = int(parts.operator)
    again = layout.join(parts.first, operator, parts.second, parts.answer)
    assert text(again) == [written]


@pytest.mark.parametrize(("n", "length"), [(5, 19), (6, 22), (10, 34), (15, 49)])
def test_sequence_lengths_match_the_published_models(n, length):
    layout = Layout(n)
    assert layout.length == len(layout.names) == length
    assert (layout.question_length, layout.answer_length) == (2 * n + 2, n + 2)


@settings(deadline=None)
@given(n=st.integers(1, 25), k=st.integers(0, 24))
def test_positions_follow_the_published_formulas(n, k):
    layout, k = Layout(n), k % n
    assert layout.position(f"D{k}") == n - 1 - k
    assert layout.position("OPR") == n
    assert layout.position(f"D'{k}") == 2 * n - k
    assert layout.position("=") == 2 * n + 1
    assert layout.position(f"A{n + 1}") == 2 * n + 2  # the sign
    assert layout.position(f"A{k}") == 3 * n + 3 - k


@pytest.mark.parametrize("n", [1, 6, 10, 21])
def test_token_names_are_unique(n):
    assert len(set(Layout(n).names)) == Layout(n).length


def test_token_names_for_six_digits():
    names = "D5 D4 D3 D2 D1 D0 OPR D'5 D'4 D'3 D'2 D'1 D'0 = A7 A6 A5 A4 A3 A2 A1 A0"
    assert Layout(6).names == tuple(names.split())


def test_an_unknown_token_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"2 digits: unknown token 'A9'; .* D1, D0, OPR"
    ):
        Layout(2).position("A9")


def test_zero_digits_is_an_error():
    with pytest.raises(InputError, match="digits: 0"):
        Layout(0)
