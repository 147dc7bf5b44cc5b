"""Decoders wired by hand, whose circuit is known.  n: digits, W: 100 a + 10 b + c.

At the position that predicts A_k, heads read the columns k, k-1 and k-2 and write W,
made of their sums (or differences) a, b and c; the feed-forward layer writes the digit
floor(W / 100) mod 10, which is A_k unless a carry comes from a lower column still.
Nothing else is computed: `+`, the sign, is known from its position, and so is the 0
that every difference begins with.

    addition      heads 0, 1, 2 each read both digits of a column
    subtraction   heads 0, 2, 4 read the first number, 1, 3, 5 the second
    mixed         the same heads; answers may be negative: where the sign is predicted,
                  W is of the highest columns, and the layer tells whether it is
                  negative; head 6 reads the sign and head 7 the operator, by which the
                  layer adds, or subtracts one number from the other
"""

from dataclasses import dataclass

import torch

from mathprobe.arith.tokens import MINUS, PLUS, VOCABULARY, Layout
from mathprobe.nets.decoder import NORM_EPSILON, Decoder
from mathprobe.spec import DecoderStack

SMALL = 1e-6  # of W in the residual stream, so that norms do not feel it
CERTAIN = 1e4  # scores, so that a softmax is uniform over what is chosen
DIGITS = 10
SILENT = 5000.0  # takes any W below 0, and half of it to another digit
# What each number counts, and when: the sign is `-`, the operator is `+`.
MODES = {
    "addition": [((1.0, 1.0), ())],
    "subtraction": [((1.0, -1.0), ())],
    "mixed": [
        ((1.0, 1.0), (None, True)),
        ((1.0, -1.0), (False, False)),
        ((-1.0, 1.0), (True, False)),
    ],
}


@dataclass(frozen=True)
class Wiring:
    """What is built, and where in the residual stream what is known stands.

    What is small is told by a difference of two, which does not feel the norm at all.
    """

    operation: str
    layout: Layout

    @property
    def token(self):
        """Begin one of all words, after one of all positions."""
        return self.layout.length

    @property
    def sums(self):
        """Begin the parts of W that come from each number, in pairs."""
        start = self.token + len(VOCABULARY)
        return start, start + 2

    @property
    def flags(self):
        """Begin whether the sign is `-`, and whether the operator is `+`, in pairs."""
        return self.sums[1] + 2, self.sums[1] + 4

    @property
    def negative(self):
        """Hold 1 where the sign will be `-`."""
        return self.flags[1] + 2

    @property
    def digit(self):
        """Begin one of ten digits."""
        return self.negative + 1

    @property
    def width(self):
        """Give the width of the residual stream."""
        return self.digit + DIGITS

    @property
    def is_mixed(self):
        """Tell whether sign and operator are read."""
        return self.operation == "mixed"

    @property
    def reads(self):
        """List what heads read of numbers: sides, columns below k, factor, number."""
        columns = [(0, 100.0), (1, 10.0), (2, 1.0)]
        if self.operation == "addition":
            return [(("D", "D'"), below, 2 * factor, 0) for below, factor in columns]
        sides = list(enumerate(("D", "D'")))
        return [((s,), below, f, i) for below, f in columns for i, s in sides]

    @property
    def asked(self):
        """Give the column that W begins with at every position that needs it."""
        top = self.layout.digits - (self.operation == "subtraction")
        asked = {self.layout.predictor(f"A{k}"): k for k in range(top + 1)}
        if self.is_mixed:
            asked[self.layout.position("=")] = top - 1
        return asked


def wired(operation, n):
    """Build the decoder in double precision."""
    wiring = Wiring(operation, Layout(n))
    length, words, width = wiring.token, len(VOCABULARY), wiring.width
    heads = len(wiring.reads) + 2 * wiring.is_mixed
    model = Decoder(DecoderStack(1, width, heads, length + 1), words, length).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :length] = torch.eye(length)
        model.tokens.weight[:, wiring.token : wiring.token + words] = torch.eye(words)
        block = model.blocks[0]
        for norm in (block.ln1, block.ln2):
            undo(norm, width)
        model.ln_final.weight.fill_(1.0)
        wire_heads(block.attn, wiring)
        wire_digits(block.mlp, wiring)
        model.unembed.weight[:DIGITS, wiring.digit :] = torch.eye(DIGITS)
        equals = wiring.layout.position("=")
        model.unembed.weight[PLUS, equals] = 100.0
        if wiring.is_mixed:
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
    """Make heads read columns, or the operator where nothing is there; and signs."""
    layout, length = wiring.layout, wiring.layout.length
    weight = attention.query_key_value.weight.unflatten(0, (3, attention.heads, -1))
    query, key, value = weight
    out = attention.out.weight.unflatten(1, (attention.heads, -1))
    key[:, :length, :length] = torch.eye(length)

    def wire(head, source, here, tokens, place):
        query[head, layout.position(source), here] = CERTAIN * length
        for token, worth in tokens.items():
            value[head, length, wiring.token + token] = worth
        out[place : place + 2, head, length] = torch.tensor([SMALL, -SMALL])

    for head, (sides, below, factor, number) in enumerate(wiring.reads):
        digits = {digit: factor * digit for digit in range(DIGITS)}
        for here in range(layout.digits, length):
            sources = []
            if here in wiring.asked:
                column = wiring.asked[here] - below
                names = [f"{side}{column}" for side in sides]
                sources = [name for name in names if name in layout.names]
            for source in sources or ["OPR"]:
                wire(head, source, here, digits, wiring.sums[number])
    if wiring.is_mixed:
        sign, operator = wiring.flags
        written = layout.position("=") + 1
        wire(-2, "D0", slice(written), {MINUS: 1.0}, sign)
        wire(-2, f"A{layout.digits + 1}", slice(written, None), {MINUS: 1.0}, sign)
        wire(-1, "OPR", slice(None), {PLUS: 1.0}, operator)


def pair(factor):
    """Weigh what is small, and stands there twice, once with the other sign."""
    return torch.tensor([0.5, -0.5]) * factor / SMALL


def silence(mlp, row, wiring, needs):
    """Let a neuron say nothing unless each flag is as it needs it, if it does."""
    for place, need in zip(wiring.flags, needs, strict=False):
        if need is not None:
            mlp.enter.weight[row, place : place + 2] = pair(SILENT if need else -SILENT)
            mlp.enter.bias[row] -= SILENT * need


def wire_digits(mlp, wiring):
    """Make the layer write floor(W / 100) mod 10 as one of ten, in every mode."""
    mlp.leave.bias[wiring.digit] = 1.0
    row = 0
    for factors, needs in MODES[wiring.operation]:
        lowest = 0 if min(factors) > 0 else -10
        for step in range(lowest + 1, lowest + 20):
            for shift, slope in [(1.0, 1.0), (0.0, -1.0)]:
                for place, factor in zip(wiring.sums, factors, strict=True):
                    mlp.enter.weight[row, place : place + 2] = pair(factor)
                mlp.enter.bias[row] = shift - 100.0 * step
                silence(mlp, row, wiring, needs)
                mlp.leave.weight[wiring.digit + step % 10, row] += slope
                mlp.leave.weight[wiring.digit + (step - 1) % 10, row] -= slope
                row += 1


def wire_sign(mlp, wiring):
    """Make the layer tell, where the sign is predicted, whether W is negative."""
    first, second = wiring.sums
    for row, (shift, slope) in zip((-1, -2), [(0.0, 1.0), (-1.0, -1.0)], strict=True):
        mlp.enter.weight[row, first : first + 2] = pair(-1.0)
        mlp.enter.weight[row, second : second + 2] = pair(1.0)
        mlp.enter.weight[row, wiring.layout.position("=")] = SILENT
        mlp.enter.bias[row] = shift - SILENT
        silence(mlp, row, wiring, (None, False))
        mlp.leave.weight[wiring.negative, row] = slope
