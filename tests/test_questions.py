from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from notation import digits, text
from scipy import stats

from mathprobe.arith import questions
from mathprobe.arith.questions import MIXINGS, OPERATIONS, encode_questions, sample
from mathprobe.arith.tokens import MINUS, PLUS, TOKENS, Layout
from mathprobe.errors import InputError
from mathprobe.seeds import rng_for
from mathprobe.spec import Enrichment, Questions

EXACT = {"addition": int.__add__, "subtraction": int.__sub__}
AS_CODED = Enrichment(batches=0.4, nines=0.4, equal=0.01)
AS_DOCUMENTED = structs.replace(AS_CODED, batches=0.6)
NEVER, ALWAYS = (structs.replace(AS_CODED, batches=share) for share in (0.0, 1.0))


def written(operation, first, second, n):
    """Format a question with its answer, from Python integers."""
    answer = EXACT[operation](first, second)
    symbol = OPERATIONS[operation].symbol
    sign = "-" if answer < 0 else "+"
    return f"{first:0{n}}{symbol}{second:0{n}}={sign}{abs(answer):0{n + 1}}"


def settings_for(operation, n=6, enrichment=NEVER, mixing="batches"):
    return Questions(n, {operation: 1.0}, mixing, enrichment)


def mixed(subtraction, mixing="batches", enrichment=AS_CODED, n=6):
    shares = {"addition": 1.0 - subtraction, "subtraction": subtraction}
    return Questions(n, shares, mixing, enrichment)


def drawn(settings, batches, batch, *names):
    """Return the parts of questions, batch by batch: [N, B, ...]."""
    ids = sample(settings, rng_for("questions", *names), batches, batch)
    return Layout(settings.digits).split(ids.unflatten(0, (batches, batch)))


def is_likely(count, total, share):
    return stats.binomtest(int(count), total, share).pvalue > 1e-4


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [1, 2])
def test_all_answers_for_short_operands_are_exact(operation, n):
    pairs = list(product(range(10**n), repeat=2))
    first, second = (digits(side, n) for side in zip(*pairs, strict=True))
    expected = [written(operation, *pair, n) for pair in pairs]
    assert text(encode_questions(operation, first, second)) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("enrichment", [NEVER, ALWAYS], ids=["plain", "enriched"])
@pytest.mark.parametrize("n", [3, 6, 10, 15, 18, 19, 20])
def test_sampled_answers_are_exact(operation, enrichment, n):
    settings = settings_for(operation, n, enrichment)
    ids = sample(settings, rng_for("exact", operation, n), 40, 25)
    parts = Layout(n).split(ids)
    pairs = zip(text(parts.first), text(parts.second), strict=True)
    expected = [written(operation, int(x), int(y), n) for x, y in pairs]
    assert text(ids) == expected


@st.composite
def hard_pairs(draw_from, operation):
    """Draw operands in which most columns propagate a carry or a borrow."""
    n = draw_from(st.integers(1, 40))
    first = draw_from(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    complement = {"addition": lambda x: 9 - x, "subtraction": lambda x: x}[operation]
    second = [complement(x) for x in first]
    changed = draw_from(st.dictionaries(st.integers(0, n - 1), st.integers(0, 9)))
    for place, value in changed.items():
        second[place] = value
    number = (int("".join(map(str, row))) for row in (first, second))
    return n, *number


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(deadline=None)
@given(data=st.data())
def test_answers_with_long_cascades_are_exact(operation, data):
    n, first, second = data.draw(hard_pairs(operation))
    ids = encode_questions(operation, digits([first], n), digits([second], n))
    assert text(ids) == [written(operation, first, second, n)]


@pytest.mark.parametrize(
    ("operation", "first", "second", "answer"),
    [
        ("addition", 133357, 182243, "133357+182243=+0315600"),
        ("addition", 999999, 1, "999999+000001=+1000000"),
        ("subtraction", 123450, 345670, "123450-345670=-0222220"),
        ("subtraction", 99111, 99111, "099111-099111=+0000000"),
        ("subtraction", 100000, 1, "100000-000001=+0099999"),
        ("subtraction", 1, 100000, "000001-100000=-0099999"),
    ],
)
def test_worked_examples(operation, first, second, answer):
    assert text(
        encode_questions(operation, digits([first], 6), digits([second], 6))
    ) == [answer]


def test_operands_may_have_any_number_of_axes():
    first, second = torch.randint(10, (2, 3, 4, 5), generator=rng_for("axes"))
    for operation in OPERATIONS:
        ids = encode_questions(operation, first, second)
        flat = encode_questions(operation, first.flatten(0, 1), second.flatten(0, 1))
        assert torch.equal(ids.flatten(0, 1), flat)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30))
def test_carries_cross_columns_that_propagate(states):
    expected, carry = [], False
    for state in reversed(states):
        carry = state > 0 or (state == 0 and carry)
        expected.insert(0, carry)
    assert questions.carry_out(torch.tensor(states)).tolist() == expected


@pytest.mark.parametrize("mixing", MIXINGS)
def test_equal_seeds_give_equal_questions(mixing):
    settings = mixed(0.5, mixing)
    first, again, other = (sample(settings, rng_for("q", k), 8, 9) for k in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (72, Layout(6).length)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_digits_without_enrichment_are_uniform(operation):
    parts = drawn(settings_for(operation), 50, 64, operation)
    for number in (parts.first, parts.second):
        for place in range(6):
            counts = number[..., place].flatten().bincount(minlength=10)
            assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("subtraction", [0.66, 0.8])
def test_each_batch_has_one_operation_with_its_probability(subtraction):
    operator = drawn(mixed(subtraction), 3000, 4).operator
    assert (operator == operator[:, :1]).all()
    assert is_likely((operator[:, 0] == MINUS).sum(), 3000, subtraction)


@pytest.mark.parametrize(("subtraction", "rows"), [(0.66, 42), (0.7, 44), (0.8, 51)])
def test_rows_are_mixed_as_in_the_published_code(subtraction, rows):
    operator = drawn(mixed(subtraction, "rows"), 5, 64).operator
    expected = [PLUS] * (64 - rows) + [MINUS] * rows
    assert operator.tolist() == [expected] * 5


@pytest.mark.parametrize("enrichment", [AS_CODED, AS_DOCUMENTED])
def test_the_share_of_enriched_subtraction_batches_is_as_configured(enrichment):
    settings = settings_for("subtraction", enrichment=enrichment)
    second = drawn(settings, 3000, 32, enrichment.batches).second
    plain = (second == 0).flatten(1).any(1)
    few = enrichment.batches * enrichment.equal  # these batches may contain a 0
    count = int((~plain).sum())
    assert is_likely(count, 3000, enrichment.batches - few)


@pytest.mark.parametrize("enrichment", [AS_CODED, AS_DOCUMENTED])
def test_the_share_of_enriched_addition_batches_is_as_configured(enrichment):
    settings = settings_for("addition", enrichment=enrichment)
    first, _, second, _ = drawn(settings, 3000, 32, enrichment.batches)
    nines = (first + second == 9).flatten(1).double().mean(1)
    assert not ((nines > 0.25) & (nines < 0.35)).any()
    assert is_likely((nines > 0.3).sum(), 3000, enrichment.batches)


@pytest.mark.parametrize("mixing", MIXINGS)
def test_enrichment_changes_only_the_chosen_batches(mixing):
    plain, enriched = (
        drawn(mixed(0.5, mixing, enrichment), 200, 32)
        for enrichment in (NEVER, AS_CODED)
    )
    same = (plain.first == enriched.first) & (plain.second == enriched.second)
    untouched = same.flatten(1).all(1)
    assert 0 < untouched.sum() < 200
    assert torch.equal(plain.answer[untouched], enriched.answer[untouched])


def test_enriched_additions_change_the_exact_number_of_digits_of_one_operand():
    plain = drawn(settings_for("addition"), 3000, 8)
    first, _, second, _ = drawn(settings_for("addition", enrichment=ALWAYS), 3000, 8)
    changed = torch.stack([first != plain.first, second != plain.second]).flatten(2)
    assert not changed.any(2).all(0).any(), "only one operand of a batch changes"
    assert is_likely(changed[0].any(1).sum(), 3000, 0.5)
    nines = (first + second == 9).flatten(1)
    before = (plain.first + plain.second == 9).flatten(1)
    assert (nines >= before).all()
    chosen, cells = int(0.4 * 8 * 6), 8 * 6  # a tenth of the sums were 9 before
    assert is_likely((nines & ~before).sum(), 3000 * chosen, 0.9)
    assert is_likely(nines.sum() - 3000 * chosen, 3000 * (cells - chosen), 0.1)
    assert nines.sum(1).min() >= chosen


def test_all_columns_are_enriched_equally_often():
    first, _, second, _ = drawn(settings_for("addition", enrichment=ALWAYS), 300, 64)
    nines = (first + second == 9).sum((0, 1))
    assert stats.chisquare(nines).pvalue > 1e-4


def test_enriched_subtractions_raise_digits_below_nine_or_are_equal():
    plain = drawn(settings_for("subtraction"), 4000, 8)
    enriched = drawn(settings_for("subtraction", enrichment=ALWAYS), 4000, 8)
    assert torch.equal(enriched.first, plain.first)
    equal = (enriched.second == enriched.first).flatten(1).all(1)
    assert is_likely(equal.sum(), 4000, 0.01)
    assert (enriched.answer[equal][..., 0] == PLUS).all()
    assert (enriched.answer[equal][..., 1:] == 0).all()
    raised = plain.second + (plain.second < 9)
    assert torch.equal(enriched.second[~equal], raised[~equal])


def test_six_of_ten_enriched_subtractions_are_negative():
    """For 6 digits, the published code gives 0.60, and 0.50 without enrichment."""
    for enrichment, share in ((NEVER, 0.5), (ALWAYS, 0.6)):
        settings = settings_for("subtraction", enrichment=enrichment)
        answer = drawn(settings, 2000, 32).answer
        assert float((answer[..., 0] == MINUS).double().mean()) == pytest.approx(
            share, abs=0.015
        )


@pytest.fixture
def registries(monkeypatch):
    """Restore the registry of operations after the test."""
    monkeypatch.setattr(OPERATIONS, "_entries", dict(OPERATIONS._entries))


def test_a_new_operation_needs_only_a_registered_class(registries):
    @OPERATIONS.add("first_only")
    class FirstOnly(questions.Operation):
        symbol = "*"

        @staticmethod
        def answer(first, second):
            top = torch.zeros_like(first[..., :1])
            return torch.cat([top + PLUS, top, first], dim=-1)

        @staticmethod
        def enrich(rng, first, second, enrichment):
            return first, torch.zeros_like(second)

    shares = {"first_only": 0.25, "addition": 0.25, "subtraction": 0.5}
    ids = sample(Questions(3, shares, "rows", ALWAYS), rng_for("new"), 2, 8)
    parts = Layout(3).split(ids)
    assert (parts.operator == TOKENS["*"]).sum() == 4
    assert [row[3] for row in text(ids)[:8]] == [*"**++----"]
    first, *_ = text(ids)
    assert first[4:9] == "000=+"
    assert first[10:] == first[:3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixing": "shuffled"}, "unknown mixing 'shuffled'; known names are batches"),
        ({"shares": {"division": 1.0}}, "unknown operation 'division'; .* addition"),
        ({"shares": {"addition": 0.5}}, "shares: .*the sum is not 1"),
        ({"shares": {}}, "shares: .*the sum is not 1"),
    ],
)
def test_invalid_settings_are_errors(changes, message):
    settings = structs.replace(mixed(0.66), **changes)
    with pytest.raises(InputError, match=message):
        sample(settings, rng_for("bad"), 1, 1)
