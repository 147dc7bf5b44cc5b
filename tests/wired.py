"""Decoders wired by hand, whose circuit is known.  n: digits, W: 100 a + 10 b + c.

At the position that predicts A_k, heads read the columns k, k-1 and k-2 and write W,
made of their sums (or differences) a, b and c; the feed-forward layer writes the digit
floor(W / 100) mod 10, which is A_k unless a carry comes from a lower column still.
Nothing else is computed: `+`, the sign, is known from its position, and so is the 0
that every difference begins with.

    addition      heads 0, 1, 2 each read both digits of a column
    subtraction   heads 0, 2, 4 read the first number, 1, 3, 5 the second
    signed        the same, and answers may be negative: where the sign is predicted,
                  W is of the highest columns, and the layer tells whether it is
                  negative; head 6 reads the sign, by which the layer takes W or -W
"""

from dataclasses import dataclass

import torch

from mathprobe.arith.tokens import MINUS, PLUS, VOCABULARY, Layout
from mathprobe.nets.decoder import NORM_EPSILON, Decoder
from mathprobe.spec import DecoderStack

SMALL = 1e-6  # of W in the residual stream, so that norms do not feel it
CERTAIN = 1e4  # scores, so that a softmax is uniform over what is chosen
DIGITS = 10
SILENT = 3000.0  # takes any W below 0, and half of it to another digit
SIGNED = "signed"


@dataclass(frozen=True)
class Wiring:
    """What is built, and where in the residual stream what is known stands."""

    operation: str
    layout: Layout

    @property
    def token(self):
        """Begin one of all words, after one of all positions."""
        return self.layout.length

    @property
    def sum(self):
        """Begin W and -W."""
        return self.token + len(VOCABULARY)

    @property
    def minus(self):
        """Begin 1 and -1, times SMALL, where the sign was `-`."""
        return self.sum + 2

    @property
    def negative(self):
        """Hold 1 where the sign will be `-`."""
        return self.minus + 2

    @property
    def digit(self):
        """Begin one of ten digits."""
        return self.negative + 1

    @property
    def width(self):
        """Give the width of the residual stream."""
        return self.digit + DIGITS

    @property
    def reads(self):
        """List what every head but the last reads: sides, columns below k, factor."""
        columns = [(0, 100.0), (1, 10.0), (2, 1.0)]
        if self.operation == "addition":
            return [(("D", "D'"), below, 2 * factor) for below, factor in columns]
        sides = [("D", 1.0), ("D'", -1.0)]
        return [((s,), below, sign * f) for below, f in columns for s, sign in sides]

    @property
    def asked(self):
        """Give the column that W begins with at every position that needs it."""
        top = self.layout.digits - (self.operation != "addition")
        asked = {self.layout.predictor(f"A{k}"): k for k in range(top + 1)}
        if self.operation == SIGNED:
            asked[self.layout.position("=")] = top
        return asked


def wired(operation, n):
    """Build the decoder in double precision."""
    wiring = Wiring(operation, Layout(n))
    length, words, width = wiring.token, len(VOCABULARY), wiring.width
    heads = len(wiring.reads) + (operation == SIGNED)
    model = Decoder(DecoderStack(1, width, heads, length + 1), words, length).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :length] = torch.eye(length)
        model.tokens.weight[:, wiring.token : wiring.sum] = torch.eye(words)
        block = model.blocks[0]
        for norm in (block.ln1, block.ln2):
            undo(norm, width)
        model.ln_final.weight.fill_(1.0)
        wire_heads(block.attn, wiring)
        wire_digits(block.mlp, wiring)
        model.unembed.weight[:DIGITS, wiring.digit :] = torch.eye(DIGITS)
        equals = wiring.layout.position("=")
        model.unembed.weight[PLUS, equals] = 100.0
        if operation == SIGNED:
            wire_sign(block.mlp, wiring)
            model.unembed.weight[MINUS, equals] = 50.0
            model.unembed.weight[MINUS, wiring.negative] = 100.0
    return model.eval()


def undo(norm, width):
    """Let a norm give back what it reads, where that is 1 twice and else 0."""
    mean = 2 / width
    norm.weight.fill_((mean - mean**2 + NORM_EPSILON) ** 0.5)
    norm.bias.fill_(mean)


def wire_heads(attention, wiring):
    """Make heads read columns, or the operator where nothing is there; one the sign."""
    layout, length = wiring.layout, wiring.layout.length
    weight = attention.query_key_value.weight.unflatten(0, (3, attention.heads, -1))
    query, key, value = weight
    out = attention.out.weight.unflatten(1, (attention.heads, -1))
    key[:, :length, :length] = torch.eye(length)
    for head, (sides, below, factor) in enumerate(wiring.reads):
        for here in range(layout.digits, length):
            sources = []
            if here in wiring.asked:
                column = wiring.asked[here] - below
                names = [f"{side}{column}" for side in sides]
                sources = [name for name in names if name in layout.names]
            for source in sources or ["OPR"]:
                query[head, layout.position(source), here] = CERTAIN * length
        value[head, length, wiring.token : wiring.token + DIGITS] = torch.arange(10.0)
        out[wiring.sum, head, length] = SMALL * factor
        out[wiring.sum + 1, head, length] = -SMALL * factor
    if wiring.operation == SIGNED:
        sign = layout.position("=") + 1
        query[-1, sign, sign:] = CERTAIN * length
        query[-1, 0, :sign] = CERTAIN * length  # a digit
        value[-1, length, wiring.token + MINUS] = 1.0
        out[wiring.minus, -1, length] = SMALL
        out[wiring.minus + 1, -1, length] = -SMALL


def wire_digits(mlp, wiring):
    """Make the layer write floor(W / 100) mod 10, or of -W, as one of ten."""
    lowest, highest = (0, 19) if wiring.operation == "addition" else (-10, 9)
    mlp.leave.bias[wiring.digit + lowest % 10] = 1.0
    steps, row = range(lowest + 1, highest + 1), 0
    # What is small is told by a difference, which does not feel the norm at all.
    minus = torch.tensor([0.5, -0.5]) * SILENT / SMALL
    for sign in (1.0, -1.0) if wiring.operation == SIGNED else (1.0,):
        for step in steps:
            for shift, slope in [(1.0, 1.0), (0.0, -1.0)]:
                mlp.enter.weight[row, wiring.sum] = sign / SMALL
                mlp.enter.weight[row, wiring.minus : wiring.negative] = -sign * minus
                mlp.enter.bias[row] = shift - 100.0 * step - SILENT * (sign < 0)
                mlp.leave.weight[wiring.digit + step % 10, row] += slope
                mlp.leave.weight[wiring.digit + (step - 1) % 10, row] -= slope
                row += 1


def wire_sign(mlp, wiring):
    """Make the layer tell, where the sign is predicted, whether W is negative."""
    for row, (shift, slope) in zip((-1, -2), [(0.0, 1.0), (-1.0, -1.0)], strict=True):
        mlp.enter.weight[row, wiring.sum] = -1 / SMALL
        mlp.enter.weight[row, wiring.layout.position("=")] = SILENT
        mlp.enter.bias[row] = shift - SILENT
        mlp.leave.weight[wiring.negative, row] = slope
