"""PCA of node outputs, and metrics of how well they cluster by case.

Q: questions, D: width, C: components, R: restarts, K: clusters.

Source: Quirke, Neo, Barez 2024; the metrics follow their published code.  It
standardises the scores of six components, runs k-means with 2 and with 3 clusters, and
uses the better value of each metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

COMPONENTS = 6
CLUSTERS = (2, 3)
RESTARTS, ITERATIONS = 10, 50  # of k-means
# Of the randomised SVD.  With these values, components are accurate to 1e-6.
OVERSAMPLING, POWER_ITERATIONS = 6, 10
MIN_VARIANCE = 1e-12  # share of the total; smaller components are rounding errors
THRESHOLDS = {
    "explained": 0.3,
    "silhouette": 0.2,
    "calinski_harabasz": 50,
    "agreement": 0.5,
}


@dataclass(frozen=True, eq=False)
class PCAResult:
    """Principal component scores of a node's output, and metrics of their clusters."""

    scores: Tensor  # [Q, 2], of the first two components
    explained: float  # share of the variance explained by the first component
    silhouette: float
    calinski_harabasz: float
    agreement: float  # share of a cluster's most frequent case, averaged over clusters

    @property
    def metrics(self) -> dict[str, float]:
        """Return the four metrics by name."""
        return {name: getattr(self, name) for name in THRESHOLDS}

    @property
    def passes_thresholds(self) -> bool:
        """Return whether every metric exceeds the threshold of the published code."""
        return all(self.metrics[name] > least for name, least in THRESHOLDS.items())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: with these small tensors, threads mostly wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def analyse(values: Tensor, case: Tensor, rng: Generator) -> PCAResult:
    """Compute the principal components of vectors and metrics of their clusters.

    If the first component explains too little, the clusters cannot change that the
    result fails; they are not computed, and their metrics are NaN.

    Parameters
    ----------
    values
        A vector per question [Q, D], on the CPU.
    case
        Expected cluster of each question, an integer from 0 [Q].
    rng
        CPU generator for the randomised SVD and the initial centres of k-means.
    """
    values = values.double()
    left, size = _components(values, rng)
    total = len(values) * values.var(0, correction=0).sum()
    variance = size**2 / total.clamp(min=torch.finfo(total.dtype).tiny)
    explained, used = float(variance[0]), variance > MIN_VARIANCE
    scores = left * size
    shown = torch.nn.functional.pad(scores, (0, 2))[:, :2]
    if explained <= THRESHOLDS["explained"]:
        return PCAResult(shown, explained, math.nan, math.nan, math.nan)
    points = scores[:, used] / scores[:, used].std(0, correction=0)
    found = [_metrics(points, _k_means(points, k, rng), case) for k in CLUSTERS]
    best = (max(values) for values in zip(*found, strict=True))
    return PCAResult(shown, explained, *best)


def _components(values: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Return left singular vectors [Q, C] and singular values [C] of centred values.

    Uses a randomised SVD, which is faster than a full decomposition.
    """
    number = min(COMPONENTS, *values.shape)
    # `pca_lowrank` takes no generator; it draws from torch's own for the CPU.
    with torch.random.fork_rng(devices=[]):
        seed = torch.randint(2**31, (), generator=rng)
        torch.default_generator.manual_seed(int(seed))
        q = min(number + OVERSAMPLING, *values.shape)
        left, size, _ = torch.pca_lowrank(values, q=q, niter=POWER_ITERATIONS)
    return left[:, :number], size[:number]


def _k_means(points: Tensor, k: int, rng: Generator) -> Tensor:
    """Cluster points [Q, C] by k-means; return the cluster of each point [Q].

    Returns the best of RESTARTS random starts.  They are computed in parallel, which is
    faster than the sequential starts of scikit-learn.
    """
    start = torch.rand(RESTARTS, len(points), generator=rng, device=rng.device)
    centres = points[start.argsort(1)[:, :k].to(points.device)]  # [R, K, C]
    previous = None
    for _ in range(ITERATIONS):
        nearest = torch.cdist(points, centres).argmin(-1)  # [R, Q]
        if previous is not None and torch.equal(nearest, previous):
            break
        previous = nearest
        member = one_hot(nearest, k).to(points)  # [R, Q, K]
        size = member.sum(1)[..., None]
        moved = member.mT @ points / size.clamp(min=1.0)
        centres = torch.where(size > 0, moved, centres)
    distance, nearest = torch.cdist(points, centres).min(-1)
    return nearest[(distance**2).sum(1).argmin()]


def _metrics(points: Tensor, cluster: Tensor, case: Tensor) -> tuple[float, ...]:
    """Return silhouette, Calinski-Harabasz index and agreement of clusters [Q]."""
    # Imported here because the import takes more than a second.
    from sklearn import metrics

    if len(cluster.unique()) < 2:
        return 0.0, 0.0, 0.0
    counts = metrics.cluster.contingency_matrix(case, cluster)  # [cases, K]
    return (
        float(metrics.silhouette_score(points, cluster)),
        float(metrics.calinski_harabasz_score(points, cluster)),
        float((counts.max(0) / counts.sum(0)).mean()),
    )
