"""Encodings of real numbers as short sequences of tokens: P10, P1000, B1999, FP15.

Source: Charton 2022, "Linear algebra with transformers" (arXiv 2112.01898), and the
published code.  The paper uses three significant digits; here their number d is an
argument.

    d  number of significant digits
    m  mantissa, an integer; 10^(d-1) <= m < 10^d except for zero and in FP15 for e = 0
    k  decimal exponent, an integer; -100 <= k <= 100
    W  `max_tokens`, the largest number of tokens of one number

    encoding  x = 3.14      tokens of x = ± m 10^k
    P10       + 3 1 4 E-2   sign, digits of m in base 10, exponent; zero is + 0 E0
    P1000     + 314 E-2     the same with m in base 1000
    B1999     N314 E-2      signed mantissa, exponent
    FP15      N314e7        one token N±m e{e} for ±m 10^(e-6-d); beyond 1e9 NaN or -NaN
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from mathprobe.lazy import torch
from mathprobe.registry import Registry

ENCODINGS: Registry[type[Encoding]] = Registry("encoding")
NO_TOKEN = -1  # fills the ids of a number that has fewer than W tokens, at the right

UNKNOWN, SIGN, MANTISSA, EXPONENT = range(4)  # kinds of tokens
MAX_EXPONENT = 100
EXPONENTS = {f"E{k}": (EXPONENT, k) for k in range(-MAX_EXPONENT, MAX_EXPONENT + 1)}
MIN_POWER, MAX_POWER = -101, 116  # powers of ten that rounding to 15 digits needs
# A number within this relative distance of a half-integer is a tie.  The sum of three
# floats represents a power of ten with an error of 1e-46.  Numbers of up to 15 digits
# that are not ties have a distance of at least 2e-35 (from continued fractions).
TIE_TOLERANCE = 1e-41


@cache
def _powers() -> torch.Tensor:
    """Return powers of ten [3, K], each as the sum of three floats in a column."""
    columns = []
    for j in range(MIN_POWER, MAX_POWER + 1):
        power = Fraction(10) ** j
        high = float(power)
        middle = float(power - Fraction(high))
        columns.append((high, middle, float(power - Fraction(high) - Fraction(middle))))
    return torch.tensor(columns, dtype=torch.float64).T.contiguous()


def _split(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split each float into two floats of 26 bits with exact products (Veltkamp)."""
    scaled = a * (2.0**27 + 1)
    high = scaled - (scaled - a)
    return high, a - high


def _two_product(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a·b and its exact rounding error (Dekker)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = a_high * b_high - product + a_high * b_low + a_low * b_high
    return product, error + a_low * b_low


def _two_sum(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a + b and its exact rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _nearest(x: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Return the integer nearest to x·power; ties go to the even integer, as in C.

    `power` [3, ...] contains three floats whose sum is the power.
    """
    high, middle, low = power
    product, error = _two_product(x, high)
    rest, rest_error = _two_product(x, middle)
    floor = product.floor()
    excess, excess_error = _two_sum(product - (floor + 0.5), error)
    excess, last_error = _two_sum(excess, rest)
    excess += excess_error + last_error + rest_error + x * low
    tie = excess.abs() <= TIE_TOLERANCE * product
    return (floor + torch.where(tie, floor % 2 == 1, excess > 0)).long()


def _times_power(mantissa: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """Return the float nearest to m·10^k, as Python parses the decimal number."""
    high, middle, low = _powers()[:, exponent - MIN_POWER]
    product, error = _two_product(mantissa, high)
    rest, rest_error = _two_product(mantissa, middle)
    small, small_error = _two_sum(error, rest)
    total, small = _two_sum(product, small)
    small, error = _two_sum(small, small_error + (rest_error + mantissa * low))
    # Round to odd, so that only the last addition rounds (Boldo and Melquiond 2008).
    inexact = error != 0
    opposite = inexact & (small.signbit() != error.signbit())
    odd = (small.view(torch.int64) - opposite.long()) | inexact.long()
    return total + odd.view(torch.float64)


def _scientific(x: torch.Tensor, digits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Round x to m·10^k like C's `%.{d-1}e`; m has the sign of x.

    Numbers with k < -100 become zero.  Raises ValueError for NaN and for k > 100.
    """
    powers = _powers()
    over = MAX_EXPONENT + 1
    smallest = powers[0, digits - 1 : digits + over - MIN_POWER]  # by k
    exponent = torch.bucketize(x.abs(), smallest, right=True) + MIN_POWER - 1
    mantissa = _nearest(x.abs(), powers[:, -exponent - MIN_POWER])
    carried = mantissa == 10**digits
    mantissa = torch.where(carried, 10 ** (digits - 1), mantissa)
    exponent += carried
    bad = (exponent > MAX_EXPONENT) | x.isnan()
    if bad.any():
        allowed = f"finite and at most {10**digits - 1}e{MAX_EXPONENT}"
        raise ValueError(f"cannot encode {x[bad][0].item()}: numbers must be {allowed}")
    zero = exponent < -MAX_EXPONENT
    mantissa = torch.where(x < 0, -mantissa, mantissa)
    return mantissa.masked_fill(zero, 0), exponent.masked_fill(zero, 0)


def _as_tensor(values: Any, dtype: type | None = None) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach()
    # A copy, since torch does not accept read-only arrays.
    return torch.from_numpy(np.array(values, dtype, order="C"))


def _as_ids(ids: Any) -> torch.Tensor:
    ids = _as_tensor(ids)
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise ValueError(f"ids must be integers, not {ids.dtype}")
    return ids.long()


class Encoding(ABC):
    """Base class: encodes numbers as token ids and decodes them.

    A subclass defines the vocabulary, the pattern of a number, `_encode` and `_decode`.
    """

    max_digits: int
    zero: tuple[str, ...]  # tokens of zero; may be fewer than W

    @property
    @abstractmethod
    def pattern(self) -> tuple[int, ...]:
        """Return the kinds of the W tokens of a number."""

    @abstractmethod
    def _token_values(self) -> Mapping[str, tuple[int, float]]:
        """Return the kind and value of every token, in the order of the ids."""

    @abstractmethod
    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the ids [..., W] of numbers [...]."""

    @abstractmethod
    def _decode(self, values: torch.Tensor) -> torch.Tensor:
        """Return the numbers [...] whose tokens have the values [..., W]."""

    def __init__(self, digits: int) -> None:
        if type(digits) is not int or not 1 <= digits <= self.max_digits:
            allowed = f"takes an integer from 1 to {self.max_digits}"
            raise ValueError(f"digits={digits!r}: {type(self).__name__} {allowed}")
        self.digits = digits
        tokens = self._token_values()
        self.vocabulary = tuple(tokens)
        self.max_tokens = len(self.pattern)
        # The last row is for ids that are not in the vocabulary.
        kind, value = np.array([*tokens.values(), (UNKNOWN, 0)]).T
        order = np.argsort(value)
        zero = [self.vocabulary.index(token) for token in self.zero]
        self._arrays = {
            "kind": kind.astype(np.int8),
            "value": value,
            "pattern": np.array(self.pattern, np.int8),
            "zero": np.array(zero + [NO_TOKEN] * (self.max_tokens - len(zero))),
            "mantissa_ids": order[kind[order] == MANTISSA],  # in order of value
            "exponent_ids": order[kind[order] == EXPONENT],
        }

    @property
    def used_ids(self) -> np.ndarray:
        """Return the ids that `encode` can return; published vocabularies have more."""
        kind, value = self._arrays["kind"][:-1], abs(self._arrays["value"][:-1])
        if self.pattern.count(MANTISSA) > 1 or EXPONENT not in self.pattern:
            return np.arange(len(kind))
        normalized = (value >= 10 ** (self.digits - 1)) & (value < 10**self.digits)
        return np.flatnonzero((kind != MANTISSA) | (value == 0) | normalized)

    def encode(self, x: Any) -> torch.Tensor:
        """Return the ids of numbers, of shape x.shape + (W,), padded with NO_TOKEN.

        Raises ValueError for numbers that cannot be encoded.
        """
        return self._encode(_as_tensor(x, np.float64).to(torch.float64).contiguous())

    def decode(self, ids: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the numbers [...] of ids [..., W], and a mask [...].

        The mask is true for well-formed numbers; a malformed number is NaN.  Raises
        ValueError for ids of another shape or type.
        """
        ids = _as_ids(ids)
        if ids.ndim == 0 or ids.shape[-1] != self.max_tokens:
            shape = tuple(ids.shape)
            raise ValueError(
                f"ids must have shape (..., {self.max_tokens}), not {shape}"
            )
        tables = self._tables
        rows = self._rows(ids)
        ok = (tables.kind[rows] == tables.pattern).all(-1)
        ok |= (ids == tables.zero).all(-1)
        numbers = self._decode(tables.value[rows] * ok[..., None])
        return numbers.masked_fill(~ok, torch.nan), ok

    def starts_number(self, ids: Any) -> torch.Tensor:
        """Return a mask, of the shape of `ids`, of the first tokens of numbers."""
        ids = _as_ids(ids)
        tables = self._tables
        return tables.kind[self._rows(ids)] == tables.pattern[0]

    def tokens(self, x: Any) -> list[Any]:
        """Return the tokens of numbers as strings, in lists nested like x."""

        def strings(ids: list[Any]) -> list[Any]:
            if ids and isinstance(ids[0], list):
                return [strings(row) for row in ids]
            return [self.vocabulary[i] for i in ids if i != NO_TOKEN]

        return strings(self.encode(x).tolist())

    def _rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows of ids in the tables; unknown ids have the last row."""
        size = len(self.vocabulary)
        return ids.masked_fill((ids < 0) | (ids >= size), size)

    @cached_property
    def _tables(self) -> SimpleNamespace:
        """Return the arrays as tensors."""
        return SimpleNamespace(
            **{name: torch.from_numpy(array) for name, array in self._arrays.items()}
        )


class Positional(Encoding):
    """Base class: sign, mantissa in base 10^digits_per_token, exponent."""

    max_digits = 15  # precision of float64, and the limit for which _nearest is exact
    zero = ("+", "0", "E0")
    digits_per_token: int

    def _token_values(self) -> Mapping[str, tuple[int, float]]:
        numbers = {str(i): (MANTISSA, i) for i in range(10**self.digits_per_token)}
        signs = {"+": (SIGN, 1), "-": (SIGN, -1)}
        return signs | dict(sorted((numbers | EXPONENTS).items()))

    @property
    def pattern(self) -> tuple[int, ...]:
        """Return the kinds of the W tokens of a number."""
        return (SIGN, *[MANTISSA] * -(-self.digits // self.digits_per_token), EXPONENT)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        tables = self._tables
        mantissa, exponent = _scientific(x, self.digits)
        magnitude, base = mantissa.abs(), 10**self.digits_per_token
        powers = [base**i for i in reversed(range(self.max_tokens - 2))]
        columns = [
            (mantissa < 0).long(),
            *[tables.mantissa_ids[magnitude // power % base] for power in powers],
            tables.exponent_ids[exponent + MAX_EXPONENT],
        ]
        ids = torch.stack(columns, dim=-1)
        return torch.where(mantissa[..., None] == 0, tables.zero, ids)

    def _decode(self, values: torch.Tensor) -> torch.Tensor:
        sign, mantissa, *others, exponent = values.unbind(-1)
        for digits in others:
            mantissa = mantissa * 10**self.digits_per_token + digits
        return _times_power((sign * mantissa).double(), exponent)


@ENCODINGS.add("p10")
class P10(Positional):
    """Encode the sign, d digits in base 10 and the exponent."""

    digits_per_token = 1


@ENCODINGS.add("p1000")
class P1000(Positional):
    """Encode the sign, the mantissa in base 1000 and the exponent."""

    digits_per_token = 3


@ENCODINGS.add("b1999")
class B1999(Encoding):
    """Encode the signed mantissa as one token and the exponent."""

    max_digits = 5  # 200 001 mantissas
    pattern = (MANTISSA, EXPONENT)
    zero = ("N0", "E0")

    def _token_values(self) -> Mapping[str, tuple[int, float]]:
        top = 10**self.digits  # in the published vocabulary, but never used
        numbers = {f"N{m}": (MANTISSA, m) for m in range(-top, top + 1)}
        return dict(sorted((numbers | EXPONENTS).items()))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        tables = self._tables
        mantissa, exponent = _scientific(x, self.digits)
        mantissa_ids = tables.mantissa_ids[mantissa + 10**self.digits]
        exponent_ids = tables.exponent_ids[exponent + MAX_EXPONENT]
        return torch.stack([mantissa_ids, exponent_ids], dim=-1)

    def _decode(self, values: torch.Tensor) -> torch.Tensor:
        return _times_power(values[..., 0].double(), values[..., 1])


@ENCODINGS.add("fp15")
class FP15(Encoding):
    """Encode sign, mantissa and exponent as one token, from 1e-9 to 1e9."""

    max_digits = 4  # 290 001 tokens
    pattern = (MANTISSA,)
    zero = ("N0e0",)

    def _token_values(self) -> Mapping[str, tuple[int, float]]:
        top, first = 10**self.digits, 10 ** (self.digits - 1)
        tokens = {"NaN": (MANTISSA, 1e9), "-NaN": (MANTISSA, -1e9)}
        for e in range(16):
            for m in range(first if e else 0, top):
                value = float(f"{m}e{e - 6 - self.digits}")
                tokens[f"N{-m}e{e}"] = (MANTISSA, -value)
                tokens[f"N{m}e{e}"] = (MANTISSA, value)
        return dict(sorted(tokens.items()))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        if x.isnan().any():
            raise ValueError("cannot encode nan: numbers must not be nan")
        # Values of 1e16 and above become the largest value, the token NaN.
        scaled = (x.abs() * 1e7).clamp(max=1e16)
        # A rounding error of the logarithm at a power of ten has no effect: the
        # mantissa 10^d at exponent e has the rank of 10^(d-1) at e + 1.
        e = scaled.clamp(min=1.0).log10().floor()
        power = _powers()[0][self.digits - 1 - MIN_POWER - e.long()]
        # Ties round away from zero.  The published code has the same rounding errors.
        mantissa = (scaled * power + 0.5).floor()
        rank = mantissa + 9 * 10 ** (self.digits - 1) * e  # among nonnegative values
        ids = self._tables.mantissa_ids
        return ids[len(ids) // 2 + rank.copysign(x).long()][..., None]

    def _decode(self, values: torch.Tensor) -> torch.Tensor:
        return values[..., 0]
