"""Random matrices: symmetric by the distribution of their eigenvalues, others by coefficients.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix; the scale of the distributions,
which the text leaves out, is the published code's (see `docs/configuration.md`).
B: batch, n: size, [r, c]: matrix.  All are float64 on the device of the random stream.
Coefficients are Gaussian, or uniform of the same variance (the code's other reading).

Every symmetric distribution but Marchenko-Pastur has the second moment of the Wigner matrix, so
they differ in shape alone: eigenvalues of root mean square sqrt(n) * BOUND / sqrt(3).

Names joined by + are a mixture: the distribution of each example is drawn uniformly.
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

Coefficients = Callable[["Generator", tuple[int, ...], float], "Tensor"]
Settings = Mapping[str, float | str]
Shape = tuple[int, int, int]  # B, r, c
Parameters = TypeVar(
    "Parameters"
)  # settings: Wigner, Factor, Iid, or others of their kind

DISTRIBUTIONS: Registry[Distribution[Any]] = Registry("distribution")
COEFFICIENTS: Registry[Coefficients] = Registry("distribution of coefficients")

BOUND = 10.0  # of the coefficients
MIXTURE_SEPARATOR = "+"  # joins the names of a mixture


class Sample(NamedTuple):
    """Matrices [B, r, c], and their eigenvalues [B, r] where the distribution chose them."""

    matrix: Tensor
    eigenvalues: Tensor | None = None


@dataclass(frozen=True)
class Distribution(Generic[Parameters]):
    """A distribution of matrices [B, r, c], and what it is known by."""

    parameters: Parameters  # its settings, as the paper has them
    draw: Callable[[Generator, Shape, Parameters], Sample]
    symmetric: bool = True
    positive: bool = False  # eigenvalues are never negative
    tabulated: bool = True  # it is a row of the tables

    def __call__(
        self, rng: Generator, batch: int, n: int, parameters: Parameters | None = None
    ) -> Tensor:
        """Draw square matrices [B, n, n]."""
        return self.draw(rng, (batch, n, n), parameters or self.parameters).matrix


def from_eigenvalues(
    eigenvalues: Callable[[Generator, int, int, Wigner], Tensor],
) -> Distribution[Wigner]:
    """Make a distribution of one that draws eigenvalues [B, n]; the base gives the vectors."""

    def draw(rng: Generator, shape: Shape, parameters: Wigner) -> Sample:
        values = eigenvalues(rng, *shape[:2], parameters)
        return Sample(parameters.with_eigenvalues(rng, values), values)

    return Distribution(WIGNER, draw)


def from_matrices(
    parameters: Parameters, symmetric: bool = True, tabulated: bool = True
) -> Callable[
    [Callable[[Generator, Shape, Parameters], Tensor]], Distribution[Parameters]
]:
    """Make a distribution, with these settings, of a function that draws matrices [B, r, c]."""

    def distribution(
        draw: Callable[[Generator, Shape, Parameters], Tensor],
    ) -> Distribution[Parameters]:
        def drawn(rng: Generator, shape: Shape, parameters: Parameters) -> Sample:
            return Sample(draw(rng, shape, parameters))

        return Distribution(parameters, drawn, symmetric, tabulated=tabulated)

    return distribution


def positive(distribution: Distribution[Parameters]) -> Distribution[Parameters]:
    """Mark a distribution whose eigenvalues are never negative."""
    return replace(distribution, positive=True)


def components(name: str) -> list[str]:
    """Give the distributions of a mixture, or the one distribution that this names."""
    names = name.split(MIXTURE_SEPARATOR)
    where = f"mixture {name!r}: " if len(names) > 1 else ""
    for part in names:
        if part not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise UnknownName(
                f"{where}unknown distribution {part!r}; known names are {known}"
            )
        if names.count(part) > 1:
            raise InputError(
                f"{where}{part!r} is repeated; every distribution is named once"
            )
    return names


def is_positive(name: str) -> bool:
    """Tell whether eigenvalues of a distribution or mixture are never negative."""
    return all(DISTRIBUTIONS[part].positive for part in components(name))


def is_symmetric(name: str) -> bool:
    """Tell whether all matrices of a distribution or mixture are symmetric."""
    return all(DISTRIBUTIONS[part].symmetric for part in components(name))


def is_tabulated(name: str) -> bool:
    """Tell whether a distribution is a row of the tables: symmetric, and not set aside."""
    names = components(name)
    return len(names) == 1 and DISTRIBUTIONS[name].tabulated


@COEFFICIENTS.add("gaussian")
def _normal(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    unit = torch.randn(shape, generator=rng, device=rng.device, dtype=torch.float64)
    return deviation * unit


@COEFFICIENTS.add("uniform")
def _uniform(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    unit = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
    return math.sqrt(3.0) * deviation * (2.0 * unit - 1.0)


def _laplace(rng: Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    # The logarithm of a ratio of uniforms on (0, 1] is Laplace and never infinite.
    pair = torch.rand(
        (2, *shape), generator=rng, device=rng.device, dtype=torch.float64
    )
    above, below = 1.0 - pair
    return deviation / math.sqrt(2.0) * (above / below).log()


def _mirrored(square: Tensor) -> Tensor:
    """Mirror the lower triangles of [B, n, n] upward."""
    lower = torch.ones(square.shape[1:], dtype=torch.bool, device=square.device).tril()
    return torch.where(lower, square, square.mT)


def _symmetric(
    coefficients: Coefficients, rng: Generator, batch: int, n: int, deviation: float
) -> Tensor:
    """Draw the lower triangles of [B, n, n] by a distribution of coefficients; mirror them."""
    index = torch.arange(n, device=rng.device)
    high, low = index.maximum(index[:, None]), index.minimum(index[:, None])
    drawn = coefficients(rng, (batch, n * (n + 1) // 2), deviation)
    return drawn[:, high * (high + 1) // 2 + low]


@dataclass(frozen=True)
class Wigner:
    """Symmetric matrices with iid coefficients: the base of six distributions, and its settings.

    The coefficients have the variance of the uniform distribution on [-bound, bound].
    """

    bound: float = BOUND
    coefficients: str = "gaussian"

    def rms_eigenvalue(self, n: int) -> float:
        """Give the root mean square eigenvalue at size n."""
        return math.sqrt(n) * self.bound / math.sqrt(3.0)

    def draw(self, rng: Generator, batch: int, n: int) -> Tensor:
        """Draw matrices [B, n, n]."""
        distribution, deviation = (
            COEFFICIENTS[self.coefficients],
            self.bound / math.sqrt(3.0),
        )
        return _symmetric(distribution, rng, batch, n, deviation)

    def with_eigenvalues(self, rng: Generator, values: Tensor) -> Tensor:
        """Give eigenvalues [B, n] to matrices, with eigenvectors of the parameters."""
        vectors = torch.linalg.eigh(self.draw(rng, *values.shape))[1]
        return with_spectrum(vectors, values)


@dataclass(frozen=True)
class Factor:
    """The factor N of Marchenko-Pastur matrices N^T N: its settings."""

    deviation: float = math.sqrt(BOUND / math.sqrt(3.0))  # as printed
    coefficients: str = "gaussian"


@dataclass(frozen=True)
class Iid:
    """Coefficients whose distribution is named: uniform on [-bound, bound], or as wide."""

    bound: float = BOUND

    @property
    def deviation(self) -> float:
        """Give the standard deviation."""
        return self.bound / math.sqrt(3.0)


WIGNER, FACTOR, IID = Wigner(), Factor(), Iid()


def default_parameters(name: str) -> Wigner | Factor | Iid:
    """Return the settings of a distribution, as the paper has them."""
    return DISTRIBUTIONS[name].parameters


def check_shape(name: str, rows: int, columns: int) -> None:
    """Refuse a shape that matrices of a distribution or mixture cannot have."""
    if rows < 1 or columns < 1:
        raise InputError(
            f"distribution {name!r}: {rows} x {columns}: sizes are 1 or more"
        )
    for part in components(name):
        if rows != columns and is_symmetric(part):
            allowed = ", ".join(
                distribution
                for distribution in DISTRIBUTIONS
                if not is_symmetric(distribution)
            )
            raise InputError(
                f"distribution {name!r}: {rows} x {columns}: matrices of {part!r} are "
                f"symmetric; distributions of other shapes are {allowed}"
            )


def draw_matrices(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    *shapes: tuple[int, int],
) -> Sample:
    """Draw a matrix of every shape and lay them side by side: [B, r, c + c' + ...].

    `settings` are those of the distributions, by name; what they leave out is the paper's.
    """
    names = components(name)
    if len(names) == 1:
        return _of_one_distribution(name, settings, rng, batch, shapes)
    distribution = torch.randint(
        len(names), (batch,), generator=rng, device=rng.device
    )  # [B]
    shares = distribution.bincount(minlength=len(names)).tolist()
    drawn = [
        _of_one_distribution(part, settings, rng, share, shapes)
        for part, share in zip(names, shares, strict=True)
    ]
    places = distribution.argsort(stable=True).argsort()
    matrix = torch.cat([part.matrix for part in drawn])[places]
    chosen = [part.eigenvalues for part in drawn if part.eigenvalues is not None]
    known = len(chosen) == len(names)
    return Sample(matrix, torch.cat(chosen)[places] if known else None)


def _of_one_distribution(
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
    drawn = [distribution.draw(rng, (batch, *shape), parameters) for shape in shapes]
    if len(drawn) == 1:
        return drawn[0]
    return Sample(torch.cat([one.matrix for one in drawn], dim=2))


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Build H diag(values) H^T [B, n, n], exactly symmetric; vectors are H's columns.

    The paper writes this product; its code has H and H^T the other way round.
    """
    return _mirrored((vectors * values[:, None, :]) @ vectors.mT)


@DISTRIBUTIONS.add("semicircle")
@from_matrices(WIGNER)
def semicircle(rng: Generator, shape: Shape, parameters: Wigner) -> Tensor:
    """Draw Wigner matrices; their spectrum tends to the semicircle."""
    return parameters.draw(rng, *shape[:2])


@DISTRIBUTIONS.add("uniform")
@from_eigenvalues
def uniform(rng: Generator, batch: int, n: int, parameters: Wigner) -> Tensor:
    """Draw iid uniform eigenvalues."""
    return _uniform(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("gaussian")
@from_eigenvalues
def gaussian(rng: Generator, batch: int, n: int, parameters: Wigner) -> Tensor:
    """Draw iid Gaussian eigenvalues."""
    return _normal(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("laplace")
@from_eigenvalues
def laplace(rng: Generator, batch: int, n: int, parameters: Wigner) -> Tensor:
    """Draw iid Laplace eigenvalues."""
    return _laplace(rng, (batch, n), parameters.rms_eigenvalue(n))


@DISTRIBUTIONS.add("abs_semicircle")
@positive
@from_matrices(WIGNER)
def abs_semicircle(rng: Generator, shape: Shape, parameters: Wigner) -> Tensor:
    """Draw Wigner matrices and make their eigenvalues positive."""
    values, vectors = torch.linalg.eigh(parameters.draw(rng, *shape[:2]))
    return with_spectrum(vectors, values.abs())


@DISTRIBUTIONS.add("abs_laplace")
@positive
@from_eigenvalues
def abs_laplace(rng: Generator, batch: int, n: int, parameters: Wigner) -> Tensor:
    """Draw absolute values of iid Laplace variables as eigenvalues."""
    return _laplace(rng, (batch, n), parameters.rms_eigenvalue(n)).abs()


@DISTRIBUTIONS.add("marchenko_pastur")
@positive
@from_matrices(FACTOR)
def marchenko_pastur(rng: Generator, shape: Shape, parameters: Factor) -> Tensor:
    """Draw N^T N, where N has iid coefficients."""
    factor = COEFFICIENTS[parameters.coefficients](rng, shape, parameters.deviation)
    return _mirrored(factor.mT @ factor)


@DISTRIBUTIONS.add("uniform_wigner")
@from_matrices(IID, tabulated=False)
def uniform_wigner(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw symmetric matrices with iid uniform coefficients: sections 2 and 3."""
    return _symmetric(_uniform, rng, *shape[:2], parameters.deviation)


@DISTRIBUTIONS.add("uniform_coefficients")
@from_matrices(IID, symmetric=False, tabulated=False)
def uniform_coefficients(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw matrices with iid uniform coefficients."""
    return _uniform(rng, shape, parameters.deviation)


@DISTRIBUTIONS.add("gaussian_coefficients")
@from_matrices(IID, symmetric=False, tabulated=False)
def gaussian_coefficients(rng: Generator, shape: Shape, parameters: Iid) -> Tensor:
    """Draw matrices with iid Gaussian coefficients."""
    return _normal(rng, shape, parameters.deviation)
