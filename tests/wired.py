"""Decoders wired by hand, whose circuit is known.  n: digits, W: 100 a + 10 b + c.

At the position that predicts A_k, heads read the columns k, k-1 and k-2 and write W,
made of their sums (or differences) a, b and c; the feed-forward layer writes the digit
floor(W / 100) mod 10, which is A_k unless a carry comes from a lower column still.
Nothing else is computed: `+`, the sign, is known from its position, and so is the 0
that every difference begins with.

    addition      heads 0, 1, 2 each read both digits of a column
    subtraction   heads 0, 2, 4 read the first number, 1, 3, 5 the second
"""

import torch

from mathprobe.arith.tokens import PLUS, VOCABULARY, Layout
from mathprobe.nets.decoder import NORM_EPSILON, Decoder
from mathprobe.spec import DecoderStack

SMALL = 1e-6  # of W in the residual stream, so that norms do not feel it
CERTAIN = 1e4  # scores, so that a softmax is uniform over what is chosen
DIGITS = 10


def reads(operation):
    """List what every head reads: sides, columns below k, factor of W."""
    columns = [(0, 100.0), (1, 10.0), (2, 1.0)]
    if operation == "addition":
        return [(("D", "D'"), below, 2 * factor) for below, factor in columns]
    sides = [("D", 1.0), ("D'", -1.0)]
    return [((s,), below, sign * f) for below, f in columns for s, sign in sides]


def wired(operation, n):
    """Build the decoder in double precision."""
    layout = Layout(n)
    length, words = layout.length, len(VOCABULARY)
    heads = reads(operation)
    width = length + words + 2 + DIGITS
    stack = DecoderStack(1, width, len(heads), length + 1)
    model = Decoder(stack, words, length).double()
    at_token, at_sum = length, length + words
    at_digit = at_sum + 2
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :length] = torch.eye(length)
        model.tokens.weight[:, at_token:at_sum] = torch.eye(words)
        block = model.blocks[0]
        for norm in (block.ln1, block.ln2):
            undo(norm, width)
        model.ln_final.weight.fill_(1.0)
        top = n if operation == "addition" else n - 1
        wire_heads(block.attn, layout, heads, top, at_token, at_sum)
        wire_mlp(block.mlp, operation, at_sum, at_digit)
        model.unembed.weight[:DIGITS, at_digit:] = torch.eye(DIGITS)
        model.unembed.weight[PLUS, layout.position("=")] = 100.0
    return model.eval()


def undo(norm, width):
    """Let a norm give back what it reads, where that is 1 twice and else 0."""
    mean = 2 / width
    norm.weight.fill_((mean - mean**2 + NORM_EPSILON) ** 0.5)
    norm.bias.fill_(mean)


def wire_heads(attention, layout, heads, top, at_token, at_sum):
    """Make heads read for A_top and lower, or the operator where nothing is there."""
    length = layout.length
    weight = attention.query_key_value.weight.unflatten(0, (3, len(heads), -1))
    query, key, value = weight
    out = attention.out.weight.unflatten(1, (len(heads), -1))
    names = layout.names
    asked = {layout.position(f"A{k}") - 1: k for k in range(top + 1)}
    for head, (sides, below, factor) in enumerate(heads):
        for here in range(layout.digits, length):
            sources = []
            if here in asked:
                column = asked[here] - below
                sources = [name for s in sides if (name := f"{s}{column}") in names]
            for source in sources or ["OPR"]:
                query[head, layout.position(source), here] = CERTAIN * length
        key[head, :length, :length] = torch.eye(length)
        value[head, length, at_token : at_token + DIGITS] = torch.arange(10.0)
        out[at_sum, head, length] = SMALL * factor
        out[at_sum + 1, head, length] = -SMALL * factor


def wire_mlp(mlp, operation, at_sum, at_digit):
    """Make the layer write floor(W / 100) mod 10 as one of ten."""
    lowest, highest = (0, 19) if operation == "addition" else (-10, 9)
    mlp.leave.bias[at_digit + lowest % 10] = 1.0
    for step in range(lowest + 1, highest + 1):
        for neuron, (shift, sign) in enumerate([(1.0, 1.0), (0.0, -1.0)]):
            row = 2 * (step - lowest) + neuron
            mlp.enter.weight[row, at_sum] = 1 / SMALL
            mlp.enter.bias[row] = shift - 100.0 * step
            mlp.leave.weight[at_digit + step % 10, row] += sign
            mlp.leave.weight[at_digit + (step - 1) % 10, row] -= sign
