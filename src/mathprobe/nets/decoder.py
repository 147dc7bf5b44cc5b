"""The decoder of Quirke, Neo, Barez 2024.  B: batch, T: tokens, H: heads, D: width.

Source: the published code, which uses TransformerLens; the hook points have the same
names.  Pre-norm layers, ReLU, learned positions, biases everywhere; the output layer
shares no weights with the token embedding.  The total width of the heads may differ
from D: the networks of width 510 may have 4 heads of width 170.  Decoders trained
elsewhere may have other activations and norms, or no MLPs (`nets.lens`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor, nn

from mathprobe.nets.hooks import HookPoint, capture
from mathprobe.nets.layers import KeyValues, module_list
from mathprobe.registry import Registry
from mathprobe.spec import DecoderConfig

Norm = nn.LayerNorm | nn.RMSNorm | nn.Identity
INITIAL_SCALE = 0.8  # standard deviation of initial weights, in units of D^-1/2
# Names as in TransformerLens, whose last three differ only in rounding errors.
ACTIVATIONS: Registry[Callable[[], nn.Module]] = Registry("activation")
ACTIVATIONS.add("relu")(nn.ReLU)
ACTIVATIONS.add("silu")(nn.SiLU)
ACTIVATIONS.add("gelu")(nn.GELU)
for _name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"):
    ACTIVATIONS.add(_name)(partial(nn.GELU, "tanh"))


class CausalAttention(nn.Module):
    """Causal multi-head attention; the width D_h of a head is independent of D."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.heads, divisor = config.heads, config.attention_scale
        self.scale = 1.0 / divisor if divisor else config.head_width**-0.5
        inner = config.heads * config.head_width
        self.query_key_value = nn.Linear(config.width, 3 * inner)
        self.hook_q = HookPoint()  # [B, Q, H, D_h]
        self.hook_k = HookPoint()  # [B, T, H, D_h]
        self.hook_v = HookPoint()  # [B, T, H, D_h]
        self.hook_attn_scores = HookPoint()  # [B, H, Q, S + T]: query, key
        self.hook_pattern = HookPoint()  # [B, H, Q, S + T]
        self.hook_z = HookPoint()  # [B, Q, H, D_h]
        self.out = nn.Linear(inner, config.width)

    def forward(
        self, x: Tensor, masked: Tensor, kv_cache: KeyValues | None = None
    ) -> Tensor:
        """Return the attention output [B, Q, D] of the last Q tokens of x [B, T, D].

        `masked` [Q, S + T] is true for the tokens that must not be attended to.
        `kv_cache` contains keys and values of the S tokens before x; those of x are
        written after them.
        """
        projected = self.query_key_value(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.unbind(-3)
        queries, end = masked.shape
        query, key = self.hook_q(_last(query, queries)), self.hook_k(key)
        value = self.hook_v(value)
        if kv_cache is not None:
            new = KeyValues(key, value)
            key, value = kv_cache.write(new, end - x.shape[1])
        scores = query.transpose(1, 2) @ key.permute(0, 2, 3, 1) * self.scale
        scores = self.hook_attn_scores(scores.masked_fill(masked, -torch.inf))
        pattern = self.hook_pattern(scores.softmax(-1))
        z = self.hook_z((pattern @ value.transpose(1, 2)).transpose(1, 2))
        return self.out(z.flatten(2))

    @property
    def output_weights(self) -> Tensor:
        """Return the matrices [H, D_h, D] from `hook_z` to the residual stream."""
        return self.out.weight.T.unflatten(0, (self.heads, -1))


def _last(x: Tensor, count: int) -> Tensor:
    """Return the last `count` tokens of x [B, T, ...]."""
    return x[:, x.shape[1] - count :]


class FeedForward(nn.Sequential):
    """Feed-forward block with one hidden layer, whose default width is 4 D."""

    enter: nn.Linear
    leave: nn.Linear

    def __init__(self, config: DecoderConfig) -> None:
        hidden = config.mlp_width or 4 * config.width
        super().__init__(
            OrderedDict(
                enter=nn.Linear(config.width, hidden),
                hook_pre=HookPoint(),
                activation=ACTIVATIONS[config.activation](),
                hook_post=HookPoint(),
                leave=nn.Linear(hidden, config.width),
            )
        )

    @property
    def output_weights(self) -> Tensor:
        """Return the matrix [w, D] from `hook_post` to the residual stream."""
        return self.leave.weight.T


def norm(config: DecoderConfig) -> Norm:
    """Return a norm layer; the identity if the decoder has no norms."""
    if config.norm is None:
        return nn.Identity()
    kind = nn.LayerNorm if config.norm.startswith("LN") else nn.RMSNorm
    has_weights = not config.norm.endswith("Pre")
    return kind(config.width, config.norm_epsilon, elementwise_affine=has_weights)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to the residual stream."""

    mlp: FeedForward  # missing if `has_mlp` is false, like its norm and hook points

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.has_mlp = config.mlp_width != 0
        self.hook_resid_pre = HookPoint()
        self.ln1, self.attn = norm(config), CausalAttention(config)
        self.hook_attn_out = HookPoint()
        if self.has_mlp:
            self.hook_resid_mid = HookPoint()
            self.ln2, self.mlp = norm(config), FeedForward(config)
            self.hook_mlp_out = HookPoint()
        self.hook_resid_post = HookPoint()

    def forward(
        self, x: Tensor, masked: Tensor, kv_cache: KeyValues | None = None
    ) -> Tensor:
        """Return the residual stream [B, Q, D] after the layer, for x [B, T, D].

        `masked` and `kv_cache` are those of `CausalAttention`.
        """
        x = self.hook_resid_pre(x)
        attended = self.hook_attn_out(self.attn(self.ln1(x), masked, kv_cache))
        x = _last(x, len(masked)) + attended
        if self.has_mlp:
            x = self.hook_resid_mid(x)
            x = x + self.hook_mlp_out(self.mlp(self.ln2(x)))
        return self.hook_resid_post(x)


class Decoder(nn.Module):
    """Decoder-only transformer.  V: tokens, or `output_vocab_size` of its output."""

    later: Tensor

    def __init__(self, config: DecoderConfig, vocab_size: int, max_length: int) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(vocab_size, config.width)
        self.positions = nn.Embedding(max_length, config.width)
        self.hook_embed, self.hook_pos_embed = HookPoint(), HookPoint()
        self.blocks = module_list(Block(config) for _ in range(config.layers))
        self.ln_final = norm(config)
        self.unembed = nn.Linear(config.width, config.output_vocab_size or vocab_size)
        later = torch.ones(max_length, max_length, dtype=torch.bool).triu(1)
        self.register_buffer("later", later, persistent=False)  # query, key
        self.apply(_initialise(INITIAL_SCALE * config.width**-0.5))

    def forward(
        self,
        ids: Tensor,
        kv_cache: Sequence[KeyValues] = (),
        start: int = 0,
        output_from: int = 0,
    ) -> Tensor:
        """Return the logits [B, T, V] of the next token after each prefix of `ids`.

        Parameters
        ----------
        ids
            Token ids [B, T].
        kv_cache
            One entry per layer, with room for all tokens.  It contains the keys and
            values of the tokens before `ids`; those of `ids` are added.
        start
            Position of the first token of `ids`.
        output_from
            First position whose logits are returned.
        """
        positions = self.positions.weight[start : start + ids.shape[1]]
        x = self.hook_embed(self.tokens(ids)) + self.hook_pos_embed(positions)
        top = len(self.blocks) - 1
        for layer, cache in zip_longest(range(top + 1), kv_cache):
            x = self.layer(layer, x, cache, start, output_from if layer == top else 0)
        return self.logits(x)

    def layer(
        self,
        number: int,
        x: Tensor,
        kv_cache: KeyValues | None = None,
        start: int = 0,
        output_from: int = 0,
    ) -> Tensor:
        """Return the residual stream after a layer, for its input x [B, T, D].

        The arguments are those of `forward`.  The result [B, Q, D] begins at position
        `output_from` if x begins before it.
        """
        end = start + x.shape[1]
        masked = self.later[max(start, min(output_from, end)) : end, :end]
        return self.blocks[number](x, masked, kv_cache)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits [B, T, V] for the residual stream [B, T, D] at the end."""
        return self.unembed(self.ln_final(x))

    def output_weights(self, hook_name: str) -> Tensor:
        """Return the matrices from an activation to the residual stream.

        The shape is [H, D_h, D] for `attn.hook_z` and [w, D] for `mlp.hook_post`.
        """
        part: CausalAttention | FeedForward
        part = self.get_submodule(hook_name.rpartition(".")[0])  # type: ignore[assignment]
        return part.output_weights

    def linear_logits(self, added: Tensor, x: Tensor) -> Tensor:
        """Return what `added` [..., D], a part of x [..., D], adds to the logits.

        The scale of the final norm is that of x, as in TransformerLens.
        """
        norm = self.ln_final
        if isinstance(norm, nn.LayerNorm):
            added, x = (y - y.mean(-1, keepdim=True) for y in (added, x))
        if not isinstance(norm, nn.Identity):
            square = x.square().mean(-1, keepdim=True) + self.config.norm_epsilon
            added = added * square.rsqrt()
            added = added if norm.weight is None else added * norm.weight
        return added @ self.unembed.weight.T

    def residual_input(self, hook_name: str) -> str:
        """Return the hook point of the residual stream that a hook point depends on."""
        layer, _, part = hook_name.rpartition(".")[0].rpartition(".")
        return f"{layer}.hook_resid_{'mid' if part == 'mlp' else 'pre'}"

    def compute(self, hook_name: str, x: Tensor) -> Tensor:
        """Return an activation [B, T, ...] for the residual stream x [B, T, D].

        Positions are computed independently: x is the input of attention for its
        queries, keys and values, or that of the MLP.
        """
        _, layer, part, _ = hook_name.split(".")
        block, tokens = self.blocks[int(layer)], x.flatten(0, 1)[:, None]
        with capture(self, hook_name) as found:
            if part == "mlp":
                block.mlp(block.ln2(tokens))
            else:
                block.attn(block.ln1(tokens), self.later[:1, :1])
        return found[hook_name][:, 0].unflatten(0, x.shape[:2])


def _initialise(std: float) -> Callable[[nn.Module], None]:
    """Return a function that initialises a layer: normal weights, zero biases."""

    def initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    return initialise
