"""The decoder of Quirke, Neo, Barez 2024.  B: batch, T: tokens, H: heads, D: width.

Source: the published code, which is built on TransformerLens and gives its names to the
taps: pre-norm layers, ReLU, learned positions, biases everywhere, an output layer that
is not tied to the token table.  The heads need not fill the width: 4 heads of width 170
stand in a network of width 510.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn

from mathprobe.nets.hooks import HookPoint
from mathprobe.nets.layers import KeyValues, module_list
from mathprobe.spec import DecoderConfig

NORM_EPSILON = 1e-5
INITIAL_SCALE = 0.8  # of weights, times D^-1/2


class CausalAttention(nn.Module):
    """Multi-head attention to the tokens so far; heads have a width of their own."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = head_width**-0.5
        self.query_key_value = nn.Linear(width, 3 * heads * head_width)
        self.hook_q, self.hook_k, self.hook_v = (
            HookPoint(),
            HookPoint(),
            HookPoint(),
        )  # [B, T, H, D_h]
        self.hook_pattern = HookPoint()  # [B, H, T, T], queries before keys
        self.hook_z = HookPoint()  # [B, T, H, D_h]
        self.out = nn.Linear(heads * head_width, width)

    def forward(
        self, x: Tensor, later: Tensor, before: KeyValues | None = None
    ) -> Tensor:
        """Return the residual stream after the layer, [B, T, D] as x."""
        """Attend from x [B, T, D], and to what is before, but not where later is true.

        Keys and values [B, S, H, D_h] of the tokens before may be given; later has
        the shape [T, S + T].
        """
        projected = self.query_key_value(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.unbind(-3)
        query, key = self.hook_q(query), self.hook_k(key)
        value = self.hook_v(value)
        if before is not None:
            key = torch.cat([before.keys, key], dim=1)
            value = torch.cat([before.values, value], dim=1)
        scores = query.transpose(1, 2) @ key.permute(0, 2, 3, 1) * self.scale
        scores = scores.masked_fill(later, -torch.inf)
        pattern = self.hook_pattern(scores.softmax(-1))
        seen = self.hook_z((pattern @ value.transpose(1, 2)).transpose(1, 2))
        return self.out(seen.flatten(2))


class FeedForward(nn.Sequential):
    """One hidden layer of four times the width, with ReLU."""

    enter: nn.Linear
    leave: nn.Linear

    def __init__(self, width: int) -> None:
        super().__init__(
            OrderedDict(
                enter=nn.Linear(width, 4 * width),
                hook_pre=HookPoint(),
                relu=nn.ReLU(),
                hook_post=HookPoint(),
                leave=nn.Linear(4 * width, width),
            )
        )


def norm(width: int) -> nn.LayerNorm:
    """Build the layer norm of all layers."""
    return nn.LayerNorm(width, eps=NORM_EPSILON)


class Block(nn.Module):
    """Attention, then feed-forward; each reads a norm and adds to what it read."""

    def __init__(self, stack: DecoderConfig) -> None:
        super().__init__()
        self.hook_resid_pre = HookPoint()
        self.ln1 = norm(stack.width)
        self.attn = CausalAttention(stack.width, stack.heads, stack.head_width)
        self.hook_attn_out, self.hook_resid_mid = HookPoint(), HookPoint()
        self.ln2 = norm(stack.width)
        self.mlp = FeedForward(stack.width)
        self.hook_mlp_out, self.hook_resid_post = HookPoint(), HookPoint()

    def forward(
        self, x: Tensor, later: Tensor, before: KeyValues | None = None
    ) -> Tensor:
        """Return the residual stream after the layer, [B, T, D] as x."""
        x = self.hook_resid_pre(x)
        seen = self.attn(self.ln1(x), later, before)
        x = self.hook_resid_mid(x + self.hook_attn_out(seen))
        return self.hook_resid_post(x + self.hook_mlp_out(self.mlp(self.ln2(x))))


class Decoder(nn.Module):
    """A stack of blocks that scores the next token."""

    def __init__(self, stack: DecoderConfig, words: int, length: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(words, stack.width)
        self.positions = nn.Embedding(length, stack.width)
        self.hook_embed, self.hook_pos_embed = HookPoint(), HookPoint()
        self.blocks = module_list(Block(stack) for _ in range(stack.layers))
        self.ln_final = norm(stack.width)
        self.unembed = nn.Linear(stack.width, words)
        self.apply(_initialise(INITIAL_SCALE * stack.width**-0.5))

    def forward(self, ids: Tensor, before: Sequence[KeyValues] = ()) -> Tensor:
        """Score the token after each prefix of ids [B, T]: logits [B, T, V].

        Where ids continue others, keys and values of those are given, layer by layer.
        """
        start = before[0].keys.shape[1] if before else 0
        end = start + ids.shape[1]
        places = self.hook_pos_embed(self.positions.weight[start:end])
        return self.forward_from(self.hook_embed(self.tokens(ids)) + places, before)

    def forward_from(
        self, x: Tensor, before: Sequence[KeyValues] = (), first: int = 0
    ) -> Tensor:
        """Score [B, T, V] from what enters a block [B, T, D], as `forward` goes on.

        Keys and values of what is before are those of this block and all above.
        """
        start = before[0].keys.shape[1] if before else 0
        end = start + x.shape[1]
        later = torch.ones(end, end, dtype=torch.bool, device=x.device).triu(1)
        for block, known in zip_longest(self.blocks[first:], before):
            x = block(x, later[start:], known)
        return self.unembed(self.ln_final(x))


def _initialise(deviation: float) -> Callable[[nn.Module], None]:
    """Draw every weight matrix from one normal distribution; biases are 0."""

    def fill(part: nn.Module) -> None:
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=deviation)
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)

    return fill
