"""Attention patterns of heads, and knock-out of edges.

Q: questions, T: query tokens, K: key tokens.  An edge is a head at a query position,
and a key position.  Source of the knock-out: Geva et al. 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mathprobe.errors import InputError
from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import Patch
from mathprobe.interp.protocol import PatchableRun


def attention_patterns(run: PatchableRun, nodes: Sequence[Node]) -> list[Tensor]:
    """Return for each head its attention [Q, K] to every token.

    Each row sums to 1.  Raises InputError for a node that is not a head.
    """
    hooks = [_attention_hook(node, "hook_pattern") for node in nodes]
    patterns = run.activations(*dict.fromkeys(hooks))
    return [
        patterns[hook][:, node.index, node.position]
        for hook, node in zip(hooks, nodes, strict=True)
    ]


def mean_attention(run: PatchableRun, nodes: Sequence[Node]) -> Tensor:
    """Return the attention of heads to every token, averaged over questions.

    The result has shape [nodes, K]; each row sums to 1.  Raises InputError for a node
    that is not a head, and if the numbers of keys differ.
    """
    hooks = [_attention_hook(node, "hook_pattern") for node in nodes]
    patterns = run.activations(*dict.fromkeys(hooks))
    means = {hook: pattern.mean(0) for hook, pattern in patterns.items()}
    if len({mean.shape for mean in means.values()}) > 1:
        raise InputError("heads with different numbers of keys: pass them separately")
    rows = [means[h][n.index, n.position] for h, n in zip(hooks, nodes, strict=True)]
    return torch.stack(rows) if rows else torch.empty(0, len(run.positions))


def knock_out(edges: Mapping[Node, Sequence[int]]) -> list[Patch]:
    """Return the patches that prevent heads from attending to key positions.

    The scores of the edges become minus infinity, so that the other keys receive their
    attention.  `edges` are key positions, by head at a query position.  Raises
    InputError for a node that is not a head, for a key that the query cannot attend to,
    and if no key remains.
    """
    patches = []
    for node, keys in edges.items():
        hook = _attention_hook(node, "hook_attn_scores")
        if node.is_causal and not set(keys) < set(range(node.position + 1)):
            raise InputError(
                f"{node.name}: cannot knock out the keys {sorted(set(keys))}; its keys "
                f"are 0 to {node.position}, and at least one must remain"
            )
        minus = torch.tensor([-torch.inf])
        patches += [
            Patch(hook, node.layer, node.position, (node.index, key), minus)
            for key in dict.fromkeys(keys)
        ]
    return patches


def _attention_hook(node: Node, name: str) -> str:
    if not node.is_head:
        raise InputError(f"{node.name} has no attention pattern; only heads have one")
    return node.hook_name.replace("hook_z", name)
