"""Where heads look.  Q: questions, T: tokens that are read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mathprobe.errors import InputError
from mathprobe.interp.nodes import HEAD, Node
from mathprobe.interp.patching import Run


def mean_attention(run: Run, nodes: Sequence[Node]) -> Tensor:
    """Give how much heads attend to every token, averaged over questions [nodes, T]."""
    for node in nodes:
        if node.kind != HEAD:
            raise InputError(f"{node.name}: only heads attend")
    taps = {node: f"blocks.{node.layer}.attn.hook_pattern" for node in nodes}
    seen = run.activations(*dict.fromkeys(taps.values()))
    average = {tap: pattern.mean(0) for tap, pattern in seen.items()}
    rows = [average[tap][node.index, node.position] for node, tap in taps.items()]
    return torch.stack(rows) if rows else torch.empty(0, len(run.positions))
