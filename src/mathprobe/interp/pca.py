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

from mathprobe.interp.edits import Run
from mathprobe.interp.nodes import HEAD, Node

COMPONENTS = 6
CLUSTERS = (2, 3)
RESTARTS, ROUNDS = 10, 50
MARGIN, POWERS = 6, 10  # of the projections: those wanted are exact to 1e-6
DUST = 1e-12  # of the variance: less is rounding, not to be made as wide as the rest
LEAST = {"explained": 0.3, "silhouette": 0.2, "calinski_harabasz": 50, "agreement": 0.5}


@dataclass(frozen=True, eq=False)
class Panel:
    """What a node writes at questions of several cases, seen along its components."""

    scores: Tensor  # [Q, 2], along the first two components
    explained: float  # share of the variance along the first one
    silhouette: float
    calinski_harabasz: float
    agreement: float  # mean share of a cluster's most frequent case

    @property
    def measures(self) -> dict[str, float]:
        """Give the four measures by name."""
        return {name: getattr(self, name) for name in LEAST}

    @property
    def is_clear(self) -> bool:
        """Tell whether every measure is above what the published code asks for."""
        return all(self.measures[name] > least for name, least in LEAST.items())


@torch.inference_mode()
def written(run: Run, nodes: Sequence[Node]) -> Tensor:
    """Give what nodes add to the residual stream, without biases [nodes, Q, D]."""
    seen = run.seen(*dict.fromkeys(node.tap for node in nodes))
    return torch.stack([seen[node.tap][node.place] @ _out(run, node) for node in nodes])


def _out(run: Run, node: Node) -> Tensor:
    """Give the matrix [w, D] with which a node writes."""
    block = run.model.blocks[node.layer]
    if node.kind == HEAD:
        return block.attn.out.weight.T.unflatten(0, (run.heads, -1))[node.index]
    return block.mlp.leave.weight.T


def panel(values: Tensor, case: Tensor, rng: Generator) -> Panel:
    """Look at values [Q, D] of questions that are each of a case [Q], from 0."""
    centred = values.double() - values.double().mean(0)
    left, size = _components(centred, rng)
    total = (centred**2).sum().clamp(min=torch.finfo(size.dtype).tiny)
    variance = size**2 / total
    kept = variance > DUST
    scores = left * size
    if not kept.any():
        return Panel(torch.zeros(len(values), 2), 0.0, 0.0, 0.0, 0.0)
    points = scores[:, kept] / scores[:, kept].std(0, correction=0)
    found = [_measured(points, _clusters(points, k, rng), case) for k in CLUSTERS]
    best = (max(values) for values in zip(*found, strict=True))
    return Panel(
        torch.nn.functional.pad(scores, (0, 2))[:, :2], float(variance[0]), *best
    )


def _components(centred: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Find the first left singular vectors [Q, C] and values [C] of [Q, D].

    By random projections: a full decomposition takes ten times as long.
    """
    number = min(COMPONENTS, *centred.shape)
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
        wanted = min(number + MARGIN, *centred.shape)
        left, size, _ = torch.svd_lowrank(centred, q=wanted, niter=POWERS)
    return left[:, :number], size[:number]


def _clusters(points: Tensor, k: int, rng: Generator) -> Tensor:
    """Part points [Q, C] into k clusters [Q] by k-means, the best of some restarts."""
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
    """Give silhouette, Calinski-Harabasz index and agreement of clusters [Q]."""
    member = one_hot(cluster).to(points)
    member = member[:, member.any(0)]  # [Q, K]
    if member.shape[1] < 2:
        return 0.0, 0.0, 0.0
    size = member.sum(0)
    frequent = (member.T @ one_hot(case).to(points)).amax(1)
    return (
        _silhouette(points, member, size),
        _calinski_harabasz(points, member, size),
        float((frequent / size).mean()),
    )


def _silhouette(points: Tensor, member: Tensor, size: Tensor) -> float:
    """Average (b - a) / max(a, b): distances within the cluster, and to the next."""
    total = torch.cdist(points, points) @ member  # [Q, K]
    own = member.bool()
    within = total[own] / (size - 1).clamp(min=1.0).expand_as(own)[own]
    nearest = (total / size).masked_fill(own, torch.inf).amin(1)
    value = (nearest - within) / torch.maximum(nearest, within)
    alone = (size == 1).expand_as(own)[own]
    return float(value.masked_fill(alone, 0.0).mean())


def _calinski_harabasz(points: Tensor, member: Tensor, size: Tensor) -> float:
    """Compare the variance between clusters with that within them."""
    centres = member.T @ points / size[:, None]
    between = (size[:, None] * (centres - points.mean(0)) ** 2).sum()
    within = ((points - member @ centres) ** 2).sum()
    k, q = len(size), len(points)
    return float(between / (k - 1) / (within / (q - k)))
