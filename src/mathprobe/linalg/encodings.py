"""Real numbers as short runs of tokens: P10, P1000, B1999 and FP15.

Source: Charton 2022, "Linear algebra with transformers" (arXiv 2112.01898), where
matrices are encoded as sequences, and the code published with it; the paper keeps
three significant digits, the rules here take any number d of them.

    d  digits, significant ones
    m  mantissa, an integer; 10^(d-1) <= m < 10^d except for zero and for FP15's e = 0
    k  exponent, the power of ten that m is multiplied by; -100 <= k <= 100
    W  width, the most tokens that one number takes

    encoding  x = 3.14      tokens of x = ± m 10^k
    P10       + 3 1 4 E-2   sign, digits of m in base 10, exponent; zero is + 0 E0
    P1000     + 314 E-2     the same with m in base 1000
    B1999     N314 E-2      signed mantissa, exponent
    FP15      N314e7        one token N±m e{e} for m 10^(e-6-d); beyond 1e9 NaN or -NaN
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from mathprobe.lazy import torch
from mathprobe.registry import Registry

ENCODINGS: Registry[type[Encoding]] = Registry("encoding")
NO_TOKEN = -1  # the id at the right of a number that takes fewer than W tokens

NOTHING, SIGN, MANTISSA, EXPONENT = range(4)  # kinds of tokens
MAX_EXPONENT = 100
EXPONENTS = {f"E{k}": (EXPONENT, k) for k in range(-MAX_EXPONENT, MAX_EXPONENT + 1)}
MIN_POWER, MAX_POWER = -101, 116  # what rounding needs up to 15 digits
# Share of the product within which it is a tie.  Three floats leave an error of 1e-46;
# numbers of 15 digits that are no ties stay 2e-35 away (from continued fractions).
TIE_TOLERANCE = 1e-41


@cache
def _powers(device: torch.device) -> torch.Tensor:
    """Return powers of ten, each the sum of the three floats of a column."""
    columns = []
    for j in range(MIN_POWER, MAX_POWER + 1):
        power = Fraction(10) ** j
        high = float(power)
        middle = float(power - Fraction(high))
        columns.append((high, middle, float(power - Fraction(high) - Fraction(middle))))
    return torch.tensor(columns, dtype=torch.float64, device=device).T.contiguous()


def _split(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut floats into halves of 26 bits, whose products are exact (Veltkamp)."""
    wide = a * (2.0**27 + 1)
    high = wide - (wide - a)
    return high, a - high


def _product(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a·b and its rounding error, which is exact (Dekker)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = a_high * b_high - product + a_high * b_low + a_low * b_high
    return product, error + a_low * b_low


def _sum(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a + b and its rounding error, which is exact (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _nearest(x: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Return the integer nearest to x·power; ties go to the even one, as in C."""
    high, middle, low = power
    product, error = _product(x, high)
    rest, rest_error = _product(x, middle)
    floor = product.floor()
    excess, excess_error = _sum(product - (floor + 0.5), error)
    excess, last_error = _sum(excess, rest)
    excess += excess_error + last_error + rest_error + x * low
    tie = excess.abs() <= TIE_TOLERANCE * product
    return (floor + torch.where(tie, floor % 2 == 1, excess > 0)).long()


def _times_power(mantissa: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """Return the float nearest to m·10^k, as reading the decimal number does."""
    high, middle, low = _powers(mantissa.device)[:, exponent - MIN_POWER]
    product, error = _product(mantissa, high)
    rest, rest_error = _product(mantissa, middle)
    small, small_error = _sum(error, rest)
    total, small = _sum(product, small)
    small, error = _sum(small, small_error + (rest_error + mantissa * low))
    # Rounded to odd, so that only the last addition rounds (Boldo and Melquiond 2008).
    inexact = error != 0
    opposite = inexact & (small.signbit() != error.signbit())
    odd = (small.view(torch.int64) - opposite.long()) | inexact.long()
    return total + odd.view(torch.float64)


def _scientific(x: torch.Tensor, digits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Round x to m·10^k as C's `%.{d-1}e` does; m has x's sign, k < -100 gives zero."""
    powers = _powers(x.device)
    over = MAX_EXPONENT + 1
    smallest = powers[0, digits - 1 : digits + over - MIN_POWER]  # number of each k
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


def _tensor(values: Any, dtype: type | None = None) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach()
    return torch.from_numpy(np.array(values, dtype, order="C"))  # a copy: may be frozen


def _integers(ids: Any) -> torch.Tensor:
    ids = _tensor(ids)
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise ValueError(f"ids must be integers, not {ids.dtype}")
    return ids.long()


class Encoding(ABC):
    """Numbers to ids and back."""

    max_digits: int
    zero: tuple[str, ...]  # tokens of zero, which may be fewer than W

    @property
    @abstractmethod
    def pattern(self) -> tuple[int, ...]:
        """Return the kinds of the W tokens of a number."""

    @abstractmethod
    def _words(self) -> Mapping[str, tuple[int, float]]:
        """Return kind and number of every token, in the order of the ids."""

    @abstractmethod
    def _spell(self, x: torch.Tensor) -> torch.Tensor:
        """Return the ids [..., W] of numbers [...]."""

    @abstractmethod
    def _read(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the values [...] of tokens with these numbers [..., W]."""

    def __init__(self, digits: int) -> None:
        if type(digits) is not int or not 1 <= digits <= self.max_digits:
            allowed = f"takes an integer from 1 to {self.max_digits}"
            raise ValueError(f"digits={digits!r}: {type(self).__name__} {allowed}")
        self.digits = digits
        words = self._words()
        self.vocabulary = tuple(words)
        self.max_tokens = len(self.pattern)
        kind, number = np.array([*words.values(), (NOTHING, 0)]).T
        order = np.argsort(number)
        zero = [self.vocabulary.index(word) for word in self.zero]
        self._arrays = {
            "kind": kind.astype(np.int8),
            "number": number,
            "pattern": np.array(self.pattern, np.int8),
            "zero": np.array(zero + [NO_TOKEN] * (self.max_tokens - len(zero))),
            "mantissa_ids": order[kind[order] == MANTISSA],  # from the lowest number
            "exponent_ids": order[kind[order] == EXPONENT],
        }
        self._tensors: dict[torch.device, SimpleNamespace] = {}

    @property
    def used_ids(self) -> np.ndarray:
        """Return which ids `encode` can give; published vocabularies hold more."""
        kind, number = self._arrays["kind"][:-1], abs(self._arrays["number"][:-1])
        if self.pattern.count(MANTISSA) > 1 or EXPONENT not in self.pattern:
            return np.arange(len(kind))
        whole = (number >= 10 ** (self.digits - 1)) & (number < 10**self.digits)
        return np.flatnonzero((kind != MANTISSA) | (number == 0) | whole)

    def encode(self, x: Any) -> torch.Tensor:
        """Return the ids of the numbers, shape x.shape + (W,), filled by NO_TOKEN."""
        return self._spell(_tensor(x, np.float64).to(torch.float64).contiguous())

    def decode(self, ids: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return values and which ids [..., W] are well formed; NaN where not."""
        ids = _integers(ids)
        if ids.ndim == 0 or ids.shape[-1] != self.max_tokens:
            shape = tuple(ids.shape)
            raise ValueError(
                f"ids must have shape (..., {self.max_tokens}), not {shape}"
            )
        tables = self._tables(ids.device)
        places = self._places(ids)
        ok = (tables.kind[places] == tables.pattern).all(-1)
        ok |= (ids == tables.zero).all(-1)
        values = self._read(tables.number[places] * ok[..., None])
        return values.masked_fill(~ok, torch.nan), ok

    def starts_number(self, ids: Any) -> torch.Tensor:
        """Return which ids, of any shape, are tokens that begin a number."""
        ids = _integers(ids)
        tables = self._tables(ids.device)
        return tables.kind[self._places(ids)] == tables.pattern[0]

    def tokens(self, x: Any) -> list[Any]:
        """Return the tokens of the numbers as strings, nested like x."""

        def spell(ids: list[Any]) -> list[Any]:
            if ids and isinstance(ids[0], list):
                return [spell(row) for row in ids]
            return [self.vocabulary[i] for i in ids if i != NO_TOKEN]

        return spell(self.encode(x).tolist())

    def _places(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the tables; ids that are no token get the last row."""
        size = len(self.vocabulary)
        return ids.masked_fill((ids < 0) | (ids >= size), size)

    def _tables(self, device: torch.device) -> SimpleNamespace:
        if device not in self._tensors:
            arrays = self._arrays.items()
            moved = {name: torch.tensor(array, device=device) for name, array in arrays}
            self._tensors[device] = SimpleNamespace(**moved)
        return self._tensors[device]


class Positional(Encoding):
    """Sign, mantissa in base 10^group, exponent."""

    max_digits = 15  # the most that a float64 holds, and that _nearest is exact for
    zero = ("+", "0", "E0")
    digits_per_token: int

    def _words(self) -> Mapping[str, tuple[int, float]]:
        numbers = {str(i): (MANTISSA, i) for i in range(10**self.digits_per_token)}
        signs = {"+": (SIGN, 1), "-": (SIGN, -1)}
        return signs | dict(sorted((numbers | EXPONENTS).items()))

    @property
    def pattern(self) -> tuple[int, ...]:
        """Return the kinds of the tokens of a number."""
        return (SIGN, *[MANTISSA] * -(-self.digits // self.digits_per_token), EXPONENT)

    def _spell(self, x: torch.Tensor) -> torch.Tensor:
        tables = self._tables(x.device)
        mantissa, exponent = _scientific(x, self.digits)
        size, base = mantissa.abs(), 10**self.digits_per_token
        places = reversed(range(self.max_tokens - 2))
        parts = [
            (mantissa < 0).long(),
            *[tables.mantissa_ids[size // base**place % base] for place in places],
            tables.exponent_ids[exponent + MAX_EXPONENT],
        ]
        ids = torch.stack(parts, dim=-1)
        return torch.where(mantissa[..., None] == 0, tables.zero, ids)

    def _read(self, numbers: torch.Tensor) -> torch.Tensor:
        sign, mantissa, *others, exponent = numbers.unbind(-1)
        for digit in others:
            mantissa = mantissa * 10**self.digits_per_token + digit
        return _times_power((sign * mantissa).double(), exponent)


@ENCODINGS.add("p10")
class P10(Positional):
    """Write the sign, d digits in base 10 and the exponent."""

    digits_per_token = 1


@ENCODINGS.add("p1000")
class P1000(Positional):
    """Write the sign, the mantissa in base 1000 and the exponent."""

    digits_per_token = 3


@ENCODINGS.add("b1999")
class B1999(Encoding):
    """Write the signed mantissa as one token and the exponent."""

    max_digits = 5  # 200 001 mantissas
    pattern = (MANTISSA, EXPONENT)
    zero = ("N0", "E0")

    def _words(self) -> Mapping[str, tuple[int, float]]:
        top = 10**self.digits  # never written, but in the published vocabulary
        numbers = {f"N{m}": (MANTISSA, m) for m in range(-top, top + 1)}
        return dict(sorted((numbers | EXPONENTS).items()))

    def _spell(self, x: torch.Tensor) -> torch.Tensor:
        tables = self._tables(x.device)
        mantissa, exponent = _scientific(x, self.digits)
        mantissa_ids = tables.mantissa_ids[mantissa + 10**self.digits]
        exponent_ids = tables.exponent_ids[exponent + MAX_EXPONENT]
        return torch.stack([mantissa_ids, exponent_ids], dim=-1)

    def _read(self, numbers: torch.Tensor) -> torch.Tensor:
        return _times_power(numbers[..., 0].double(), numbers[..., 1])


@ENCODINGS.add("fp15")
class FP15(Encoding):
    """Write one token for sign, mantissa and exponent, from 1e-9 to 1e9."""

    max_digits = 4  # 290 001 tokens
    pattern = (MANTISSA,)
    zero = ("N0e0",)

    def _words(self) -> Mapping[str, tuple[int, float]]:
        top, first = 10**self.digits, 10 ** (self.digits - 1)
        words = {"NaN": (MANTISSA, 1e9), "-NaN": (MANTISSA, -1e9)}
        for e in range(16):
            for m in range(first if e else 0, top):
                value = float(f"{m}e{e - 6 - self.digits}")
                words[f"N{-m}e{e}"] = (MANTISSA, -value)
                words[f"N{m}e{e}"] = (MANTISSA, value)
        return dict(sorted(words.items()))

    def _spell(self, x: torch.Tensor) -> torch.Tensor:
        if x.isnan().any():
            raise ValueError("cannot encode nan: numbers must not be nan")
        # Beyond 1e16 is the same as 1e16, which gets the last value, that of NaN.
        scaled = (x.abs() * 1e7).clamp(max=1e16)
        # A logarithm that misses a power of ten does no harm: 10^d of one e and
        # 10^(d-1) of the next have one rank.
        e = scaled.clamp(min=1.0).log10().floor()
        power = _powers(x.device)[0][self.digits - 1 - MIN_POWER - e.long()]
        # Ties away from zero, and the products' own errors, are the published code's.
        mantissa = (scaled * power + 0.5).floor()
        rank = mantissa + 9 * 10 ** (self.digits - 1) * e  # among values from zero on
        ids = self._tables(x.device).mantissa_ids
        return ids[len(ids) // 2 + rank.copysign(x).long()][..., None]

    def _read(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers[..., 0]
