"""Encodings of numbers: published examples, rounding as in C, decoding of any ids."""

import math
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe.linalg.encodings import ENCODINGS, NO_TOKEN
from mathprobe.registry import UnknownName

# x, mantissa and exponent of P10, P1000 and B1999, token of FP15: from published code
EXAMPLES = [
    (3.14159, 314, -2, "N314e7"),
    (-6.02, -602, -2, "N-602e7"),
    (0.0, 0, 0, "N0e0"),
    (-0.0, 0, 0, "N0e0"),
    (1.0, 100, -2, "N100e7"),
    (10.0, 100, -1, "N100e8"),
    (-9.996, -100, -1, "N-100e8"),
    (9.995, 999, -2, "N999e7"),
    (99.95, 100, 0, "N100e9"),
    (999.5, 100, 1, "N100e10"),
    (2.675, 267, -2, "N268e7"),
    (100.5, 100, 0, "N101e9"),
    (101.5, 102, 0, "N102e9"),
    (0.5, 500, -3, "N500e6"),
    (-0.0123456, -123, -4, "N-123e5"),
    (0.0009999, 100, -5, "N100e4"),
    (1e-7, 100, -9, "N100e0"),
    (9.951e-8, 995, -10, "N100e0"),
    (1.23e-8, 123, -10, "N12e0"),
    (5e-10, 500, -12, "N1e0"),
    (4.9e-10, 490, -12, "N0e0"),
    (123456, 123, 3, "N123e12"),
    (9.994e8, 999, 6, "N999e15"),
    (9.996e8, 100, 7, "NaN"),
    (-2e9, -200, 7, "-NaN"),
    (1e-98, 100, -100, "N0e0"),
    (1e-99, 0, 0, "N0e0"),
    (9.99e102, 999, 100, "NaN"),
]
MAX_DIGITS = {"p10": 15, "p1000": 15, "b1999": 5, "fp15": 4}
SCIENTIFIC = ["p10", "p1000", "b1999"]  # round like C
NAMES_AND_DIGITS = [
    (name, d) for name, most in MAX_DIGITS.items() for d in (1, 3, most)
]

every_encoding = pytest.mark.parametrize("name", list(ENCODINGS))
every_precision = pytest.mark.parametrize(("name", "digits"), NAMES_AND_DIGITS)
quick = settings(deadline=None, max_examples=40, database=None)
# With 15 digits, their distance from a tie is 1e-33 (found by continued fractions).
ALMOST_TIES = [7.459816430480385e-32, 9.625458202361875e-61, 3.615239595401375e50]
floats = st.floats(
    -9e100, 9e100
)  # hypothesis prefers limits, subnormals and short ones
int64s = st.integers(-(2**63), 2**63 - 1)


@cache
def make(name, digits):
    return ENCODINGS[name](digits=digits)


def c_format(x, digits):
    """Return signed mantissa and exponent as printed by C."""
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    exponent = int(exponent) - digits + 1
    mantissa = int(mantissa.replace(".", ""))
    return (mantissa, exponent) if mantissa and exponent >= -100 else (0, 0)


def expected_tokens(name, digits, mantissa, exponent):
    """Return the tokens of a number, from its mantissa and exponent."""
    if name == "b1999":
        return [f"N{mantissa}", f"E{exponent}"]
    sign, size = "-" if mantissa < 0 else "+", str(abs(mantissa))
    group = {"p10": 1, "p1000": 3}[name]
    ends = range(len(size) % group or group, len(size) + 1, group)
    parts = [str(int(size[max(0, end - group) : end])) for end in ends]
    return [sign, *parts, f"E{exponent}"]


def published_fp15(x, digits):
    """Return the token of a number by the published formula."""
    sign = "-" if x < 0 else ""
    v = abs(x) * 1e7
    e = max(0, math.floor(math.log10(v))) if v else 0
    m = math.floor(v * 10 ** (digits - 1 - e) + 0.5)
    if m == 10**digits:
        m, e = m // 10, e + 1
    if abs(x) > 1e9 or e > 15:
        return f"{sign}NaN"
    return f"N{sign if m else ''}{m}e{e}"


def parse(tokens, digits):
    """Return the number of well-formed tokens of any encoding."""
    if len(tokens) == 1:
        if tokens[0].endswith("NaN"):
            return math.copysign(1e9, -1 if tokens[0][0] == "-" else 1)
        mantissa, e = tokens[0][1:].split("e")
        return float(f"{mantissa}e{int(e) - 6 - digits}")
    if len(tokens) == 2:
        return float(f"{tokens[0][1:]}e{tokens[1][1:]}")
    sign, *parts, exponent = tokens
    return float(f"{sign}{parts[0]}{''.join(parts[1:])}e{exponent[1:]}")


def hard_numbers(digits):
    """Return powers of ten, ties, carries and the neighbouring floats of all these."""
    rng = np.random.default_rng(digits)
    powers = [float(f"1e{j}") for j in range(-110, 100)]
    mantissas = rng.integers(10 ** (digits - 1), 10**digits, 400).tolist()
    exponents = rng.integers(-112, 100 - digits, 400).tolist()
    halves = [float(f"{m}5e{k}") for m, k in zip(mantissas, exponents, strict=True)]
    carries = [float(f"{10**digits - 1}5e{k}") for k in range(-112, 98 - digits)]
    ties = [(2 * m + 1) * 10**n / 2 for m in mantissas[:20] for n in range(23)]
    ties += [c / 2**q for c in range(1, 60, 2) for q in range(1, 25)]
    x = np.array(powers + halves + carries + ties + ALMOST_TIES)
    x = np.concatenate([x, np.nextafter(x, 0), np.nextafter(x, np.inf)])
    return np.concatenate([x, -x])


@pytest.mark.parametrize(("x", "mantissa", "exponent", "fp15"), EXAMPLES)
def test_published_examples_are_reproduced(x, mantissa, exponent, fp15):
    for name in SCIENTIFIC:
        expected = expected_tokens(name, 3, mantissa, exponent)
        assert make(name, 3).tokens(x) == expected
    assert make("fp15", 3).tokens(x) == [fp15]


def test_tokens_of_each_encoding():
    assert make("p10", 3).tokens(-6.02) == ["-", "6", "0", "2", "E-2"]
    assert make("p10", 3).tokens(0) == ["+", "0", "E0"]
    assert make("p1000", 3).tokens(-6.02) == ["-", "602", "E-2"]
    assert make("p1000", 7).tokens(3.0400075) == [
        "+",
        "3",
        "40",
        "8",
        "E-6",
    ]
    assert make("b1999", 3).tokens(-6.02) == ["N-602", "E-2"]


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [("p10", 213, 5), ("p1000", 1203, 3), ("b1999", 2202, 2), ("fp15", 29001, 1)],
)
def test_vocabularies_have_their_published_sizes(name, size, width):
    encoding = make(name, 3)
    assert len(set(encoding.vocabulary)) == len(encoding.vocabulary) == size
    assert encoding.max_tokens == width


# Published ids start with 22 special tokens and five signs, 27 tokens in all.
@pytest.mark.parametrize(
    ("name", "offset", "published"),
    [
        ("p1000", 25, {"314": 267, "999": 1026, "E-2": 1039, "E0": 1127}),
        ("b1999", 27, {"N314": 1469, "N-314": 468, "E-2": 39}),
        ("fp15", 27, {"-NaN": 27, "N314e7": 17988, "NaN": 29027}),
    ],
)
def test_tokens_have_their_published_order(name, offset, published):
    vocabulary = make(name, 3).vocabulary
    for token, index in published.items():
        assert vocabulary.index(token) == index - offset


@every_precision
def test_vocabularies_are_sorted_after_the_signs(name, digits):
    vocabulary = make(name, digits).vocabulary
    signs = 2 if name.startswith("p") else 0
    assert vocabulary[:signs] == ("+", "-")[:signs]
    assert list(vocabulary[signs:]) == sorted(vocabulary[signs:])


@pytest.mark.parametrize("digits", range(1, 16))
def test_hard_numbers_round_as_c_does(digits):
    x = hard_numbers(digits)
    tokens = make("p1000", digits).tokens(x)
    assert tokens == [
        expected_tokens("p1000", digits, *c_format(v, digits)) for v in x.tolist()
    ]


@pytest.mark.parametrize("name", SCIENTIFIC)
@given(x=st.lists(floats, min_size=1), data=st.data())
@quick
def test_any_numbers_round_as_c_does(name, x, data):
    digits = data.draw(st.integers(1, MAX_DIGITS[name]))
    tokens = make(name, digits).tokens(x)
    assert tokens == [expected_tokens(name, digits, *c_format(v, digits)) for v in x]


@pytest.mark.parametrize("digits", range(1, 5))
def test_fp15_follows_the_published_formula(digits):
    rng = np.random.default_rng(digits)
    spread = 10.0 ** rng.uniform(-12, 10, 4000) * rng.choice([-1, 1], 4000)
    x = np.concatenate([spread, hard_numbers(digits)])
    tokens = make("fp15", digits).tokens(x)
    assert tokens == [[published_fp15(float(v), digits)] for v in x]


@every_precision
def test_every_encoding_round_trips(name, digits):
    rng = np.random.default_rng(digits)
    limit = (-7, 8.9) if name == "fp15" else (-85, 99)  # full precision within
    x = 10.0 ** rng.uniform(*limit, 3000) * rng.choice([-1, 1], 3000)
    encoding = make(name, digits)
    ids = encoding.encode(x)
    values, ok = encoding.decode(ids)
    assert ok.all()
    error = (values.numpy() - x) / x
    assert abs(error).max() <= 0.5 * 10.0 ** (1 - digits) * (1 + 1e-9)
    assert (encoding.encode(values) == ids).all()


@every_precision
def test_decoded_values_are_the_nearest_floats(name, digits):
    encoding = make(name, digits)
    rng = np.random.default_rng(digits)
    x = 10.0 ** rng.uniform(-100, 100, 1000) * rng.choice([-1, 1], 1000)
    tokens = encoding.tokens(x)
    values, ok = encoding.decode(encoding.encode(x))
    assert ok.all()
    if name == "p1000":  # all mantissa tokens except the first have three digits
        tokens = [
            [t[0], t[1], *(f"{int(p):03}" for p in t[2:-1]), t[-1]] for t in tokens
        ]
    assert values.tolist() == [parse(t, digits) for t in tokens]


@every_encoding
def test_all_tokens_at_the_last_position_decode(name):
    encoding = make(name, 3)
    ids = encoding.encode(1.5).expand(len(encoding.vocabulary), -1).clone()
    ids[:, -1] = torch.arange(len(encoding.vocabulary))
    values, ok = encoding.decode(ids)
    good = [w for w in encoding.vocabulary if name == "fp15" or w.startswith("E")]
    assert [w for w, fine in zip(encoding.vocabulary, ok, strict=True) if fine] == good
    head = encoding.tokens(1.5)[:-1]
    if name == "p10":
        head = [head[0], "".join(head[1:])]
    assert values[ok].tolist() == [parse([*head, w], 3) for w in good]


@pytest.mark.parametrize("k", [-100, -99, -23, -22, -1, 0, 1, 22, 23, 24, 99, 100])
def test_every_mantissa_of_three_digits_decodes(k):
    encoding = make("p1000", 3)
    index = {token: i for i, token in enumerate(encoding.vocabulary)}
    ids = [[index["-"], index[str(m)], index[f"E{k}"]] for m in range(1000)]
    values, ok = encoding.decode(ids)
    assert ok.all()
    assert values.tolist() == [float(f"-{m}e{k}") for m in range(1000)]


# The relative distance from a midpoint of two floats is 1e-33 (continued fractions).
@pytest.mark.parametrize(
    ("mantissa", "exponent"),
    [("046202199371337", -72), ("951206426453718", -41), ("330095714976351", -88)],
)
def test_decimals_between_two_floats_decode_to_the_nearest(mantissa, exponent):
    index = {token: i for i, token in enumerate(make("p10", 15).vocabulary)}
    tokens = ["+", *mantissa, f"E{exponent}"]
    value, _ = make("p10", 15).decode([index[token] for token in tokens])
    assert value.item() == float(f"{mantissa}e{exponent}")


@pytest.mark.parametrize(
    ("name", "digits", "tokens", "value"),
    [
        ("p1000", 3, "+ 17 E-1", 1.7),
        ("p1000", 3, "+ 17 _", None),
        ("p1000", 3, "17 + E0", None),
        ("p1000", 3, "- 0 E7", 0.0),
        ("p1000", 6, "+ 0 E0 _", 0.0),
        ("p1000", 6, "+ 0 17 E1", 170.0),
        ("p1000", 6, "+ 0 E1 _", None),
        ("p1000", 6, "- 0 E0 _", None),
        ("p1000", 6, "+ 17 E0 _", None),
        ("p10", 3, "+ 0 E0 _ _", 0.0),
        ("p10", 3, "+ 0 E0 _ 3", None),
        ("p10", 3, "+ 3 1 E0 _", None),
        ("p10", 3, "- 0 0 7 E0", -7.0),
        ("p10", 3, "_ _ _ _ _", None),
        ("b1999", 3, "N-1000 E-2", -10.0),
        ("b1999", 3, "N0 E5", 0.0),
        ("b1999", 3, "E0 N1", None),
        ("fp15", 3, "NaN", 1e9),
        ("fp15", 3, "-NaN", -1e9),
        ("fp15", 3, "N-99e0", -9.9e-8),
        ("fp15", 3, "_", None),
    ],
)
def test_decoding_is_strict(name, digits, tokens, value):
    encoding = make(name, digits)
    index = {token: i for i, token in enumerate(encoding.vocabulary)} | {"_": NO_TOKEN}
    number, ok = encoding.decode([index[token] for token in tokens.split()])
    assert ok.item() == (value is not None)
    assert number.isnan().item() if value is None else number.item() == value


def test_a_short_zero_is_padded_with_no_token_only():
    encoding = make("p10", 3)
    zero = encoding.encode(0.0)
    assert zero.tolist()[3:] == [NO_TOKEN, NO_TOKEN]
    for other in (-2, len(encoding.vocabulary), 10**9):
        assert not encoding.decode(torch.where(zero == NO_TOKEN, other, zero))[1]


@every_precision
@given(data=st.data())
@quick
def test_malformed_ids_decode_to_nan(name, digits, data):
    encoding = make(name, digits)
    near = st.integers(-3, len(encoding.vocabulary) + 2)
    row = st.lists(
        near | int64s, min_size=encoding.max_tokens, max_size=encoding.max_tokens
    )
    ids = torch.tensor(data.draw(st.lists(row, min_size=1, max_size=5)))
    values, ok = encoding.decode(ids)
    assert values.shape == ok.shape == ids.shape[:-1]
    assert (values.isnan() == ~ok).all()
    assert not ok[encoding.starts_number(ids)[:, 0].logical_not()].any()


@every_encoding
def test_decoding_accepts_integers_of_any_type_only(name):
    encoding = make(name, 1)
    ids = torch.zeros(2, encoding.max_tokens, dtype=torch.int64)
    for kind in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert (encoding.decode(ids.to(kind))[1] == encoding.decode(ids)[1]).all()
    for kind in (torch.float64, torch.bool, torch.complex64):
        with pytest.raises(ValueError, match="integers"):
            encoding.decode(ids.to(kind))
        with pytest.raises(ValueError, match="integers"):
            encoding.starts_number(ids.to(kind))


@every_encoding
def test_decoding_rejects_other_shapes(name):
    encoding = make(name, 3)
    for shape in [(), (encoding.max_tokens + 1,), (encoding.max_tokens, 0)]:
        with pytest.raises(ValueError, match=rf"\(\.\.\., {encoding.max_tokens}\)"):
            encoding.decode(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("name", SCIENTIFIC)
def test_limits_of_the_range(name):
    encoding = make(name, 3)
    zero = encoding.tokens(0)
    assert encoding.tokens([9.996e-99, 9.994e-99, -1e-99, 5e-324]) == [
        expected_tokens(name, 3, 100, -100),
        *[zero] * 3,
    ]
    assert encoding.tokens(-9.994e102) == expected_tokens(name, 3, -999, 100)
    for x in (9.996e102, -1e103, 1e308, math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=r"cannot encode .*999e100"):
            encoding.encode([1.0, x])


def test_fp15_encodes_large_numbers_but_not_nan():
    encoding = make("fp15", 3)
    assert encoding.tokens([math.inf, -1e300, 1e9]) == [["NaN"], ["-NaN"], ["NaN"]]
    assert encoding.tokens([-1e-300, 5e-324]) == [["N0e0"], ["N0e0"]]
    with pytest.raises(ValueError, match="nan"):
        encoding.encode(math.nan)


@every_encoding
def test_numbers_start_with_signs_or_mantissas(name):
    encoding = make(name, 3)
    ids = torch.arange(-2, len(encoding.vocabulary) + 2)
    first = ("+", "-") if name.startswith("p") else ("N", "-NaN")
    expected = [token.startswith(first) for token in encoding.vocabulary]
    assert encoding.starts_number(ids).tolist() == [
        False,
        False,
        *expected,
        False,
        False,
    ]
    starts = encoding.starts_number(encoding.encode([3.0, -0.1, 0.0]))
    assert starts.tolist() == [[True] + [False] * (encoding.max_tokens - 1)] * 3


@every_encoding
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 0), (2, 3, 4)])
def test_numbers_of_any_shape_are_encoded(name, shape):
    encoding = make(name, 3)
    x = torch.linspace(-9, 9, math.prod(shape)).double().reshape(shape)
    ids = encoding.encode(x)
    assert ids.shape == (*shape, encoding.max_tokens)
    assert ids.dtype == torch.int64
    values, ok = encoding.decode(ids)
    assert values.shape == ok.shape == shape
    assert (values.dtype, ok.dtype) == (torch.float64, torch.bool)


@every_encoding
def test_tensors_arrays_and_lists_are_encoded_alike(name):
    encoding = make(name, 3)
    x = np.arange(-6, 6).reshape(3, 4) / 8
    frozen = x.copy()
    frozen.flags.writeable = False
    ids = encoding.encode(torch.tensor(x))
    for other in (x, x.tolist(), frozen, torch.tensor(x).float(), torch.tensor(x)):
        assert (encoding.encode(other) == ids).all()
    assert (encoding.encode(torch.tensor(x).T) == ids.transpose(0, 1)).all()
    assert (encoding.encode(x[::-1]) == ids.flip(0)).all()
    assert (encoding.encode(10) == encoding.encode(10.0)).all()
    assert encoding.tokens(x)[1][2] == encoding.tokens(x[1, 2])


def test_unknown_encodings_raise_an_error():
    with pytest.raises(UnknownName, match="p10, p1000, b1999, fp15"):
        ENCODINGS["p100"]


@every_encoding
@pytest.mark.parametrize("digits", [0, -1, 3.0, "3", None, True, np.int64(3), 16])
def test_invalid_digits_raise_an_error(name, digits):
    expected = rf"{name.upper()} takes an integer from 1 to {MAX_DIGITS[name]}$"
    with pytest.raises(ValueError, match=expected):
        ENCODINGS[name](digits=digits)


@every_precision
def test_digits_up_to_the_limit_are_accepted(name, digits):
    assert make(name, digits).digits == digits


@every_encoding
def test_registered_classes_have_one_line_docstrings(name):
    assert ENCODINGS[name].__doc__.count("\n") == 0


def test_the_registry_does_not_import_torch():
    code = "import sys, mathprobe.linalg.encodings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
