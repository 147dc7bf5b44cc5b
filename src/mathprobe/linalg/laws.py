"""Random symmetric matrices, by the law of their eigenvalues.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix; the scale of the laws,
which the text leaves out, is the published code's (see `config/README.md`).
B: batch, n: size.  All matrices are float64 on the device of the random stream.
Coefficients are Gaussian, or uniform of the same variance (the code's other reading).

Every law but Marchenko-Pastur has the second moment of the Wigner matrix, so they
differ in shape alone: eigenvalues of root mean square sqrt(n) * BOUND / sqrt(3).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mathprobe.lazy import torch
from mathprobe.registry import Registry

if TYPE_CHECKING:
    from torch import Generator, Tensor

LAWS = Registry("law")
COEFFICIENTS = Registry("law of coefficients")
Law = Callable[..., "Tensor"]

BOUND = 10.0  # of the coefficients


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
        square = draw(rng, (batch, n, n), self.bound / math.sqrt(3.0))
        return square.tril() + square.tril(-1).mT

    def rotate(self, rng: Generator, values: Tensor) -> Tensor:
        """Give eigenvalues [B, n] to matrices, with eigenvectors of the base."""
        vectors = torch.linalg.eigh(self.draw(rng, *values.shape))[1]
        return with_spectrum(vectors, values)


@dataclass(frozen=True)
class Factor:
    """The factor N of Marchenko-Pastur matrices N^T N: its settings."""

    deviation: float = math.sqrt(BOUND / math.sqrt(3.0))  # as printed
    coefficients: str = "gaussian"


WIGNER, FACTOR = Wigner(), Factor()


def base_of(name: str) -> Wigner | Factor:
    """Give the base that a law draws from, with its settings as the paper has them."""
    return inspect.signature(LAWS[name]).parameters["base"].default


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Build H diag(values) H^T [B, n, n], exactly symmetric; vectors are H's columns.

    The paper writes this product; its code has H and H^T the other way round.
    """
    matrix = (vectors * values[:, None, :]) @ vectors.mT
    return matrix.tril() + matrix.tril(-1).mT


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
    matrix = factor.mT @ factor
    return matrix.tril() + matrix.tril(-1).mT
