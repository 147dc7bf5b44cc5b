"""Patches: values that replace activations, and metrics of the logits that follow.

Q: questions, T: tokens, A: answer tokens, R: rows of a batch, each a question of a
patched run, w: width of an activation, K: keys, Y: vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from mathprobe.interp.nodes import Node
from mathprobe.nets.hooks import patch

# Their activations are [R, heads, T, K]; those of other hook points are [R, T, ..., w].
ATTENTION_HOOKS = ("hook_attn_scores", "hook_pattern")


@dataclass(frozen=True, eq=False)
class Patch:
    """A value that replaces the activation at a hook point and a position.

    At a hook point of ATTENTION_HOOKS, the position is that of the query.
    """

    hook_name: str
    layer: int
    position: int
    index: tuple[int, ...]  # of the head, if there are heads, and of the key, if one
    value: Tensor  # [Q or 1, w]; [Q or 1, K] of a query, [Q or 1] of a query and a key


Patches = Sequence[Patch]  # applied together in one run
# Receives answers [V, Q, A] and a mask of their final tokens.  Returns [V, Q], whether
# the other tokens are not needed.
IsSettled = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Metric:
    """A number for each answer token, computed from its logits.

    The function receives logits [R, .., Y] and the chosen tokens [R, ..] of each
    element of `tokens`, and returns [R, ..].
    """

    function: Callable[..., Tensor]
    tokens: tuple[Tensor, ...] = ()  # [Q, A] each, on the device of the run

    def __call__(self, logits: Tensor, question: Tensor, first: int = 0) -> Tensor:
        """Return the metric [R, n] of the logits [R, n, Y] of n answer tokens.

        `question` [R] is the question of each row; `first` is the first of the tokens.
        """
        end = first + logits.shape[1]
        chosen = (tokens[question, first:end] for tokens in self.tokens)
        return self.function(logits, *chosen)


def node_patch(node: Node, values: Mapping[str, Tensor]) -> Patch:
    """Return the patch of a node.

    `values` are activations [Q or 1, T, ..., w], by hook point.
    """
    value = values[node.hook_name][node.index_in_hook]
    return Patch(node.hook_name, node.layer, node.position, node.head_index, value)


@contextmanager
def apply_patches(
    model: nn.Module,
    patched_runs: Sequence[Patches],
    rows: Sequence[slice],
    question: Tensor,
    positions: range,
) -> Iterator[None]:
    """Apply the patches at some positions to a batch of patched runs.

    `rows` are the rows of each run, and `question` [R] is the question of each row.
    Positions are the last ones of all activations.
    """
    by_hook: dict[str, list[tuple[slice, Patch]]] = {}
    for row, patches in zip(rows, patched_runs, strict=True):
        for one in patches:
            if one.position in positions:
                by_hook.setdefault(one.hook_name, []).append((row, one))
    with ExitStack() as stack:
        for hook, found in by_hook.items():
            write = partial(_write, found, question, positions.stop)
            stack.enter_context(patch(model, hook, write))
        yield


def _write(
    patches: Sequence[tuple[slice, Patch]],
    question: Tensor,
    end: int,
    activation: Tensor,
) -> Tensor:
    """Write patches into an activation of the positions before `end`; return it.

    The highest layer omits positions that predict no answer token.
    """
    for rows, one in patches:
        is_attention = one.hook_name.endswith(ATTENTION_HOOKS)
        place = one.position - end
        if -place <= activation.shape[2 if is_attention else 1]:
            value = one.value
            if len(value) > 1:
                value = value[question[rows]]
            index: tuple[slice | int, ...] = (rows, place, *one.index)
            if is_attention:
                head, *key = one.index
                index = (rows, head, place, *key)
                if not key:  # later keys have no weight
                    value = value[:, : activation.shape[-1]]
            activation[index] = value
    return activation
