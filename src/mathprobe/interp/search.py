"""Search for the nodes that encode a variable, by interchange interventions.

S: sets of nodes, Q: pairs of questions, A: answer tokens.

Source: Quirke, Neo, Barez 2024, who test one pair of questions with teacher forcing.
Here many pairs are tested, the patched model decodes its own answer, and the result is
a success rate with its confidence interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, groupby
from typing import TypeVar

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from mathprobe.interp.facts import CONFIDENT_FROM
from mathprobe.interp.nodes import MLP, Node, NodeSet
from mathprobe.interp.patches import node_patch
from mathprobe.interp.protocol import PatchableRun
from mathprobe.intervals import clopper_pearson

Item = TypeVar("Item", Node, NodeSet)


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

    @property
    def is_undecided(self) -> bool:
        """Return whether more pairs may show that the intervention succeeds."""
        return self.low < CONFIDENT_FROM <= self.value


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
        values = self._source_values
        patches = [[node_patch(node, values) for node in nodes] for nodes in node_sets]
        answers = self.base.answers(patches, False, self.is_settled)
        return lowest_rates(self.successes(answers), self.case, self.cases)

    @cached_property
    def _source_values(self) -> dict[str, Tensor]:
        """Return the activations of all heads and MLPs in the source run."""
        hooks = dict.fromkeys(node.hook_name for node in self.source.nodes)
        return self.source.activations(*hooks)

    def without_activations(self) -> InterchangeIntervention:
        """Return the same intervention; activations are computed again when needed."""
        base, source = (run.select(slice(None)) for run in (self.base, self.source))
        return replace(self, base=base, source=source)

    def successes(self, answers: Tensor) -> Tensor:
        """Return whether answers [S, Q, A] are as predicted, bool [S, Q]."""
        success = ~self._excludes_success(answers).any(-1)
        if not self.match_all:
            success &= (self._changed(answers) & self.mask).any(-1)
        return success

    def is_settled(self, answers: Tensor, known: Tensor) -> Tensor:
        """Return whether the known tokens decide the success, bool [S, Q].

        `known`, bool [S, Q, A], marks the tokens of the answers that are final.
        """
        failed = (self._excludes_success(answers) & known).any(-1)
        return failed | (known | ~self.mask).all(-1)

    def _excludes_success(self, answers: Tensor) -> Tensor:
        """Return the tokens [S, Q, A] that rule out a success.

        Unless all must match, an unchanged token does not.
        """
        wrong = (answers != self.predicted) & self.mask
        return wrong if self.match_all else wrong & self._changed(answers)

    def _changed(self, answers: Tensor) -> Tensor:
        """Return the tokens [S, Q, A] that differ from the unpatched answers."""
        return answers != self.base.unpatched_answers


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
    repeat: Callable[[], InterchangeIntervention],
    nodes: Sequence[Node],
    sets: Iterable[NodeSet] = (),
) -> dict[NodeSet, Rate]:
    """Return the rates of single nodes, and of sets of nodes at a position.

    A set is tested only if no smaller set of such nodes at its position is found.
    Undecided rates are replaced by those for `repeat()`, the same intervention on more
    and other pairs; if they are then found, larger sets are tested nevertheless.
    """
    by_size: dict[int, list[NodeSet]] = {1: [(node,) for node in nodes]}
    for one in sets:
        by_size.setdefault(len(one), []).append(one)
    rates: dict[NodeSet, Rate] = {}
    done: set[tuple[int, str]] = set()  # positions and kinds of sets that are found
    for size in sorted(by_size):
        tested = [one for one in by_size[size] if _place(one) not in done]
        rates |= zip(tested, intervention.rates(tested), strict=True)
        done |= {_place(one) for one in tested if rates[one].is_found}
        again = [one for one in tested if rates[one].is_undecided]
        if again:
            rates |= zip(again, repeat().rates(again), strict=True)
    return rates


def _place(nodes: NodeSet) -> tuple[int, str]:
    return nodes[0].position, nodes[0].kind


def head_pairs(nodes: Iterable[Node], any_layers: bool = False) -> list[NodeSet]:
    """Return all pairs of heads at the same position, of the same layer or of any."""
    heads = sorted(node for node in nodes if node.is_head)
    return [
        (one, other)
        for one, other in combinations(heads, 2)
        if (one.position, one.kind) == (other.position, other.kind)
        and (any_layers or one.layer == other.layer)
    ]


def mlp_sets(nodes: Iterable[Node]) -> list[NodeSet]:
    """Return the last two MLPs of each position, the last three, and so on to all."""
    mlps = sorted(node for node in nodes if node.kind == MLP)
    at_position = [tuple(own) for _, own in groupby(mlps, lambda n: n.position)]
    return [own[-size:] for own in at_position for size in range(2, len(own) + 1)]


def sample_nodes(nodes: Sequence[Item], count: int, rng: Generator) -> list[Item]:
    """Return `count` random nodes or sets of nodes, or all if fewer exist, sorted."""
    order = torch.randperm(len(nodes), generator=rng, device=rng.device)
    return sorted(nodes[int(index)] for index in order[:count])
