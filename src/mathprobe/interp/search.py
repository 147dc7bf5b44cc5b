"""Search for the nodes that encode a variable, by interchange interventions.

S: sets of nodes, Q: pairs of questions, A: answer tokens.

Source: Quirke, Neo, Barez 2024, who test one pair of questions with teacher forcing.
Here many pairs are tested, the patched model decodes its own answer, and the result is
a success rate with its confidence interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from mathprobe.interp.facts import CONFIDENT_FROM
from mathprobe.interp.nodes import Node, NodeSet
from mathprobe.interp.patches import node_patch
from mathprobe.interp.protocol import PatchableRun
from mathprobe.intervals import clopper_pearson


@dataclass(frozen=True)
class Rate:
    """Success rate of an intervention, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_found(self) -> bool:
        """Return whether the intervention nearly always succeeds."""
        return self.low >= CONFIDENT_FROM


UNKNOWN = Rate(math.nan, 0.0, 1.0)  # a case has no pairs


@dataclass(frozen=True, eq=False)
class InterchangeIntervention:
    """Pairs of base and source questions, and the predicted answers.

    An intervention patches the activations of nodes from the source run into the base
    run.  It succeeds if the base answer changes as predicted.
    """

    base: PatchableRun
    source: PatchableRun
    predicted: Tensor  # [Q, A]
    mask: Tensor  # [A], bool: answer tokens that are predicted
    # True: all predicted tokens must match.  False: at least one must change as
    # predicted, and the others must match or stay unchanged.
    match_all: bool
    case: Tensor  # [Q], from 0, on the CPU; the result is the lowest rate of all cases
    cases: int  # number of cases

    def rates(self, node_sets: Sequence[NodeSet]) -> list[Rate]:
        """Return the success rate of patching each set of nodes."""
        if not node_sets or not len(self.case):
            return [UNKNOWN] * len(node_sets)
        hooks = dict.fromkeys(n.hook_name for nodes in node_sets for n in nodes)
        values = self.source.activations(*hooks)
        patches = [[node_patch(node, values) for node in nodes] for nodes in node_sets]
        success = self.successes(self.base.answers(patches, teacher_forced=False))
        return lowest_rates(success, self.case, self.cases)

    def successes(self, answers: Tensor) -> Tensor:
        """Return whether answers [S, Q, A] are as predicted, bool [S, Q]."""
        changed = answers != self.base.unpatched_answers
        right = answers == self.predicted
        if self.match_all:
            return (right | ~self.mask).all(-1)
        some = (changed & right & self.mask).any(-1)
        return some & (right | ~changed | ~self.mask).all(-1)


def lowest_rates(success: Tensor, case: Tensor, cases: int) -> list[Rate]:
    """Return for each set of nodes the lowest success rate of all cases.

    `success` is a mask [S, Q] on any device, and `case` [Q] is on the CPU.  The rate is
    UNKNOWN if a case has no pairs.
    """
    total = torch.bincount(case, minlength=cases)
    if not total.all():
        return [UNKNOWN] * len(success)
    # On the CPU: one transfer, and sums whose order is deterministic.
    count = success.cpu().double() @ one_hot(case, cases).double()  # [S, cases]
    lowest = (count / total).argmin(1).tolist()
    return [
        _rate(int(row[index]), int(total[index]))
        for row, index in zip(count, lowest, strict=True)
    ]


def _rate(number: int, pairs: int) -> Rate:
    return Rate(number / pairs, *clopper_pearson(number, pairs))


def search(
    intervention: InterchangeIntervention,
    nodes: Sequence[Node],
    pairs: Iterable[NodeSet] = (),
) -> dict[NodeSet, Rate]:
    """Return the rates of single nodes and of pairs of heads.

    A pair is tested only if no single head at its position is found.
    """
    singles = [(node,) for node in nodes]
    rates = dict(zip(singles, intervention.rates(singles), strict=True))
    positions_found = {
        node.position
        for (node,), rate in rates.items()
        if rate.is_found and node.is_head
    }
    tested = [pair for pair in pairs if pair[0].position not in positions_found]
    return rates | dict(zip(tested, intervention.rates(tested), strict=True))


def head_pairs(nodes: Iterable[Node]) -> list[NodeSet]:
    """Return all pairs of heads of the same layer at the same position."""
    heads = sorted(node for node in nodes if node.is_head)
    return [
        (one, other)
        for one, other in combinations(heads, 2)
        if replace(one, index=other.index) == other
    ]


def sample_nodes(nodes: Sequence[Node], count: int, rng: Generator) -> list[Node]:
    """Return `count` random nodes, or all if there are fewer, sorted."""
    order = torch.randperm(len(nodes), generator=rng, device=rng.device)
    return sorted(nodes[int(index)] for index in order[:count])
