"""Ablation: answer tokens that change when a node or a position is ablated.

Q: questions, T: tokens, A: answer tokens.

Source: Quirke, Neo, Barez 2024.  Their text describes mean ablation, but their code
uses the means of the first layer for all layers.  `first_layer_means` selects this
behaviour, to measure its effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Generator, Tensor

from mathprobe.errors import InputError
from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import node_patch
from mathprobe.interp.protocol import PatchableRun
from mathprobe.registry import Registry

Ablation = Callable[[Tensor, Generator], Tensor]  # [Q, T, ..] to [Q or 1, T, ..]

ABLATIONS: Registry[Ablation] = Registry("ablation")


@ABLATIONS.add("mean")
def mean(activation: Tensor, rng: Generator) -> Tensor:
    """Return the mean activation over questions [1, T, ..]."""
    return activation.mean(0, keepdim=True)


@ABLATIONS.add("zero")
def zero(activation: Tensor, rng: Generator) -> Tensor:
    """Return zeros [1, T, ..]."""
    return torch.zeros_like(activation[:1])


@ABLATIONS.add("resample")
def resample(activation: Tensor, rng: Generator) -> Tensor:
    """Return for each question the activation of another question [Q, T, ..].

    Raises InputError for a single question.
    """
    if len(activation) < 2:
        raise InputError("resample ablation needs at least two questions")
    shift = torch.randint(1, len(activation), (), generator=rng, device=rng.device)
    return activation.roll(int(shift), 0)


def ablation_values(
    run: PatchableRun, ablation: str, rng: Generator, first_layer_means: bool = False
) -> dict[str, Tensor]:
    """Return replacement values [Q or 1, T - 1, ..], by hook point.

    With `first_layer_means`, the values of the first layer are used for every layer, as
    in the published code.
    """
    ablate = ABLATIONS[ablation]
    nodes = sorted(run.nodes + run.residual_nodes)
    hooks = dict.fromkeys(node.hook_name for node in nodes)
    source = {
        hook: re.sub(r"\.\d+\.", ".0.", hook) if first_layer_means else hook
        for hook in hooks
    }
    activations = run.activations(*dict.fromkeys(source.values()))
    values = {hook: ablate(one, rng) for hook, one in activations.items()}
    return {hook: values[source[hook]] for hook in hooks}


def ablate_positions(
    run: PatchableRun, values: Mapping[str, Tensor], positions: Sequence[int]
) -> Tensor:
    """Return which answer tokens change when each position is ablated.

    The residual stream at the position is replaced after every layer.  The result is a
    boolean tensor [positions, Q, A].
    """
    patches = [
        [node_patch(one, values) for one in run.residual_nodes if one.position == place]
        for place in positions
    ]
    return run.answers(patches) != run.unpatched_answers


def ablate_nodes(
    run: PatchableRun, values: Mapping[str, Tensor], nodes: Sequence[Node]
) -> Tensor:
    """Return which answer tokens change when each node is ablated, [nodes, Q, A]."""
    patches = [[node_patch(node, values)] for node in nodes]
    return run.answers(patches) != run.unpatched_answers


def ablate_all_except(
    run: PatchableRun, values: Mapping[str, Tensor], nodes: Iterable[Node]
) -> Tensor:
    """Return which answer tokens change when all other nodes are ablated, [Q, A]."""
    others = sorted(set(run.nodes) - set(nodes))
    patches = [node_patch(node, values) for node in others]
    return (run.answers([patches]) != run.unpatched_answers)[0]
