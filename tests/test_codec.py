import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe.linalg.codec import END, PADDING, MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS

CODECS = {name: MatrixCodec(ENCODINGS[name](digits=3)) for name in ENCODINGS}
LENGTHS = {"p10": 5, "p1000": 3, "b1999": 2, "fp15": 1}  # tokens per coefficient
every_codec = pytest.mark.parametrize("name", ENCODINGS)


def tokens(codec, ids):
    return [codec.vocabulary[i] for i in ids.tolist()]


@every_codec
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 1), (2, 3), (6, 5)])
def test_matrices_round_trip_up_to_rounding(name, shape):
    codec = CODECS[name]
    matrix = 10 * torch.randn(40, *shape, dtype=torch.float64)
    ids = codec.encode(matrix)
    values, ok = codec.decode(ids, *shape)
    assert ok.all()
    encoding = codec.encoding
    assert torch.equal(values, encoding.decode(encoding.encode(matrix))[0])
    assert torch.equal(codec.encode(values), ids)
    assert ids.shape == (40, 4 + LENGTHS[name] * shape[0] * shape[1])


@every_codec
def test_round_trip_rounds_and_keeps_nan(name):
    matrix = torch.tensor([[[3.14159, -6.02]], [[1.0, torch.nan]]], dtype=torch.float64)
    rounded = CODECS[name].round_trip(matrix)
    assert rounded[0].tolist() == [[3.14, -6.02]]
    assert rounded[1].isnan().all()


def test_tokens_agree_with_the_published_code():
    matrix = torch.tensor([[[3.14159, -6.02], [0.0, 100.5]]], dtype=torch.float64)
    encoded = {
        name: " ".join(tokens(c, c.encode(matrix)[0])) for name, c in CODECS.items()
    }
    assert encoded == {
        "p10": "<s> V2 V2 + 3 1 4 E-2 - 6 0 2 E-2 + 0 E0 + 1 0 0 E0 <s> </s> </s>",
        "p1000": "<s> V2 V2 + 314 E-2 - 602 E-2 + 0 E0 + 100 E0 <s>",
        "b1999": "<s> V2 V2 N314 E-2 N-602 E-2 N0 E0 N100 E0 <s>",
        "fp15": "<s> V2 V2 N314e7 N-602e7 N0e0 N101e9 <s>",
    }


def test_the_vocabulary_contains_used_tokens_only():
    assert len(CODECS["p1000"].vocabulary) == 2 + (2 + 901 + 201) + 100
    assert len(CODECS["b1999"].vocabulary) == 2 + (1801 + 201) + 100


def test_p10_sequences_with_zeros_are_shorter_and_round_trip():
    codec = CODECS["p10"]
    assert codec.variable_length
    assert not any(CODECS[name].variable_length for name in ("p1000", "b1999", "fp15"))
    matrix = torch.tensor([[[0.0], [7.0]], [[7.0], [0.0]]], dtype=torch.float64)
    values, ok = codec.decode(codec.encode(matrix), 2, 1)
    assert ok.all()
    assert torch.equal(values, matrix)


@every_codec
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_ids_decode_and_are_nan_if_and_only_if_malformed(name, data):
    codec = CODECS[name]
    size = len(codec.vocabulary)
    row = st.lists(st.integers(-3, size + 3), min_size=8, max_size=8)
    ids = torch.tensor(data.draw(st.lists(row, min_size=1, max_size=4)))
    values, ok = codec.decode(ids, 2, 1)
    assert torch.equal(values.isnan().all((1, 2)), ~ok)
    assert torch.equal(values.isnan().any((1, 2)), ~ok)


def decode_changed(codec, change):
    """Change the ids of a matrix, decode them, and return `ok` and the values."""
    matrix = torch.tensor([[[3.14], [2.72]]], dtype=torch.float64)
    ids = codec.encode(matrix)[0].tolist()
    change(ids)
    values, ok = codec.decode(torch.tensor([ids]), 2, 1)
    return bool(ok), values.flatten().tolist()


@every_codec
@pytest.mark.parametrize("index", [0, 1, 2, 3, 4])
def test_a_missing_token_is_malformed(name, index):
    if index < 3 + LENGTHS[name]:
        assert not decode_changed(CODECS[name], lambda ids: ids.pop(index))[0]


@every_codec
@pytest.mark.parametrize("token", [END, PADDING])
def test_an_early_end_is_malformed(name, token):
    assert not decode_changed(CODECS[name], lambda ids: ids.__setitem__(3, token))[0]


@every_codec
def test_other_dimensions_are_malformed(name):
    codec = CODECS[name]
    three = codec.vocabulary.index("V3")
    assert not decode_changed(codec, lambda ids: ids.__setitem__(1, three))[0]


@every_codec
def test_tokens_after_the_last_number_are_ignored(name):
    codec = CODECS[name]
    for token in (PADDING, codec.vocabulary.index("V7"), 3):
        ok, values = decode_changed(codec, lambda ids, t=token: ids.__setitem__(-1, t))
        assert ok
        assert values == [3.14, 2.72]


def test_a_number_with_too_many_tokens_is_malformed():
    codec = CODECS["p1000"]
    exponent = codec.vocabulary.index("E-2")
    assert not decode_changed(codec, lambda ids: ids.insert(6, exponent))[0]


def test_a_too_large_matrix_raises_an_error():
    with pytest.raises(ValueError, match="dimensions must be at most 100"):
        CODECS["fp15"].encode(torch.ones(1, 101, 1, dtype=torch.float64))
