"""Attention patterns of heads.  Q: questions, T: tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mathprobe.errors import InputError
from mathprobe.interp.nodes import HEAD, Node
from mathprobe.interp.patching import Run


def mean_attention(run: Run, nodes: Sequence[Node]) -> Tensor:
    """Return the attention of heads to every token, averaged over questions.

    The result has shape [nodes, T - 1]; each row sums to 1.  Raises InputError for a
    node that is not a head.
    """
    for node in nodes:
        if node.kind != HEAD:
            raise InputError(
                f"{node.name} has no attention pattern; only heads have one"
            )
    hooks = {node: f"blocks.{node.layer}.attn.hook_pattern" for node in nodes}
    patterns = run.activations(*dict.fromkeys(hooks.values()))
    means = {hook: pattern.mean(0) for hook, pattern in patterns.items()}
    rows = [means[hook][node.index, node.position] for node, hook in hooks.items()]
    return torch.stack(rows) if rows else torch.empty(0, len(run.positions))
