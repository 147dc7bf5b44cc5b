"""Ablation: what fails when a part of a decoder says nothing of its own.

Q: questions, T: tokens, A: answer tokens.

Source: Quirke, Neo, Barez 2024.  Their text replaces what a node computes by its mean;
their code takes the means of the first layer for all layers, which is kept here as a
switch, to show what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Generator, Tensor

from mathprobe.interp.nodes import NODE_HOOKS, Node
from mathprobe.interp.patching import RESIDUAL, Run, node_patch, residual_patches
from mathprobe.registry import Registry

Ablation = Callable[[Tensor, Generator], Tensor]  # [Q, T, ..] to [Q or 1, T, ..]

ABLATIONS: Registry[Ablation] = Registry("ablation")


@ABLATIONS.add("mean")
def mean(passing: Tensor, rng: Generator) -> Tensor:
    """Say what is said on average."""
    return passing.mean(0, keepdim=True)


@ABLATIONS.add("zero")
def zero(passing: Tensor, rng: Generator) -> Tensor:
    """Say nothing."""
    return torch.zeros_like(passing[:1])


@ABLATIONS.add("resample")
def resample(passing: Tensor, rng: Generator) -> Tensor:
    """Say what is said at another question."""
    shift = torch.randint(1, len(passing), (), generator=rng, device=rng.device)
    return passing.roll(int(shift), 0)


def ablation_values(
    run: Run, ablation: str, rng: Generator, first_layer: bool = False
) -> dict[str, Tensor]:
    """Give what stands for the activations of a run, by tap.

    With first_layer, that of the first layer stands for all layers', as in the
    published code.
    """
    make = ABLATIONS[ablation]
    names = [*NODE_HOOKS.values(), RESIDUAL]
    layers = range(1 if first_layer else run.layers)
    seen = run.activations(
        *(f"blocks.{layer}.{name}" for layer in layers for name in names)
    )
    made = {tap: make(passing, rng) for tap, passing in seen.items()}
    return {
        f"blocks.{layer}.{name}": made[f"blocks.{0 if first_layer else layer}.{name}"]
        for layer in range(run.layers)
        for name in names
    }


def ablate_positions(
    run: Run, values: Mapping[str, Tensor], positions: Sequence[int]
) -> Tensor:
    """Tell which answer tokens change when a position says nothing [positions, Q, A].

    What it holds is replaced after every layer at once.
    """
    variants = [
        residual_patches(position, run.layers, values) for position in positions
    ]
    return run.answers(variants) != run.unpatched_answers


def ablate_nodes(
    run: Run, values: Mapping[str, Tensor], nodes: Sequence[Node]
) -> Tensor:
    """Tell which answer tokens change when a node says nothing [nodes, Q, A]."""
    return (
        run.answers([[node_patch(node, values)] for node in nodes])
        != run.unpatched_answers
    )


def ablate_all_except(
    run: Run, values: Mapping[str, Tensor], nodes: Iterable[Node]
) -> Tensor:
    """Tell which answer tokens change when all nodes but these say nothing [Q, A]."""
    others = sorted(set(run.nodes) - set(nodes))
    return (
        run.answers([[node_patch(node, values) for node in others]])
        != run.unpatched_answers
    )[0]
