"""Nodes: attention heads and MLPs of a decoder, each at one position.

Source: Quirke, Neo, Barez 2024, who name them P18L0H1 and P18L0MLP.  Nodes are sorted
numerically: P9 is before P10.
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
    """A head or the MLP of a layer at a position."""

    position: int
    layer: int
    kind: Kind
    index: int = 0  # of the head; 0 for an MLP

    @property
    def component(self) -> str:
        """Return the name without the position, e.g. L0H1 or L0MLP."""
        return f"L{self.layer}" + ("MLP" if self.kind == MLP else f"H{self.index}")

    @property
    def name(self) -> str:
        """Return the name, e.g. P18L0H1 or P09L0MLP."""
        return f"P{self.position:02}{self.component}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the node of this name.

        Raises InputError for an invalid name.
        """
        found = _NAME.fullmatch(name)
        if not found:
            raise InputError(
                f"{name!r} is not the name of a node; examples are P18L0H1, P18L0MLP"
            )
        position, layer, head = found.groups()
        if head is None:
            return cls(int(position), int(layer), MLP)
        return cls(int(position), int(layer), HEAD, int(head))

    @property
    def hook_name(self) -> str:
        """Return the name of the hook point of the node's activation."""
        return f"blocks.{self.layer}.{NODE_HOOKS[self.kind]}"

    @property
    def index_in_hook(self) -> Index:
        """Return the index of the node in the activation of its hook point.

        It selects [.., w] from [.., T, heads, w] for a head, or [.., T, w] for an MLP.
        """
        return (..., self.position, *self.head_index, slice(None))

    @property
    def head_index(self) -> tuple[int, ...]:
        """Return the index into the axis of heads; empty for an MLP."""
        return (self.index,) if self.kind == HEAD else ()


def all_nodes(positions: Iterable[int], layers: int, heads: int) -> list[Node]:
    """Return all nodes of a decoder at these positions, sorted."""
    parts: list[tuple[Kind, int]] = [*((HEAD, head) for head in range(heads)), (MLP, 0)]
    return sorted(
        Node(position, layer, kind, index)
        for position in positions
        for layer in range(layers)
        for kind, index in parts
    )
