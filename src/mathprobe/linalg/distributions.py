"""Distributions of random matrices, and mixtures of distributions.

A distribution is named after its eigenvalues (most symmetric distributions) or after
its coefficients.  By default, the coefficients of Wigner matrices are Gaussian, as in
the paper; the published code draws uniform ones of the same variance.

All symmetric distributions except Marchenko-Pastur have the second moment of the Wigner
matrix: the root mean square eigenvalue is sqrt(n) * BOUND / sqrt(3).

Names joined by "+" define a mixture: each example has one of these distributions,
chosen uniformly at random.

Matrices are float64, on the CPU, like the random generators.
B: batch, n: size of a square matrix, r, c: rows and columns.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix.  The paper does not
state the scale of the distributions; it is taken from the published code (see
`docs/configuration.md`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from mathprobe.errors import InputError
from mathprobe.lazy import torch
from mathprobe.registry import Registry, UnknownName

if TYPE_CHECKING:
    from torch import Generator, Tensor

# From a generator, a shape and a standard deviation to coefficients.
Coefficients = Callable[["Generator", tuple[int, ...], float], "Tensor"]
Settings = Mapping[str, float | str]  # parameters that replace the defaults
Shape = tuple[int, int, int]  # B, r, c
# A frozen dataclass: Wigner, Spectrum, Factor or Iid.
Parameters = TypeVar("Parameters")

DISTRIBUTIONS: Registry[Distribution[Any]] = Registry("distribution")
COEFFICIENTS: Registry[Coefficients] = Registry("distribution of coefficients")
# From H [B, n, n], whose columns are the eigenvectors of Wigner matrices, to a matrix
# whose columns are the eigenvectors of the drawn matrices.
ORIENTATIONS: Registry[Callable[[Tensor], Tensor]] = Registry(
    "orientation of eigenvectors"
)
# Registries of the parameters that are names.
CHOICES: Mapping[str, Registry[Any]] = {
    "coefficients": COEFFICIENTS,
    "eigenvectors": ORIENTATIONS,
}

BOUND = 10.0  # uniform coefficients lie in [-BOUND, BOUND]
MIXTURE_SEPARATOR = "+"


class Sample(NamedTuple):
    """Matrices [B, r, c], and their eigenvalues [B, r] if these are known."""

    matrix: Tensor
    eigenvalues: Tensor | None = None


@dataclass(frozen=True)
class Distribution(Generic[Parameters]):
    """A distribution of matrices with its default parameters and its properties."""

    parameters: Parameters  # defaults, from the paper
    draw: Callable[[Generator, Shape, Parameters], Sample]
    symmetric: bool = True
    positive: bool = False  # whether all eigenvalues are nonnegative
    tabulated: bool = True  # whether the tables of symmetric tasks include it

    def __call__(
        self, rng: Generator, batch: int, n: int, parameters: Parameters | None = None
    ) -> Tensor:
        """Draw square matrices [B, n, n]."""
        return self.draw(rng, (batch, n, n), parameters or self.parameters).matrix


def from_eigensystem(
    draw_system: Callable[[Generator, int, int, Spectrum], tuple[Tensor, Tensor]],
) -> Distribution[Spectrum]:
    """Make a distribution from a function that draws eigenvalues and eigenvectors.

    The function returns eigenvalues [B, n], and eigenvectors of Wigner matrices as
    columns [B, n, n].
    """

    def draw(rng: Generator, shape: Shape, parameters: Spectrum) -> Sample:
        values, vectors = draw_system(rng, *shape[:2], parameters)
        oriented = ORIENTATIONS[parameters.eigenvectors](vectors)
        return Sample(with_spectrum(oriented, values), values)

    return Distribution(SPECTRUM, draw)


def from_eigenvalues(
    draw_values: Callable[[Generator, int, int, Spectrum], Tensor],
) -> Distribution[Spectrum]:
    """Make a distribution from a function that draws eigenvalues [B, n].

    Its eigenvectors are those of independent Wigner matrices.
    """

    def draw_system(
        rng: Generator, batch: int, n: int, parameters: Spectrum
    ) -> tuple[Tensor, Tensor]:
        values = draw_values(rng, batch, n, parameters)
        return values, torch.linalg.eigh(parameters.draw(rng, batch, n))[1]

    return from_eigensystem(draw_system)


def from_matrices(
    parameters: Parameters, symmetric: bool = True, tabulated: bool = True
) -> Callable[
    [Callable[[Generator, Shape, Parameters], Tensor]], Distribution[Parameters]
]:
    """Return a decorator that makes a distribution from a function.

    The function draws matrices [B, r, c]; `parameters` are its default parameters.
    """

    def decorator(
        draw_matrix: Callable[[Generator, Shape, Parameters], Tensor],
    ) -> Distribution[Parameters]:
        def draw(rng: Generator, shape: Shape, parameters: Parameters) -> Sample:
            return Sample(draw_matrix(rng, shape, parameters))

        return Distribution(parameters, draw, symmetric, tabulated=tabulated)

    return decorator


def positive(distribution: Distribution[Parameters]) -> Distribution[Parameters]:
    """Mark a distribution whose eigenvalues are all nonnegative."""
    return replace(distribution, positive=True)


def components(name: str) -> list[str]:
    """Return the components of a mixture, or the name of a single distribution.

    Raises UnknownName for a name that is not registered, InputError for a component
    that occurs twice.
    """
    names = name.split(MIXTURE_SEPARATOR)
    place = f"mixture {name!r}: " if len(names) > 1 else ""
    for component in names:
        if component not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise UnknownName(
                f"{place}unknown distribution {component!r}; known names are {known}"
            )
        if names.count(component) > 1:
            raise InputError(
                f"{place}{component!r} is repeated; components must be distinct"
            )
    return names


def is_positive(name: str) -> bool:
    """Return whether all eigenvalues of a distribution or mixture are nonnegative."""
    return all(DISTRIBUTIONS[component].positive for component in components(name))


def is_symmetric(name: str) -> bool:
    """Return whether all matrices of a distribution or mixture are symmetric."""
    return all(DISTRIBUTIONS[component].symmetric for component in components(name))


def is_tabulated(name: str) -> bool:
    """Return whether the tables of symmetric tasks include this distribution."""
    names = components(name)
    return len(names) == 1 and DISTRIBUTIONS[name].tabulated


@COEFFICIENTS.add("gaussian")
def _normal(rng: Generator, shape: tuple[int, ...], std: float) -> Tensor:
    unit = torch.randn(shape, generator=rng, dtype=torch.float64)
    return std * unit


@COEFFICIENTS.add("uniform")
def _uniform(rng: Generator, shape: tuple[int, ...], std: float) -> Tensor:
    unit = torch.rand(shape, generator=rng, dtype=torch.float64)
    return math.sqrt(3.0) * std * (2.0 * unit - 1.0)


def _laplace(rng: Generator, shape: tuple[int, ...], std: float) -> Tensor:
    # The log ratio of two uniform variables on (0, 1] has a Laplace distribution and is
    # always finite.
    pair = torch.rand((2, *shape), generator=rng, dtype=torch.float64)
    numerator, denominator = 1.0 - pair
    return std / math.sqrt(2.0) * (numerator / denominator).log()


def _symmetrize(matrix: Tensor) -> Tensor:
    """Copy the lower triangles of [B, n, n] to the upper triangles."""
    lower = torch.ones(matrix.shape[1:], dtype=torch.bool).tril()
    return torch.where(lower, matrix, matrix.mT)


def _symmetric(
    draw: Coefficients, rng: Generator, batch: int, n: int, std: float
) -> Tensor:
    """Draw symmetric matrices [B, n, n]; only the lower triangle is random."""
    index = torch.arange(n)
    high, low = index.maximum(index[:, None]), index.minimum(index[:, None])
    triangle = draw(rng, (batch, n * (n + 1) // 2), std)
    return triangle[:, high * (high + 1) // 2 + low]


@dataclass(frozen=True)
class Wigner:
    """Parameters of Wigner matrices: symmetric, with iid coefficients.

    The coefficients have the variance of the uniform distribution on [-bound, bound].
    """

    bound: float = BOUND
    coefficients: str = "gaussian"

    def rms_eigenvalue(self, n: int) -> float:
        """Return the root mean square eigenvalue of matrices of size n."""
        return math.sqrt(n) * self.bound / math.sqrt(3.0)

    def draw(self, rng: Generator, batch: int, n: int) -> Tensor:
        """Draw Wigner matrices [B, n, n]."""
        draw = COEFFICIENTS[self.coefficients]
        return _symmetric(draw, rng, batch, n, self.bound / math.sqrt(3.0))


@dataclass(frozen=True)
class Spectrum(Wigner):
    """Parameters of matrices with given eigenvalues.

    Their eigenvectors are the columns (as in the text of the paper) or the rows (as in
    the published code) of the matrix H whose columns are the eigenvectors of a Wigner
    matrix.  The columns of H are sorted by eigenvalue.
    """

    eigenvectors: str = "columns"


@dataclass(frozen=True)
class Factor:
    """Parameters of the factor N of Marchenko-Pastur matrices N^T N."""

    deviation: float = math.sqrt(BOUND / math.sqrt(3.0))  # as printed in the paper
    coefficients: str = "gaussian"


@dataclass(frozen=True)
class Iid:
    """Parameters of iid coefficients.

    The coefficients have the variance of the uniform distribution on [-bound, bound].
    """

    bound: float = BOUND

    @property
    def std(self) -> float:
        """Return the standard deviation of a coefficient."""
        return self.bound / math.sqrt(3.0)


WIGNER, SPECTRUM, FACTOR, IID = Wigner(), Spectrum(), Factor(), Iid()


def default_parameters(name: str) -> Wigner | Spectrum | Factor | Iid:
    """Return the default parameters of a distribution, from the paper."""
    return DISTRIBUTIONS[name].parameters


def check_shape(name: str, rows: int, columns: int) -> None:
    """Raise InputError if a distribution or mixture has no matrices of a shape."""
    place = f"distribution {name!r}: {rows} x {columns}"
    if rows < 1 or columns < 1:
        raise InputError(f"{place}: rows and columns must be at least 1")
    for component in components(name):
        if rows != columns and is_symmetric(component):
            allowed = ", ".join(d for d in DISTRIBUTIONS if not is_symmetric(d))
            raise InputError(
                f"{place}: matrices of {component!r} are symmetric; "
                f"distributions of rectangular matrices are {allowed}"
            )


def draw_matrices(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    *shapes: tuple[int, int],
) -> Sample:
    """Draw matrices of each shape and concatenate their columns: [B, r, c + c' + ...].

    `name` is a distribution or a mixture.  `settings` maps distributions to parameters
    that replace their defaults.
    """
    names = components(name)
    if len(names) == 1:
        return _draw_component(name, settings, rng, batch, shapes)
    choice = torch.randint(len(names), (batch,), generator=rng)
    counts = choice.bincount(minlength=len(names)).tolist()
    samples = [
        _draw_component(component, settings, rng, count, shapes)
        for component, count in zip(names, counts, strict=True)
    ]
    order = choice.argsort(stable=True).argsort()  # [B]
    matrix = torch.cat([sample.matrix for sample in samples])[order]
    values = [s.eigenvalues for s in samples if s.eigenvalues is not None]
    complete = len(values) == len(names)
    return Sample(matrix, torch.cat(values)[order] if complete else None)


def _draw_component(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    shapes: tuple[tuple[int, int], ...],
) -> Sample:
    distribution = DISTRIBUTIONS[name]
    parameters = replace(distribution.parameters, **settings.get(name, {}))
    for shape in shapes:
        check_shape(name, *shape)
    samples = [distribution.draw(rng, (batch, *shape), parameters) for shape in shapes]
    if len(samples) == 1:
        return samples[0]
    return Sample(torch.cat([sample.matrix for sample in samples], dim=2))


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Return H diag(values) H^T [B, n, n], exactly symmetric.

    H is `vectors` [B, n, n]; `values` are [B, n].
    """
    return _symmetrize((vectors * values[:, None, :]) @ vectors.mT)


@ORIENTATIONS.add("columns")
def _columns(vectors: Tensor) -> Tensor:
    return vectors


@ORIENTATIONS.add("rows")
def _rows(vectors: Tensor) -> Tensor:
    return vectors.mT


@DISTRIBUTIONS.add("semicircle")
@from_matrices(WIGNER)
def semicircle(rng: Generator, shape: Shape, parameters: Wigner) -> Tensor:
    """Draw Wigner matrices [B, n, n]; their spectrum tends to the semicircle law."""
    return parameters.draw(rng, *shape[:2])


@DISTRIBUTIONS.add("uniform")
@from_eigenvalues
def uniform(rng: Generator, batch: int, n: int, parameters: Spectrum) -> Tensor:
    """Draw iid uniform eigenvalues [B, n]."""
    return _uniform(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("gaussian")
@from_eigenvalues
def gaussian(rng: Generator, batch: int, n: int, parameters: Spectrum) -> Tensor:
    """Draw iid Gaussian eigenvalues [B, n]."""
    return _normal(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("laplace")
@from_eigenvalues
def laplace(rng: Generator, batch: int, n: int, parameters: Spectrum) -> Tensor:
    """Draw iid Laplace eigenvalues [B, n]."""
    return _laplace(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("abs_semicircle")
@positive
@from_eigensystem
def abs_semicircle(
    rng: Generator, batch: int, n: int, parameters: Spectrum
) -> tuple[Tensor, Tensor]:
    """Draw Wigner matrices; return absolute eigenvalues [B, n] and eigenvectors."""
    values, vectors = torch.linalg.eigh(parameters.draw(rng, batch, n))
    return values.abs(), vectors


@DISTRIBUTIONS.add("abs_laplace")
@positive
@from_eigenvalues
def abs_laplace(rng: Generator, batch: int, n: int, parameters: Spectrum) -> Tensor:
    """Draw absolute values of iid Laplace variables as eigenvalues [B, n]."""
    return _laplace(rng, (batch, n), parameters.rms_eigenvalue(n)).abs()


@DISTRIBUTIONS.add("marchenko_pastur")
@positive
@from_matrices(FACTOR)
def marchenko_pastur(rng: Generator, shape: Shape, parameters: Factor) -> Tensor:
    """Draw N^T N [B, n, n], where N has iid coefficients."""
    factor = COEFFICIENTS[parameters.coefficients](rng, shape, parameters.deviation)
    return _symmetrize(factor.mT @ factor)


@DISTRIBUTIONS.add("uniform_wigner")
@from_matrices(IID, tabulated=False)
def uniform_wigner(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw symmetric matrices with iid uniform coefficients (sections 2 and 3)."""
    return _symmetric(_uniform, rng, *shape[:2], parameters.std)


@DISTRIBUTIONS.add("uniform_coefficients")
@from_matrices(IID, symmetric=False, tabulated=False)
def uniform_coefficients(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw matrices [B, r, c] with iid uniform coefficients."""
    return _uniform(rng, shape, parameters.std)


@DISTRIBUTIONS.add("gaussian_coefficients")
@from_matrices(IID, symmetric=False, tabulated=False)
def gaussian_coefficients(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw matrices [B, r, c] with iid Gaussian coefficients."""
    return _normal(rng, shape, parameters.std)
