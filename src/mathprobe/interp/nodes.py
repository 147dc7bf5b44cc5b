"""Nodes: parts of a network, each at one position.

Source: Quirke, Neo, Barez 2024, who name the heads and MLPs of a decoder P18L0H1 and
P18L0MLP.  Nodes are sorted numerically: P9 is before P10.  Other parts have names of
the same form: P18L0Q1 is the query of a head, P18E0H1 a head of an encoder, P18D0X1 a
cross-attention head.  The position is that in the encoder or in the decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import EllipsisType
from typing import Final, NamedTuple, Self

from mathprobe.errors import InputError

Index = tuple[EllipsisType | int | slice, ...]


class Kind(NamedTuple):
    """Name and hook point of a kind of node, both with `{}` for the layer.

    Names of parts of a head have a second `{}` for the head.
    """

    name: str
    hook: str


HEAD: Final = "head"
MLP: Final = "mlp"
RESIDUAL: Final = "residual"  # the residual stream after a layer
QUERY, KEY, VALUE = "query", "key", "value"  # inputs of a head
KINDS = {
    HEAD: Kind("L{}H{}", "blocks.{}.attn.hook_z"),
    MLP: Kind("L{}MLP", "blocks.{}.mlp.hook_post"),
    RESIDUAL: Kind("L{}RES", "blocks.{}.hook_resid_post"),
    QUERY: Kind("L{}Q{}", "blocks.{}.attn.hook_q"),
    KEY: Kind("L{}K{}", "blocks.{}.attn.hook_k"),
    VALUE: Kind("L{}V{}", "blocks.{}.attn.hook_v"),
    "encoder head": Kind("E{}H{}", "encoder.{}.attn.hook_z"),
    "encoder mlp": Kind("E{}MLP", "encoder.{}.mlp.hook_post"),
    "encoder residual": Kind("E{}RES", "encoder.{}.hook_resid_post"),
    "decoder head": Kind("D{}H{}", "decoder.{}.attn.hook_z"),
    "cross head": Kind("D{}X{}", "decoder.{}.cross_attn.hook_z"),
    "decoder mlp": Kind("D{}MLP", "decoder.{}.mlp.hook_post"),
    "decoder residual": Kind("D{}RES", "decoder.{}.hook_resid_post"),
}
_BY_LETTERS = {kind.name.format("", ""): name for name, kind in KINDS.items()}
_NAME = re.compile(r"P(\d+)([A-Z])(\d+)([A-Z]+)(\d*)", re.ASCII)


@dataclass(frozen=True, order=True)
class Node:
    """A part of a layer, such as a head or the MLP, at a position."""

    position: int
    layer: int
    kind: str  # a key of KINDS
    index: int = 0  # of the head; 0 for parts without heads

    @property
    def component(self) -> str:
        """Return the name without the position, e.g. L0H1 or L0MLP."""
        return KINDS[self.kind].name.format(self.layer, self.index)

    @property
    def name(self) -> str:
        """Return the name, e.g. P18L0H1 or P09L0MLP."""
        return f"P{self.position:02}{self.component}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the node of this name.

        Raises InputError for an invalid name.
        """
        if found := _NAME.fullmatch(name):
            position, stack, layer, part, index = found.groups()
            if kind := _BY_LETTERS.get(stack + part):
                node = cls(int(position), int(layer), kind, int(index or 0))
                if node.has_heads == bool(index):
                    return node
        raise InputError(
            f"{name!r} is not the name of a node; examples are P18L0H1, P18L0MLP"
        )

    @property
    def hook_name(self) -> str:
        """Return the name of the hook point of the node's activation."""
        return KINDS[self.kind].hook.format(self.layer)

    @property
    def is_head(self) -> bool:
        """Return whether the node is the output of an attention head."""
        return self.hook_name.endswith(".hook_z")

    @property
    def is_output(self) -> bool:
        """Return whether the node is a head or an MLP."""
        return self.hook_name.endswith((".hook_z", ".hook_post"))

    @property
    def is_causal(self) -> bool:
        """Return whether the node is a head that attends to no later position."""
        return self.kind in (HEAD, "decoder head")

    @property
    def has_heads(self) -> bool:
        """Return whether the activation at the hook point has an axis of heads."""
        return KINDS[self.kind].name.count("{}") == 2

    @property
    def index_in_hook(self) -> Index:
        """Return the index of the node in the activation of its hook point.

        It selects [.., w] from [.., T, heads, w], or from [.., T, w] without heads.
        """
        return (..., self.position, *self.head_index, slice(None))

    @property
    def head_index(self) -> tuple[int, ...]:
        """Return the index into the axis of heads; empty if there is none."""
        return (self.index,) if self.has_heads else ()


NodeSet = tuple[Node, ...]  # patched together


def all_nodes(
    positions: Iterable[int], layers: int, heads: int, mlps: bool = True
) -> list[Node]:
    """Return all heads and MLPs of a decoder at these positions, sorted."""
    parts = [*((HEAD, head) for head in range(heads)), *([(MLP, 0)] if mlps else [])]
    return sorted(
        Node(position, layer, kind, index)
        for position in positions
        for layer in range(layers)
        for kind, index in parts
    )
