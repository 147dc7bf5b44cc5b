"""Random matrices: symmetric by the law of their eigenvalues, others by coefficients.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix; the scale of the laws,
which the text leaves out, is the published code's (see `config/README.md`).
B: batch, n: size, [r, c]: matrix.  All are float64 on the device of the random stream.
Coefficients are Gaussian, or uniform of the same variance (the code's other reading).

Every symmetric law but Marchenko-Pastur has the second moment of the Wigner matrix, so
they differ in shape alone: eigenvalues of root mean square sqrt(n) * BOUND / sqrt(3).

A law that takes `columns` gives matrices of any shape; every other law gives symmetric
ones.  Names joined by + are a mixture: the law of each example is drawn uniformly.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mathprobe.errors import InputError
from mathprobe.lazy import torch
from mathprobe.registry import Registry, UnknownName

if TYPE_CHECKING:
    from torch import Generator, Tensor

LAWS = Registry("law")
COEFFICIENTS = Registry("law of coefficients")
Law = Callable[..., "Tensor"]
Settings = Mapping[str, float | str]

BOUND = 10.0  # of the coefficients
PLUS = "+"  # joins the names of a mixture


def positive(law: Law) -> Law:
    """Mark a law whose eigenvalues are never negative."""
    law.positive = True
    return law


def aside(law: Law) -> Law:
    """Mark a law that is no row of the tables."""
    law.aside = True
    return law


def parts(name: str) -> list[str]:
    """Give the laws of a mixture, or the one law that this names."""
    names = name.split(PLUS)
    if len(names) == 1:
        return [LAWS.known(name)]
    for part in names:
        if part not in LAWS:
            known = ", ".join(LAWS)
            raise UnknownName(
                f"mixture {name!r}: unknown law {part!r}; known names are {known}"
            )
        if names.count(part) > 1:
            raise InputError(
                f"mixture {name!r}: {part!r} is repeated; every law is named once"
            )
    return names


def is_positive(name: str) -> bool:
    """Tell whether eigenvalues of a law or mixture are never negative."""
    return all(getattr(LAWS[part], "positive", False) for part in parts(name))


def is_symmetric(name: str) -> bool:
    """Tell whether all matrices of a law or mixture are symmetric."""
    return not any("columns" in _parameters(part) for part in parts(name))


def in_comparison(name: str) -> bool:
    """Tell whether a law is a row of the tables: symmetric, and not set aside."""
    names = parts(name)
    return len(names) == 1 and is_symmetric(name) and not hasattr(LAWS[name], "aside")


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(LAWS[name]).parameters


@COEFFICIENTS.add("gaussian")
def _normal(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    unit = torch.randn(shape, generator=rng, device=rng.device, dtype=torch.float64)
    return deviation * unit


@COEFFICIENTS.add("uniform")
def _uniform(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    unit = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
    return math.sqrt(3.0) * deviation * (2.0 * unit - 1.0)


def _laplace(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    # The difference of two exponentials is Laplace and, unlike the inverse of its
    # distribution function, never infinite.
    pair = torch.empty((2, *shape), device=rng.device, dtype=torch.float64)
    pair.exponential_(generator=rng)
    return deviation / math.sqrt(2.0) * (pair[0] - pair[1])


def _mirrored(square: Tensor) -> Tensor:
    """Mirror the lower triangles of [B, n, n] upward."""
    return square.tril() + square.tril(-1).mT


@dataclass(frozen=True)
class Wigner:
    """Symmetric matrices with iid coefficients: the base of six laws, and its settings.

    The coefficients have the variance of the uniform law on [-bound, bound].
    """

    bound: float = BOUND
    coefficients: str = "gaussian"

    def deviation(self, n: int) -> float:
        """Give the root mean square eigenvalue at size n."""
        return math.sqrt(n) * self.bound / math.sqrt(3.0)

    def draw(self, rng: Generator, batch: int, n: int) -> Tensor:
        """Draw matrices [B, n, n]."""
        draw = COEFFICIENTS[self.coefficients]
        return _mirrored(draw(rng, (batch, n, n), self.bound / math.sqrt(3.0)))

    def rotate(self, rng: Generator, values: Tensor) -> Tensor:
        """Give eigenvalues [B, n] to matrices, with eigenvectors of the base."""
        vectors = torch.linalg.eigh(self.draw(rng, *values.shape))[1]
        return with_spectrum(vectors, values)


@dataclass(frozen=True)
class Factor:
    """The factor N of Marchenko-Pastur matrices N^T N: its settings."""

    deviation: float = math.sqrt(BOUND / math.sqrt(3.0))  # as printed
    coefficients: str = "gaussian"


@dataclass(frozen=True)
class Iid:
    """Coefficients whose law is named: uniform on [-bound, bound], or as wide."""

    bound: float = BOUND

    @property
    def deviation(self) -> float:
        """Give the standard deviation."""
        return self.bound / math.sqrt(3.0)


WIGNER, FACTOR, IID = Wigner(), Factor(), Iid()


def base_of(name: str) -> Wigner | Factor | Iid:
    """Give the base that a law draws from, with its settings as the paper has them."""
    return _parameters(name)["base"].default


def check_shape(name: str, rows: int, columns: int) -> None:
    """Refuse a shape that matrices of a law or mixture cannot have."""
    if rows < 1 or columns < 1:
        raise InputError(f"law {name!r}: {rows} x {columns}: sizes are 1 or more")
    for part in parts(name):
        if rows != columns and is_symmetric(part):
            allowed = ", ".join(law for law in LAWS if not is_symmetric(law))
            raise InputError(
                f"law {name!r}: {rows} x {columns}: matrices of {part!r} are "
                f"symmetric; laws of other shapes are {allowed}"
            )


def matrices(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    *shapes: tuple[int, int],
) -> Tensor:
    """Draw a matrix of every shape and lay them side by side: [B, r, c + c' + ...].

    `settings` are those of the laws, by name; what they leave out is the paper's.
    """
    names = parts(name)
    if len(names) == 1:
        return _of_one_law(name, settings, rng, batch, shapes)
    law = torch.randint(len(names), (batch,), generator=rng, device=rng.device)  # [B]
    shares = law.bincount(minlength=len(names)).tolist()
    drawn = [
        _of_one_law(part, settings, rng, share, shapes)
        for part, share in zip(names, shares, strict=True)
    ]
    return torch.cat(drawn)[law.argsort(stable=True).argsort()]


def _of_one_law(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    shapes: tuple[tuple[int, int], ...],
) -> Tensor:
    base = replace(base_of(name), **settings.get(name, {}))
    for shape in shapes:
        check_shape(name, *shape)
    if is_symmetric(name):
        drawn = [LAWS[name](rng, batch, rows, base) for rows, _ in shapes]
    else:
        drawn = [LAWS[name](rng, batch, rows, base, columns=c) for rows, c in shapes]
    return torch.cat(drawn, dim=2)


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Build H diag(values) H^T [B, n, n], exactly symmetric; vectors are H's columns.

    The paper writes this product; its code has H and H^T the other way round.
    """
    return _mirrored((vectors * values[:, None, :]) @ vectors.mT)


@LAWS.add("semicircle")
def semicircle(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw Wigner matrices; their spectrum tends to the semicircle."""
    return base.draw(rng, batch, n)


@LAWS.add("uniform")
def uniform(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw matrices with iid uniform eigenvalues."""
    values = _uniform(rng, (batch, n), base.deviation(n))
    return base.rotate(rng, values)


@LAWS.add("gaussian")
def gaussian(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw matrices with iid Gaussian eigenvalues."""
    values = _normal(rng, (batch, n), base.deviation(n))
    return base.rotate(rng, values)


@LAWS.add("laplace")
def laplace(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw matrices with iid Laplace eigenvalues."""
    values = _laplace(rng, (batch, n), base.deviation(n))
    return base.rotate(rng, values)


@LAWS.add("abs_semicircle")
@positive
def abs_semicircle(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw Wigner matrices and make their eigenvalues positive."""
    values, vectors = torch.linalg.eigh(base.draw(rng, batch, n))
    return with_spectrum(vectors, values.abs())


@LAWS.add("abs_laplace")
@positive
def abs_laplace(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw matrices whose eigenvalues are absolute values of iid Laplace variables."""
    values = _laplace(rng, (batch, n), base.deviation(n))
    return base.rotate(rng, values.abs())


@LAWS.add("marchenko_pastur")
@positive
def marchenko_pastur(
    rng: Generator, batch: int, n: int, base: Factor = FACTOR
) -> Tensor:
    """Draw N^T N, where N has iid coefficients."""
    factor = COEFFICIENTS[base.coefficients](rng, (batch, n, n), base.deviation)
    return _mirrored(factor.mT @ factor)


@LAWS.add("uniform_wigner")
@aside
def uniform_wigner(rng: Generator, batch: int, n: int, base: Iid = IID) -> Tensor:
    """Draw symmetric matrices with iid uniform coefficients: sections 2 and 3."""
    return _mirrored(_uniform(rng, (batch, n, n), base.deviation))


@LAWS.add("uniform_coefficients")
def uniform_coefficients(
    rng: Generator, batch: int, rows: int, base: Iid = IID, columns: int | None = None
) -> Tensor:
    """Draw matrices with iid uniform coefficients, square unless told the columns."""
    return _uniform(rng, (batch, rows, columns or rows), base.deviation)


@LAWS.add("gaussian_coefficients")
def gaussian_coefficients(
    rng: Generator, batch: int, rows: int, base: Iid = IID, columns: int | None = None
) -> Tensor:
    """Draw matrices with iid Gaussian coefficients, square unless told the columns."""
    return _normal(rng, (batch, rows, columns or rows), base.deviation)
