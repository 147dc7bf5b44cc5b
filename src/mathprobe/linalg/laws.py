"""Random matrices: symmetric by the law of their eigenvalues, others by coefficients.

Source: Charton 2022 (arXiv 2211.00170), section 4 and appendix; the scale of the laws,
which the text leaves out, is the published code's (see `config/README.md`).
B: batch, n: size, [r, c]: matrix.  All are float64 on the device of the random stream.
Coefficients are Gaussian, or uniform of the same variance (the code's other reading).

Every symmetric law but Marchenko-Pastur has the second moment of the Wigner matrix, so
they differ in shape alone: eigenvalues of root mean square sqrt(n) * BOUND / sqrt(3).

Names joined by + are a mixture: the law of each example is drawn uniformly.
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
Base = TypeVar("Base")  # settings: Wigner, Factor, Iid, or others of their kind

LAWS: Registry[Distribution[Any]] = Registry("law")
COEFFICIENTS: Registry[Coefficients] = Registry("law of coefficients")

BOUND = 10.0  # of the coefficients
PLUS = "+"  # joins the names of a mixture


class Drawn(NamedTuple):
    """Matrices [B, r, c], and their eigenvalues [B, r] where the law chose them."""

    matrix: Tensor
    eigenvalues: Tensor | None = None


@dataclass(frozen=True)
class Distribution(Generic[Base]):
    """A law of matrices [B, r, c], and what it is known by."""

    base: Base  # its settings, as the paper has them
    draw: Callable[[Generator, Shape, Base], Drawn]
    symmetric: bool = True
    positive: bool = False  # eigenvalues are never negative
    compared: bool = True  # it is a row of the tables

    def __call__(
        self, rng: Generator, batch: int, n: int, base: Base | None = None
    ) -> Tensor:
        """Draw square matrices [B, n, n]."""
        return self.draw(rng, (batch, n, n), base or self.base).matrix


def of_eigenvalues(
    eigenvalues: Callable[[Generator, int, int, Wigner], Tensor],
) -> Distribution[Wigner]:
    """Make a law of one that draws eigenvalues [B, n]; the base gives the vectors."""

    def draw(rng: Generator, shape: Shape, base: Wigner) -> Drawn:
        values = eigenvalues(rng, *shape[:2], base)
        return Drawn(base.rotate(rng, values), values)

    return Distribution(WIGNER, draw)


def of_matrices(
    base: Base, symmetric: bool = True, compared: bool = True
) -> Callable[[Callable[[Generator, Shape, Base], Tensor]], Distribution[Base]]:
    """Make a law, with these settings, of a function that draws matrices [B, r, c]."""

    def law(draw: Callable[[Generator, Shape, Base], Tensor]) -> Distribution[Base]:
        def drawn(rng: Generator, shape: Shape, base: Base) -> Drawn:
            return Drawn(draw(rng, shape, base))

        return Distribution(base, drawn, symmetric, compared=compared)

    return law


def positive(law: Distribution[Base]) -> Distribution[Base]:
    """Mark a law whose eigenvalues are never negative."""
    return replace(law, positive=True)


def parts(name: str) -> list[str]:
    """Give the laws of a mixture, or the one law that this names."""
    names = name.split(PLUS)
    where = f"mixture {name!r}: " if len(names) > 1 else ""
    for part in names:
        if part not in LAWS:
            known = ", ".join(LAWS)
            raise UnknownName(f"{where}unknown law {part!r}; known names are {known}")
        if names.count(part) > 1:
            raise InputError(f"{where}{part!r} is repeated; every law is named once")
    return names


def is_positive(name: str) -> bool:
    """Tell whether eigenvalues of a law or mixture are never negative."""
    return all(LAWS[part].positive for part in parts(name))


def is_symmetric(name: str) -> bool:
    """Tell whether all matrices of a law or mixture are symmetric."""
    return all(LAWS[part].symmetric for part in parts(name))


def in_comparison(name: str) -> bool:
    """Tell whether a law is a row of the tables: symmetric, and not set aside."""
    names = parts(name)
    return len(names) == 1 and LAWS[name].compared


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
    """Draw the lower triangles of [B, n, n] by a law of coefficients; mirror them."""
    index = torch.arange(n, device=rng.device)
    high, low = index.maximum(index[:, None]), index.minimum(index[:, None])
    drawn = coefficients(rng, (batch, n * (n + 1) // 2), deviation)
    return drawn[:, high * (high + 1) // 2 + low]


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
        law, deviation = COEFFICIENTS[self.coefficients], self.bound / math.sqrt(3.0)
        return _symmetric(law, rng, batch, n, deviation)

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
    """Return the settings of a law, as the paper has them."""
    return LAWS[name].base


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
) -> Drawn:
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
    places = law.argsort(stable=True).argsort()
    matrix = torch.cat([part.matrix for part in drawn])[places]
    chosen = [part.eigenvalues for part in drawn if part.eigenvalues is not None]
    known = len(chosen) == len(names)
    return Drawn(matrix, torch.cat(chosen)[places] if known else None)


def _of_one_law(
    name: str,
    settings: Mapping[str, Settings],
    rng: Generator,
    batch: int,
    shapes: tuple[tuple[int, int], ...],
) -> Drawn:
    law = LAWS[name]
    base = replace(law.base, **settings.get(name, {}))
    for shape in shapes:
        check_shape(name, *shape)
    drawn = [law.draw(rng, (batch, *shape), base) for shape in shapes]
    if len(drawn) == 1:
        return drawn[0]
    return Drawn(torch.cat([one.matrix for one in drawn], dim=2))


def with_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """Build H diag(values) H^T [B, n, n], exactly symmetric; vectors are H's columns.

    The paper writes this product; its code has H and H^T the other way round.
    """
    return _mirrored((vectors * values[:, None, :]) @ vectors.mT)


@LAWS.add("semicircle")
@of_matrices(WIGNER)
def semicircle(rng: Generator, shape: Shape, base: Wigner) -> Tensor:
    """Draw Wigner matrices; their spectrum tends to the semicircle."""
    return base.draw(rng, *shape[:2])


@LAWS.add("uniform")
@of_eigenvalues
def uniform(rng: Generator, batch: int, n: int, base: Wigner) -> Tensor:
    """Draw iid uniform eigenvalues."""
    return _uniform(rng, (batch, n), base.deviation(n))


@LAWS.add("gaussian")
@of_eigenvalues
def gaussian(rng: Generator, batch: int, n: int, base: Wigner) -> Tensor:
    """Draw iid Gaussian eigenvalues."""
    return _normal(rng, (batch, n), base.deviation(n))


@LAWS.add("laplace")
@of_eigenvalues
def laplace(rng: Generator, batch: int, n: int, base: Wigner) -> Tensor:
    """Draw iid Laplace eigenvalues."""
    return _laplace(rng, (batch, n), base.deviation(n))


@LAWS.add("abs_semicircle")
@positive
@of_matrices(WIGNER)
def abs_semicircle(rng: Generator, shape: Shape, base: Wigner) -> Tensor:
    """Draw Wigner matrices and make their eigenvalues positive."""
    values, vectors = torch.linalg.eigh(base.draw(rng, *shape[:2]))
    return with_spectrum(vectors, values.abs())


@LAWS.add("abs_laplace")
@positive
@of_eigenvalues
def abs_laplace(rng: Generator, batch: int, n: int, base: Wigner) -> Tensor:
    """Draw absolute values of iid Laplace variables as eigenvalues."""
    return _laplace(rng, (batch, n), base.deviation(n)).abs()


@LAWS.add("marchenko_pastur")
@positive
@of_matrices(FACTOR)
def marchenko_pastur(rng: Generator, shape: Shape, base: Factor) -> Tensor:
    """Draw N^T N, where N has iid coefficients."""
    factor = COEFFICIENTS[base.coefficients](rng, shape, base.deviation)
    return _mirrored(factor.mT @ factor)


@LAWS.add("uniform_wigner")
@of_matrices(IID, compared=False)
def uniform_wigner(rng: Generator, shape: Shape, base: Iid) -> Tensor:
    """Draw symmetric matrices with iid uniform coefficients: sections 2 and 3."""
    return _symmetric(_uniform, rng, *shape[:2], base.deviation)


@LAWS.add("uniform_coefficients")
@of_matrices(IID, symmetric=False, compared=False)
def uniform_coefficients(rng: Generator, shape: Shape, base: Iid) -> Tensor:
    """Draw matrices with iid uniform coefficients."""
    return _uniform(rng, shape, base.deviation)


@LAWS.add("gaussian_coefficients")
@of_matrices(IID, symmetric=False, compared=False)
def gaussian_coefficients(rng: Generator, shape: Shape, base: Iid) -> Tensor:
    """Draw matrices with iid Gaussian coefficients."""
    return _normal(rng, shape, base.deviation)
