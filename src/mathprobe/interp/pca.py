"""Whether what a node writes falls into groups: principal components, clusters.

Q: questions, D: width, C: components, R: restarts, K: clusters.

Source: Quirke, Neo, Barez 2024, and their published code for what is measured: it
standardises six components, looks for 2 and for 3 clusters, and takes the better value
of every measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from mathprobe.interp.nodes import HEAD, Node
from mathprobe.interp.patching import Run

COMPONENTS = 6
CLUSTERS = (2, 3)
RESTARTS, ROUNDS = 10, 50
MARGIN, POWERS = 6, 10  # of the projections: those wanted are exact to 1e-6
DUST = 1e-12  # of the variance: less is rounding, not to be made as wide as the rest
THRESHOLDS = {
    "explained": 0.3,
    "silhouette": 0.2,
    "calinski_harabasz": 50,
    "agreement": 0.5,
}


@dataclass(frozen=True, eq=False)
class PCAResult:
    """What a node writes at questions of several cases, seen along its components."""

    scores: Tensor  # [Q, 2], along the first two components
    explained: float  # share of the variance along the first one
    silhouette: float
    calinski_harabasz: float
    agreement: float  # mean share of a cluster's most frequent case

    @property
    def metrics(self) -> dict[str, float]:
        """Give the four measures by name."""
        return {name: getattr(self, name) for name in THRESHOLDS}

    @property
    def passes_thresholds(self) -> bool:
        """Tell whether every measure is above what the published code asks for."""
        return all(self.metrics[name] > least for name, least in THRESHOLDS.items())


@torch.inference_mode()
def residual_contributions(run: Run, nodes: Sequence[Node]) -> Tensor:
    """Give what nodes add to the residual stream, without biases [nodes, Q, D]."""
    seen = run.activations(*dict.fromkeys(node.hook_name for node in nodes))
    return torch.stack(
        [seen[node.hook_name][node.index_in_hook] @ _out(run, node) for node in nodes]
    )


def _out(run: Run, node: Node) -> Tensor:
    """Give the matrix [w, D] with which a node writes."""
    block = run.model.blocks[node.layer]
    if node.kind == HEAD:
        return block.attn.out.weight.T.unflatten(0, (run.heads, -1))[node.index]
    return block.mlp.leave.weight.T


def analyse(values: Tensor, case: Tensor, rng: Generator) -> PCAResult:
    """Look at values [Q, D] of questions that are each of a case [Q], from 0."""
    values = values.double()
    left, size = _components(values, rng)
    total = len(values) * values.var(0, correction=0).sum()
    variance = size**2 / total.clamp(min=torch.finfo(total.dtype).tiny)
    kept = variance > DUST
    scores = left * size
    if not kept.any():
        return PCAResult(torch.zeros(len(values), 2), 0.0, 0.0, 0.0, 0.0)
    points = scores[:, kept] / scores[:, kept].std(0, correction=0)
    found = [_measured(points, _clusters(points, k, rng), case) for k in CLUSTERS]
    best = (max(values) for values in zip(*found, strict=True))
    return PCAResult(
        torch.nn.functional.pad(scores, (0, 2))[:, :2], float(variance[0]), *best
    )


def _components(values: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Return the first left singular vectors [Q, C] and values [C] of centred [Q, D].

    By random projections: a full decomposition takes ten times as long.
    """
    number = min(COMPONENTS, *values.shape)
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
        wanted = min(number + MARGIN, *values.shape)
        left, size, _ = torch.pca_lowrank(values, q=wanted, niter=POWERS)
    return left[:, :number], size[:number]


def _clusters(points: Tensor, k: int, rng: Generator) -> Tensor:
    """Part points [Q, C] into k clusters [Q] by k-means, the best of some restarts.

    All restarts move at once, a third of the time of scikit-learn's one by one.
    """
    start = torch.rand(RESTARTS, len(points), generator=rng, device=rng.device)
    centres = points[start.argsort(1)[:, :k].to(points.device)]  # [R, K, C]
    before = None
    for _ in range(ROUNDS):
        nearest = torch.cdist(points, centres).argmin(-1)  # [R, Q]
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        member = one_hot(nearest, k).to(points)  # [R, Q, K]
        size = member.sum(1)[..., None]
        moved = member.mT @ points / size.clamp(min=1.0)
        centres = torch.where(size > 0, moved, centres)
    distance, nearest = torch.cdist(points, centres).min(-1)
    return nearest[(distance**2).sum(1).argmin()]


def _measured(points: Tensor, cluster: Tensor, case: Tensor) -> tuple[float, ...]:
    """Return silhouette, Calinski-Harabasz index and agreement of clusters [Q]."""
    # Its import takes more than a second, which only jobs that need it shall wait for.
    from sklearn import metrics

    if len(cluster.unique()) < 2:
        return 0.0, 0.0, 0.0
    counts = metrics.cluster.contingency_matrix(case, cluster)  # [cases, K]
    return (
        float(metrics.silhouette_score(points, cluster)),
        float(metrics.calinski_harabasz_score(points, cluster)),
        float((counts.max(0) / counts.sum(0)).mean()),
    )
