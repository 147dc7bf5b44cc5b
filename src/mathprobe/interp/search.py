"""Search for what a node tells: put what it says at one question into another.

S: sets of nodes, Q: pairs of questions, A: answer tokens.

Source: Quirke, Neo, Barez 2024, who look at one pair of questions, with later answer
tokens given.  Here many pairs are looked at, the changed decoder writes its answer
itself, and the result is a rate with its interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Generator, Tensor

from mathprobe.interp.facts import CONFIDENT_FROM
from mathprobe.interp.nodes import HEAD, Node
from mathprobe.interp.patching import Run, node_patch
from mathprobe.intervals import clopper_pearson

NodeSet = tuple[Node, ...]


@dataclass(frozen=True)
class Rate:
    """How often an exchange had the predicted result, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_found(self) -> bool:
        """Tell whether it happens nearly always."""
        return self.low >= CONFIDENT_FROM


NOTHING = Rate(math.nan, 0.0, 1.0)  # known, where there is no pair of some case


@dataclass(frozen=True, eq=False)
class InterchangeIntervention:
    """Pairs of questions, and what answers become when something is exchanged."""

    clean: Run
    other: Run
    predicted: Tensor  # [Q, A]
    claimed: Tensor  # [A]: of which tokens something is predicted
    whole: bool  # all that is predicted must come true, or some of it and nothing else
    case: Tensor  # [Q], from 0: the rate is that of the hardest case
    cases: int

    def rates(self, sets: Sequence[NodeSet]) -> list[Rate]:
        """InterchangeIntervention sets of nodes, one set after the other."""
        if not sets or not len(self.case):
            return [NOTHING] * len(sets)
        values = self.other.activations(
            *dict.fromkeys(n.hook_name for nodes in sets for n in nodes)
        )
        variants = [[node_patch(node, values) for node in nodes] for nodes in sets]
        hits = self.hits(self.clean.answers(variants, teacher_forced=False))
        return [_hardest(hit, self.case, self.cases) for hit in hits]

    def hits(self, answers: Tensor) -> Tensor:
        """Tell where answers [S, Q, A] are what was predicted [S, Q]."""
        moved = answers != self.clean.unpatched_answers
        right = answers == self.predicted
        if self.whole:
            return (right | ~self.claimed).all(-1)
        some = (moved & right & self.claimed).any(-1)
        return some & (right | ~moved | ~self.claimed).all(-1)


def _hardest(hit: Tensor, case: Tensor, cases: int) -> Rate:
    """Give the rate [Q] of the case in which it is lowest; of no pair, nothing."""
    total = torch.bincount(case, minlength=cases)
    if not total.all():
        return NOTHING
    count = torch.bincount(case, hit.to(torch.float64), minlength=cases)
    hardest = int((count / total).argmin())
    number, pairs = int(count[hardest]), int(total[hardest])
    return Rate(number / pairs, *clopper_pearson(number, pairs))


def search(
    exchange: InterchangeIntervention,
    single: Sequence[Node],
    paired: Iterable[NodeSet] = (),
) -> dict[NodeSet, Rate]:
    """Try nodes, and pairs of heads at positions where no single head is found."""
    alone = [(node,) for node in single]
    rates = dict(zip(alone, exchange.rates(alone), strict=True))
    done = {
        node.position
        for (node,), rate in rates.items()
        if rate.is_found and node.kind == HEAD
    }
    pairs = [nodes for nodes in paired if nodes[0].position not in done]
    return rates | dict(zip(pairs, exchange.rates(pairs), strict=True))


def head_pairs(nodes: Iterable[Node]) -> list[NodeSet]:
    """List the pairs of heads of the same layer at the same position."""
    heads = sorted(node for node in nodes if node.kind == HEAD)
    return [
        (one, other)
        for one, other in combinations(heads, 2)
        if (one.position, one.layer) == (other.position, other.layer)
    ]


def sample_nodes(nodes: Sequence[Node], count: int, rng: Generator) -> list[Node]:
    """Choose nodes at random: what a set of this number does by chance."""
    order = torch.randperm(len(nodes), generator=rng, device=rng.device)
    return sorted(nodes[int(place)] for place in order[:count])
