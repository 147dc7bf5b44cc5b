"""Protocols: what this package needs of a network and of its runs on questions.

Q: questions, T: tokens, A: answer tokens, V: patched runs, D: width, w: width of a
node, Y: vocabulary.

Hook points have the names of TransformerLens: `blocks.0.attn.hook_z` of a decoder,
`encoder.0.attn.hook_z` and `decoder.0.cross_attn.hook_z` of an encoder-decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from torch import Tensor

from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import IsSettled, Metric, Patches


class Network(Protocol):
    """A network whose heads and MLPs add to a residual stream."""

    def output_weights(self, hook_name: str) -> Tensor:
        """Return the matrices from an activation to the residual stream.

        The shape is [heads, w, D] for `attn.hook_z` and [w, D] for `mlp.hook_post`.
        """
        ...


@runtime_checkable
class PreNormNetwork(Network, Protocol):
    """A network that normalises the residual stream only where it is read.

    The residual stream is then the sum of the embedding and all outputs, so that the
    direct effect of one node on another one, or on the logits, is defined.
    """

    def linear_logits(self, added: Tensor, x: Tensor) -> Tensor:
        """Return what `added` [..., D], a part of x [..., D], adds to the logits.

        The scale of the final norm is that of x.  The result is [..., Y].
        """
        ...

    def residual_input(self, hook_name: str) -> str:
        """Return the hook point of the residual stream that a hook point depends on.

        It is `hook_resid_pre` for those of attention, `hook_resid_mid` of the same
        layer for those of the MLP.
        """
        ...

    def compute(self, hook_name: str, x: Tensor) -> Tensor:
        """Return an activation [Q, T, ...] for the residual stream x [Q, T, D].

        The hook point must depend on the same position only: the queries, keys and
        values of heads, and the hook points of an MLP.
        """
        ...


class PatchableRun(Protocol):
    """A network, its questions and its answers, with and without patches.

    Positions of activations are those of input tokens: the last answer token is only
    predicted.
    """

    @property
    def model(self) -> Network:
        """Return the network."""
        ...

    @property
    def nodes(self) -> list[Node]:
        """Return all heads and MLPs at all positions, sorted."""
        ...

    @property
    def residual_nodes(self) -> list[Node]:
        """Return the residual stream after every layer at all positions, sorted."""
        ...

    @property
    def positions(self) -> range:
        """Return the positions of the tokens among which the answer is."""
        ...

    @property
    def unpatched_answers(self) -> Tensor:
        """Return the answers [Q, A] of the unpatched network."""
        ...

    def activations(self, *hook_names: str) -> dict[str, Tensor]:
        """Return the unpatched activations [Q, T, ...] by hook point."""
        ...

    def answers(
        self,
        patched_runs: Sequence[Patches],
        teacher_forced: bool = True,
        is_settled: IsSettled | None = None,
    ) -> Tensor:
        """Return the answers [V, Q, A] of patched runs.

        With teacher forcing, each token is predicted from the preceding tokens of the
        unpatched answer.  Otherwise the patched network decodes its own answer
        greedily, and may stop if the answer is settled.
        """
        ...

    def measure(self, patched_runs: Sequence[Patches], metric: Metric) -> Tensor:
        """Return a metric of patched runs [V, Q, A], with teacher forcing.

        A run without patches gives the metric of the unpatched network.
        """
        ...

    def select(self, chosen: Tensor | slice) -> Self:
        """Return the run on some questions, chosen by a mask, indices or a slice."""
        ...


# Returns the patched runs of the first run, with activations from the second: base and
# source, on the same number of questions.
Patching = Callable[[PatchableRun, PatchableRun], Sequence[Patches]]
