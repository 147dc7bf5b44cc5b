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

A cascade has two layers and follows carries from any column.  At D'_k heads read column
k, and the layer tells its state: 1 where it carries, -1 where it stops a carry, 0 where
it hands one on (of a difference, its sign).  Above, heads read column k itself, and one
head for each lower column its state, worth more than all states below it together:
W is 2^(n+1) a + 2^(k-1) state_(k-1) + ... + state_0.
"""

from dataclasses import dataclass

import torch

from mathprobe.arith.tokens import MINUS, PLUS, VOCABULARY, Layout
from mathprobe.nets.decoder import NORM_EPSILON, Decoder
from mathprobe.spec import DecoderConfig

SMALL = 1e-6  # of W in the residual stream, so that norms do not feel it
CERTAIN = 1e4  # scores, so that a softmax is uniform over what is chosen
DIGITS = 10
SILENT = 5000.0  # takes any W below 0; a mean of half of it, to another digit
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
        """Tell where one of all words stands, after one of all positions."""
        return self.layout.length

    @property
    def sums(self):
        """Tell where the parts of W from each number stand, in pairs."""
        start = self.token + len(VOCABULARY)
        return start, start + 2

    @property
    def flags(self):
        """Tell where it stands that the sign is `-`, and the operator `+`, in pairs."""
        return self.sums[1] + 2, self.sums[1] + 4

    @property
    def state(self):
        """Tell where a column's state stands in a cascade, which has no flags."""
        return self.flags[0]

    @property
    def negative(self):
        """Tell where it stands that the sign will be `-`."""
        return self.flags[1] + 2

    @property
    def digit(self):
        """Tell where one of ten digits stands."""
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
        asked = {self.layout.position(f"A{k}") - 1: k for k in range(top + 1)}
        if self.is_mixed:
            asked[self.layout.position("=")] = top - 1
        return asked


def wired(operation, n):
    """Build the decoder in double precision."""
    wiring = Wiring(operation, Layout(n))
    model = blank(wiring, 1, len(wiring.reads) + 2 * wiring.is_mixed)
    with torch.no_grad():
        (block,) = model.blocks
        wire_columns(block.attn, wiring, wiring.asked, wiring.reads)
        wire_digits(block.mlp, wiring, 100.0)
        if wiring.is_mixed:
            wire_flags(block.attn, wiring)
            wire_sign(block.mlp, wiring)
            model.unembed.weight[MINUS, wiring.layout.position("=")] = 50.0
            model.unembed.weight[MINUS, wiring.negative] = 100.0
    return model.eval()


def cascade(operation, n):
    """Build one that is right whatever carries come, in double precision."""
    wiring = Wiring(operation, Layout(n))
    reads = [(sides, 0, f / 100, i) for sides, below, f, i in wiring.reads if not below]
    unit = 2.0 ** (n + 1)
    more = [(sides, 0, unit * factor, i) for sides, _, factor, i in reads]
    told = {wiring.layout.position(f"D'{k}"): k for k in range(n)}
    model = blank(wiring, 2, len(reads) + n)
    with torch.no_grad():
        first, second = model.blocks
        wire_columns(first.attn, wiring, told, reads)
        wire_states(first.mlp, wiring, list(told))
        wire_columns(second.attn, wiring, wiring.asked, more)
        wire_carries(second.attn, wiring, len(reads))
        wire_digits(second.mlp, wiring, unit, (unit - 1) * (operation == "addition"))
    return model.eval()


def blank(wiring, layers, heads):
    """Build a decoder that knows where it is and what it reads, and nothing else."""
    length, words, width = wiring.token, len(VOCABULARY), wiring.width
    stack = DecoderConfig(
        layers=layers, width=width, heads=heads, head_width=length + 1
    )
    model = Decoder(stack, words, length).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :length] = torch.eye(length)
        model.tokens.weight[:, wiring.token : wiring.token + words] = torch.eye(words)
        for block in model.blocks:
            undo(block.ln1, width)
            undo(block.ln2, width)
        model.ln_final.weight.fill_(1.0)
        model.unembed.weight[:DIGITS, wiring.digit :] = torch.eye(DIGITS)
        model.unembed.weight[PLUS, wiring.layout.position("=")] = 100.0
    return model


def undo(norm, width):
    """Let a norm give back what it reads, where that is 1 twice and else 0."""
    mean = 2 / width
    norm.weight.fill_((mean - mean**2 + NORM_EPSILON) ** 0.5)
    norm.bias.fill_(mean)


def wire(attention, head, here, source, worth, place):
    """Make a head look from here to a source and write, small, what is worth what."""
    heads = attention.heads
    weight = attention.query_key_value.weight.unflatten(0, (3, heads, -1))
    query, key, value = weight
    length = key.shape[1] - 1
    key[head, :length, :length] = torch.eye(length)
    query[head, source, here] = CERTAIN * length
    for known, factor in worth.items():
        value[head, length, known] = factor
    out = attention.out.weight.unflatten(1, (heads, -1))
    out[place : place + 2, head, length] = torch.tensor([SMALL, -SMALL])


def wire_columns(attention, wiring, columns, reads):
    """Make heads read a column, or the operator where nothing is there."""
    layout = wiring.layout
    for head, (sides, below, factor, number) in enumerate(reads):
        worth = {wiring.token + digit: factor * digit for digit in range(DIGITS)}
        for here in range(layout.digits, layout.length):
            names = [f"{s}{columns[here] - below}" for s in sides if here in columns]
            known = [name for name in names if name in layout.names] or ["OPR"]
            for source in map(layout.position, known):
                wire(attention, head, here, source, worth, wiring.sums[number])


def wire_carries(attention, wiring, before):
    """Make heads add up the states of lower columns, each worth all those below it."""
    layout, state = wiring.layout, wiring.state
    for k in range(layout.digits):
        worth = {state: 0.5 * 2.0**k / SMALL, state + 1: -0.5 * 2.0**k / SMALL}
        for here in range(layout.digits, layout.length):
            source = f"D'{k}" if k < wiring.asked.get(here, 0) else "OPR"
            place = layout.position(source)
            wire(attention, before + k, here, place, worth, wiring.sums[0])


def wire_flags(attention, wiring):
    """Make the last heads read the sign and the operator."""
    (sign, operator), layout = wiring.flags, wiring.layout
    written, minus = layout.position("=") + 1, {wiring.token + MINUS: 1.0}
    wire(attention, -2, slice(written), layout.position("D0"), minus, sign)
    wire(attention, -2, slice(written, None), written, minus, sign)
    plus = {wiring.token + PLUS: 1.0}
    wire(attention, -1, slice(None), layout.position("OPR"), plus, operator)


def pair(factor):
    """Weigh what is small, and stands there twice, once with the other sign."""
    return torch.tensor([0.5, -0.5]) * factor / SMALL


def silence(mlp, row, wiring, needs):
    """Let a neuron say nothing unless each flag is as it needs it, if it does."""
    for place, need in zip(wiring.flags, needs, strict=False):
        if need is not None:
            mlp.enter.weight[row, place : place + 2] = pair(SILENT if need else -SILENT)
            mlp.enter.bias[row] -= SILENT * need


def wire_digits(mlp, wiring, unit, offset=0.0):
    """Make the layer write floor((W + offset) / unit) mod 10 as one of ten."""
    mlp.leave.bias[wiring.digit] = 1.0
    row = 0
    for factors, needs in MODES[wiring.operation]:
        lowest = 0 if min(factors) > 0 else -10
        for step in range(lowest + 1, lowest + 20):
            for shift, slope in [(1.0, 1.0), (0.0, -1.0)]:
                wire_sum(mlp, row, wiring, factors)
                mlp.enter.bias[row] = shift + offset - unit * step
                silence(mlp, row, wiring, needs)
                mlp.leave.weight[wiring.digit + step % 10, row] += slope
                mlp.leave.weight[wiring.digit + (step - 1) % 10, row] -= slope
                row += 1


def wire_sum(mlp, row, wiring, factors):
    """Let a neuron read what the numbers give, each with a factor."""
    for place, factor in zip(wiring.sums, factors, strict=True):
        mlp.enter.weight[row, place : place + 2] = pair(factor)


def wire_states(mlp, wiring, places):
    """Make the layer tell at some places whether a column carries (1), or stops (-1).

    Of a subtraction, whether it is positive or negative.
    """
    ((factors, _),) = MODES[wiring.operation]
    middle = 9.0 if wiring.operation == "addition" else 0.0
    state = wiring.state
    steps = [(1, 0, 1), (1, -1, -1), (-1, 0, -1), (-1, -1, 1)]
    for row, (sign, shift, slope) in enumerate(steps):
        wire_sum(mlp, row, wiring, [sign * factor for factor in factors])
        mlp.enter.weight[row, places] = SILENT
        mlp.enter.bias[row] = shift - sign * middle - SILENT
        mlp.leave.weight[state, row] = slope * SMALL
        mlp.leave.weight[state + 1, row] = -slope * SMALL


def wire_sign(mlp, wiring):
    """Make the layer tell, where the sign is predicted, whether W is negative."""
    for row, (shift, slope) in zip((-1, -2), [(0.0, 1.0), (-1.0, -1.0)], strict=True):
        wire_sum(mlp, row, wiring, (-1.0, 1.0))
        mlp.enter.weight[row, wiring.layout.position("=")] = SILENT
        mlp.enter.bias[row] = shift - SILENT
        silence(mlp, row, wiring, (None, False))
        mlp.leave.weight[wiring.negative, row] = slope
