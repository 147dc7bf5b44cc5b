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
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple

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


class Drawn(NamedTuple):
    """Matrices [B, r, c], and their eigenvalues [B, r] where the law chose them."""

    matrix: Tensor
    eigenvalues: Tensor | None = None


def of_eigenvalues(eigenvalues: Law) -> Law:
    """Make a law of one that draws eigenvalues [B, n]; the base gives the vectors."""
    default = _base(eigenvalues)

    def draw(rng: Generator, batch: int, n: int, base: Wigner) -> Drawn:
        values = eigenvalues(rng, batch, n, base)
        return Drawn(base.rotate(rng, values), values)

    @wraps(eigenvalues)
    def law(rng: Generator, batch: int, n: int, base: Wigner = default) -> Tensor:
        return draw(rng, batch, n, base).matrix

    law.draw = draw
    return law


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
    coefficients: Law, rng: Generator, batch: int, n: int, deviation: float
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
    """Give the base that a law draws from, with its settings as the paper has them."""
    return _base(LAWS[name])


def _base(law: Law) -> Wigner | Factor | Iid:
    base = inspect.signature(law).parameters.get("base")
    if base is None or base.default is inspect.Parameter.empty:
        raise InputError(
            f"law {law.__name__!r}: it takes no `base` that has a default; allowed are "
            "WIGNER, FACTOR, IID, or others of their kind"
        )
    return base.default


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
    law, base = LAWS[name], replace(base_of(name), **settings.get(name, {}))
    for shape in shapes:
        check_shape(name, *shape)
    if len(shapes) == 1 and hasattr(law, "draw"):
        return law.draw(rng, batch, shapes[0][0], base)
    if is_symmetric(name):
        drawn = [law(rng, batch, rows, base) for rows, _ in shapes]
    else:
        drawn = [law(rng, batch, rows, base, columns=c) for rows, c in shapes]
    return Drawn(torch.cat(drawn, dim=2))


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
@of_eigenvalues
def uniform(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw iid uniform eigenvalues."""
    return _uniform(rng, (batch, n), base.deviation(n))


@LAWS.add("gaussian")
@of_eigenvalues
def gaussian(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw iid Gaussian eigenvalues."""
    return _normal(rng, (batch, n), base.deviation(n))


@LAWS.add("laplace")
@of_eigenvalues
def laplace(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw iid Laplace eigenvalues."""
    return _laplace(rng, (batch, n), base.deviation(n))


@LAWS.add("abs_semicircle")
@positive
def abs_semicircle(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw Wigner matrices and make their eigenvalues positive."""
    values, vectors = torch.linalg.eigh(base.draw(rng, batch, n))
    return with_spectrum(vectors, values.abs())


@LAWS.add("abs_laplace")
@positive
@of_eigenvalues
def abs_laplace(rng: Generator, batch: int, n: int, base: Wigner = WIGNER) -> Tensor:
    """Draw absolute values of iid Laplace variables as eigenvalues."""
    return _laplace(rng, (batch, n), base.deviation(n)).abs()


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
    return _symmetric(_uniform, rng, batch, n, base.deviation)


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
