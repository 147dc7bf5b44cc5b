"""Random symmetric matrices, by the law of their eigenvalues.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix; the scale of the laws,
which the text leaves out, is the published code's (see `config/README.md`).
B: batch, n: size.  All matrices are float64 on the device of the random stream.
Coefficients are Gaussian, or uniform of the same variance (the code's other reading).

Every law but Marchenko-Pastur has the second moment of the Wigner matrix, so they
differ in shape alone: eigenvalues of root mean square sqrt(n) * BOUND / sqrt(3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Generator, Tensor

LAWS = Registry("law")
COEFFICIENTS = Registry("law of coefficients")
Law = Callable[..., "Tensor"]

BOUND = 10.0  # coefficients have the variance of the uniform law on [-BOUND, BOUND]
MARCHENKO_DEVIATION = math.sqrt(BOUND / math.sqrt(3.0))  # of the factor, as printed


def positive(law: Law) -> Law:
    """Mark a law whose eigenvalues are never negative."""
    law.positive = True
    return law


def is_positive(name: str) -> bool:
    """Tell whether a law's eigenvalues are never negative."""
    return getattr(LAWS[name], "positive", False)


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


def spectrum_deviation(n: int, bound: float) -> float:
    """Give the root mean square eigenvalue of a Wigner matrix of size n."""
    return math.sqrt(n) * bound / math.sqrt(3.0)


def wigner(
    rng: Generator, batch: int, n: int, bound: float, coefficients: str
) -> Tensor:
    """Draw symmetric matrices [B, n, n] with iid coefficients."""
    draw = COEFFICIENTS[coefficients]
    square = draw(rng, (batch, n, n), bound / math.sqrt(3.0))
    return square.tril() + square.tril(-1).mT


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Build H diag(values) H^T [B, n, n], exactly symmetric; vectors are H's columns.

    The paper writes this product; its code has H and H^T the other way round.
    """
    matrix = (vectors * values[:, None, :]) @ vectors.mT
    return matrix.tril() + matrix.tril(-1).mT


def _rotated(rng: Generator, values: Tensor, coefficients: str) -> Tensor:
    # Eigenvectors do not depend on the scale.
    matrix = wigner(rng, *values.shape, BOUND, coefficients)
    return with_spectrum(torch.linalg.eigh(matrix)[1], values)


@LAWS.add("semicircle")
def semicircle(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw Wigner matrices; their spectrum tends to the semicircle."""
    return wigner(rng, batch, n, bound, coefficients)


@LAWS.add("uniform")
def uniform(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw matrices with iid uniform eigenvalues."""
    values = _uniform(rng, (batch, n), spectrum_deviation(n, bound))
    return _rotated(rng, values, coefficients)


@LAWS.add("gaussian")
def gaussian(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw matrices with iid Gaussian eigenvalues."""
    values = _normal(rng, (batch, n), spectrum_deviation(n, bound))
    return _rotated(rng, values, coefficients)


@LAWS.add("laplace")
def laplace(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw matrices with iid Laplace eigenvalues."""
    values = _laplace(rng, (batch, n), spectrum_deviation(n, bound))
    return _rotated(rng, values, coefficients)


@LAWS.add("abs_semicircle")
@positive
def abs_semicircle(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw Wigner matrices and make their eigenvalues positive."""
    values, vectors = torch.linalg.eigh(wigner(rng, batch, n, bound, coefficients))
    return with_spectrum(vectors, values.abs())


@LAWS.add("abs_laplace")
@positive
def abs_laplace(
    rng: Generator,
    batch: int,
    n: int,
    bound: float = BOUND,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw matrices whose eigenvalues are absolute values of iid Laplace variables."""
    values = _laplace(rng, (batch, n), spectrum_deviation(n, bound))
    return _rotated(rng, values.abs(), coefficients)


@LAWS.add("marchenko_pastur")
@positive
def marchenko_pastur(
    rng: Generator,
    batch: int,
    n: int,
    deviation: float = MARCHENKO_DEVIATION,
    coefficients: str = "gaussian",
) -> Tensor:
    """Draw N^T N, where N has iid coefficients of this standard deviation."""
    factor = COEFFICIENTS[coefficients](rng, (batch, n, n), deviation)
    matrix = factor.mT @ factor
    return matrix.tril() + matrix.tril(-1).mT
