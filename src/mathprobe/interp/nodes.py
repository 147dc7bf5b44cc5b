"""Nodes: the heads and feed-forward layers of a decoder, each at one position.

Source: Quirke, Neo, Barez 2024, who name them P18L0H1 and P18L0MLP.  Numbers are
compared as numbers: P9 comes before P10, and P100 is no P1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import EllipsisType
from typing import Final, Literal, Self

from mathprobe.errors import InputError

Kind = Literal["head", "mlp"]
Index = tuple[EllipsisType | int | slice, ...]

HEAD: Final = "head"
MLP: Final = "mlp"
NODE_HOOKS: dict[Kind, str] = {HEAD: "attn.hook_z", MLP: "mlp.hook_post"}
_NAME = re.compile(r"P(\d+)L(\d+)(?:H(\d+)|MLP)", re.ASCII)


@dataclass(frozen=True, order=True)
class Node:
    """A head, or the feed-forward layer, of a layer at a position; in this order."""

    position: int
    layer: int
    kind: Kind
    index: int = 0  # of the head

    @property
    def component(self) -> str:
        """Name it within its position, e.g. L0H1 or L0MLP."""
        return f"L{self.layer}" + ("MLP" if self.kind == MLP else f"H{self.index}")

    @property
    def name(self) -> str:
        """Name it, e.g. P18L0H1."""
        return f"P{self.position:02}{self.component}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a name."""
        found = _NAME.fullmatch(name)
        if not found:
            raise InputError(
                f"{name!r}: not a node; they look like P18L0H1 or P18L0MLP"
            )
        position, layer, head = found.groups()
        if head is None:
            return cls(int(position), int(layer), MLP)
        return cls(int(position), int(layer), HEAD, int(head))

    @property
    def hook_name(self) -> str:
        """Name the tap where what it computes passes."""
        return f"blocks.{self.layer}.{NODE_HOOKS[self.kind]}"

    @property
    def index_in_hook(self) -> Index:
        """Index what it computes in what passes at its tap [.., T, ...]: [.., w]."""
        return (..., self.position, *self.head_index, slice(None))

    @property
    def head_index(self) -> tuple[int, ...]:
        """Index a head among the heads of its layer; an MLP has no such index."""
        return (self.index,) if self.kind == HEAD else ()


def all_nodes(positions: Iterable[int], layers: int, heads: int) -> list[Node]:
    """List all nodes of a decoder at these positions, in their order."""
    parts: list[tuple[Kind, int]] = [*((HEAD, head) for head in range(heads)), (MLP, 0)]
    return sorted(
        Node(position, layer, kind, index)
        for position in positions
        for layer in range(layers)
        for kind, index in parts
    )
