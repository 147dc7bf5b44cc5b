import math

import pytest
from msgspec import structs

from mathprobe.errors import InputError
from mathprobe.spec import (
    DecoderConfig,
    Enrichment,
    MatrixSpec,
    Questions,
    Schedule,
    TestSet,
)

SCHEDULE = Schedule(1000, 64, 1e-3, 1e-5, 4, None, None, None, 5.0, 300)
PAPER = Schedule(
    36_000_000, 64, 1e-4, 1e-5, 10_000, 4_000_000, None, None, 5.0, 300_000
)
TEST = TestSet(
    MatrixSpec("eigenvalues", "laplace", 5, 5, {"laplace": {"bound": 10.0}}), 100
)


def test_specifications_round_trip_through_json():
    assert TestSet.from_json(TEST.to_json()) == TEST
    assert TestSet.from_json(TEST.to_json()).to_json() == TEST.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a mapping"),
        ('{"data": {}, "examples": 1}', "TestSet.data: task is missing; keys are task"),
        ('{"examples": 1}', "TestSet: data is missing; keys are data, examples"),
        ('{"example": 1}', "TestSet: unknown key 'example'; did you mean 'examples'"),
    ],
)
def test_an_invalid_specification_is_rejected(text, message):
    with pytest.raises(InputError, match=message):
        TestSet.from_json(text)


def test_differences_name_the_place_and_both_values():
    other = structs.replace(TEST, data=MatrixSpec("eigenvalues", "uniform", 5, 5, {}))
    assert TEST.differences(other.to_dict()) == [
        "data.distribution: expected 'laplace', found 'uniform'",
        "data.distribution_settings: expected None, found {}",
        "data.distribution_settings.laplace.bound: expected 10.0, found None",
    ]
    assert TEST.differences(TEST.to_dict()) == []


def test_the_last_batch_has_full_size():
    assert SCHEDULE.updates == 16
    assert SCHEDULE.updates_per_point == 5


def test_the_learning_rate_warms_up_then_decays_to_its_final_value():
    rates = [
        SCHEDULE.learning_rate_at(update) for update in range(SCHEDULE.updates + 1)
    ]
    assert rates[0] == pytest.approx(1e-7)
    assert rates[2] == pytest.approx((1e-7 + 1e-3) / 2)
    assert rates[4] == pytest.approx(1e-3)
    assert rates[10] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[16] == pytest.approx(1e-5)
    assert max(rates) == rates[4]


def test_learning_rate_of_the_paper_after_36_million_examples():
    paper = PAPER
    assert paper.updates == 562_500
    assert paper.learning_rate_at(paper.updates) == pytest.approx(9.6e-5, abs=1e-6)


def published_rate(update):
    """Return the learning rate of the published code, in its own terms."""
    t, period, shrink, least, most = update - 10_000, 4_000_000, 0.1, 1e-5, 1e-4
    pid = t // period
    t_curr = t % period
    low, high = least * shrink**pid, most * shrink**pid
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * t_curr / period))


@pytest.mark.parametrize(
    "update",
    [
        10_000,
        562_500,
        2_010_000,
        4_009_999,
        4_010_000,
        5_000_000,
        8_010_000,
        12_345_678,
    ],
)
def test_the_learning_rate_restarts_as_in_the_published_code(update):
    coded = structs.replace(PAPER, restart_factor=0.1)
    assert coded.learning_rate_at(update) == pytest.approx(published_rate(update))
    if update < 4_010_000:
        assert coded.learning_rate_at(update) == PAPER.learning_rate_at(update)
    else:
        assert PAPER.learning_rate_at(update) == pytest.approx(1e-5)


def test_the_json_of_a_decoder_omits_defaults():
    """The models of the second study were trained before these fields existed."""
    shape = {"width": 510, "head_width": 170, "layers": 2, "heads": 3}
    plain = DecoderConfig(**shape)
    assert plain.to_dict() == shape
    explicit = DecoderConfig.from_dict(
        {**shape, "activation": "re" + "lu", "norm": "LN", "norm_epsilon": 0.00001}
    )
    assert explicit == plain
    assert explicit.to_json() == plain.to_json()
    bare = structs.replace(plain, norm=None, activation="gelu")
    assert bare.to_dict() == shape | {"norm": None, "activation": "gelu"}
    assert DecoderConfig.from_json(bare.to_json()) == bare


def test_questions_round_trip_through_json():
    shares = {"addition": 0.34, "subtraction": 0.66}
    questions = Questions(6, shares, "batches", Enrichment(0.4, 0.4, 0.01))
    assert Questions.from_json(questions.to_json()) == questions
    with pytest.raises(InputError, match=r"Questions\.enrichment: equal is missing"):
        Questions.from_dict(
            questions.to_dict() | {"enrichment": {"batches": 1, "nines": 1}}
        )
