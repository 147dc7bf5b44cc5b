"""The residual stream: contributions of nodes, and their direct effects.

Q: questions, A: answer tokens, D: width, N: nodes.

Everything but the contributions needs a network that normalises the residual stream
only where it is read (`PreNormNetwork`).

Sources: direct logit attribution, Elhage et al. 2021; path patching, Wang et al. 2023
and Goldowsky-Dill et al. 2023.  All other paths are frozen, those through MLPs too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mathprobe.errors import InputError
from mathprobe.interp.measures import pick
from mathprobe.interp.nodes import HEAD, KEY, MLP, QUERY, RESIDUAL, VALUE, Node, NodeSet
from mathprobe.interp.patches import Patch, Patches
from mathprobe.interp.protocol import PatchableRun, Patching, PreNormNetwork

# Order of the parts of a layer in which they write and read the residual stream.
SENDERS = {HEAD: 0, MLP: 1}
RECEIVERS = {QUERY: 0, KEY: 0, VALUE: 0, MLP: 1, RESIDUAL: 2}


@torch.inference_mode()
def residual_contributions(run: PatchableRun, nodes: Sequence[Node]) -> Tensor:
    """Return what nodes add to the residual stream, without biases [N, Q, D].

    Raises InputError for a node that is neither a head nor an MLP.
    """
    for node in nodes:
        if not node.is_output:
            raise InputError(f"{node.name} is neither a head nor an MLP")
    hooks = dict.fromkeys(node.hook_name for node in nodes)
    activations = run.activations(*hooks)
    weights = {hook: run.model.output_weights(hook) for hook in hooks}
    return torch.stack(
        [
            activations[node.hook_name][node.index_in_hook]
            @ weights[node.hook_name][node.head_index]
            for node in nodes
        ]
    )


@torch.inference_mode()
def logit_attribution(
    run: PatchableRun,
    nodes: Sequence[Node],
    answers: Tensor,
    others: Tensor | None = None,
) -> Tensor:
    """Return what nodes add directly to the logits of answers [Q, A].

    With `others` [Q, A], return what they add to the difference of the logits of
    `answers` and `others`.  The scale of the final norm is that of the unpatched run.
    A node affects only the answer token that its position predicts: the result
    [N, Q, A] is 0 for the other tokens.
    """
    model = _pre_norm(run)
    hook = run.residual_nodes[-1].hook_name
    stream = run.activations(hook)[hook]
    found = stream.new_zeros(len(nodes), *answers.shape)
    first = run.positions.stop - answers.shape[1]  # predicts the first answer token
    added = residual_contributions(run, nodes)
    for row, node, one in zip(found, nodes, added, strict=True):
        token = node.position - first
        if token >= 0:
            logits = model.linear_logits(one, stream[:, node.position])
            row[:, token] = pick(logits, answers[:, token])
            if others is not None:
                row[:, token] -= pick(logits, others[:, token])
    return found


def patch_paths(paths: Sequence[tuple[NodeSet, NodeSet]]) -> Patching:
    """Return the patching of paths: senders and receivers of each patched run.

    Senders are heads and MLPs.  Receivers are queries, keys and values of heads
    (`P18L1Q0`), MLPs, and the residual stream; after the last layer, it stands for the
    logits.  A receiver is computed from the residual stream of the base run, in which
    the outputs of the senders at its position are those of the source run; this needs
    no pass through the network.  Everything after the receivers is then computed.
    Raises InputError for other nodes, and if no sender of a path is below a receiver
    at its position.
    """
    for senders, receivers in paths:
        _check_kinds("sender", senders, SENDERS)
        _check_kinds("receiver", receivers, RECEIVERS)
        if not any(_feeds(one, other) for one in senders for other in receivers):
            raise InputError(
                f"no path from {', '.join(node.name for node in senders)} to "
                f"{', '.join(node.name for node in receivers)}: a sender must be at "
                "the position of a receiver, and below it"
            )

    @torch.inference_mode()
    def patching(base: PatchableRun, source: PatchableRun) -> list[Patches]:
        model = _pre_norm(base)
        nodes = list(dict.fromkeys(node for senders, _ in paths for node in senders))
        new, old = (residual_contributions(run, nodes) for run in (source, base))
        changes = dict(zip(nodes, new - old, strict=True))
        hooks = {_stream(model, node) for _, receivers in paths for node in receivers}
        streams = base.activations(*sorted(hooks))

        def receive(node: Node, senders: NodeSet) -> Patch:
            x = streams[_stream(model, node)][:, node.position]  # [Q, D]
            x = sum((changes[one] for one in senders if _feeds(one, node)), x)
            if node.kind != RESIDUAL:
                x = model.compute(node.hook_name, x[:, None])[:, 0]
            value = x[:, node.index] if node.has_heads else x
            hook, index = node.hook_name, node.head_index
            return Patch(hook, node.layer, node.position, index, value)

        return [
            [receive(node, senders) for node in receivers]
            for senders, receivers in paths
        ]

    return patching


def _pre_norm(run: PatchableRun) -> PreNormNetwork:
    model = run.model
    if not isinstance(model, PreNormNetwork):
        raise InputError(
            f"direct effects are not defined for {type(model).__name__}: it normalises "
            "the residual stream after every sub-layer"
        )
    return model


def _check_kinds(role: str, nodes: NodeSet, kinds: Mapping[str, int]) -> None:
    for node in nodes:
        if node.kind not in kinds:
            raise InputError(
                f"{node.name} cannot be a {role} of a path; kinds of {role}s are "
                f"{', '.join(kinds)}"
            )


def _feeds(sender: Node, receiver: Node) -> bool:
    """Return whether a sender is below a receiver, at the same position."""
    below = (sender.layer, SENDERS[sender.kind])
    above = (receiver.layer, RECEIVERS[receiver.kind])
    return sender.position == receiver.position and below < above


def _stream(model: PreNormNetwork, receiver: Node) -> str:
    """Return the hook point of the residual stream that a receiver reads."""
    hook = receiver.hook_name
    return hook if receiver.kind == RESIDUAL else model.residual_input(hook)
