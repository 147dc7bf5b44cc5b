"""Decoders with hand-set weights, whose circuit is known.  n: digits.

At the position that predicts A_k, heads read the columns k, k-1 and k-2.  They write
W = 100 a + 10 b + c, where a, b and c are the sums (or differences) of these columns.
The MLP writes the digit floor(W / 100) mod 10.  It equals A_k unless a carry into
column k-2 cascades to column k.  The sign `+` and the leading 0 of a difference depend
only on the position.

    addition      heads 0, 1, 2 each read both digits of a column
    subtraction   heads 0, 2, 4 read the first operand, 1, 3, 5 the second
    mixed         the same heads, and answers may be negative.  At the position that
                  predicts the sign, the heads read the highest columns, and the MLP
                  computes whether W is negative.  Head 6 reads the sign and head 7 the
                  operator.  They select whether the MLP adds, or which operand it
                  subtracts.

`cascade` has two layers and is exact for carries from any column.  In layer 0, at D'_k,
heads read column k and the MLP computes its carry state: 1 GENERATE, -1 KILL, 0
PROPAGATE (for a difference, its sign).  In layer 1, heads read column k again, and one
head per lower column reads its state.  The weight of a state exceeds the sum of all
lower weights: W = 2^(n+1) a + 2^(k-1) state_(k-1) + ... + state_0.

`gelu` has steep neurons, which are like ReLU, and one neuron that is not zero only with
GELU: it writes the sign.
"""

from dataclasses import dataclass

import torch
from msgspec import structs

from mathprobe.arith.tokens import MINUS, PLUS, VOCABULARY, Layout
from mathprobe.nets.decoder import Decoder
from mathprobe.spec import DecoderConfig

SMALL = 1e-6  # scale of W in the residual stream, so that norms ignore it
CERTAIN = 1e4  # attention score; the softmax is then uniform over the chosen tokens
DIGITS = 10
STEEP = 30.0  # factor of the inputs of neurons that GELU treats like ReLU
NEGATIVE = -0.75  # input for which GELU is about -0.17
# Bias that makes a neuron inactive for every W.  It is so large that half of it, as in
# mean ablation, also changes the digit.
INACTIVE = 5000.0
# Factors of both operands, and the required flags: sign is `-`, operator is `+`.
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
    """Indices of the variables in the residual stream.

    A small variable is stored as a pair of opposite values, so that the mean that a
    layer norm subtracts does not change.
    """

    operation: str
    layout: Layout

    @property
    def token(self):
        """Index of the one-hot token; the one-hot position comes before it."""
        return self.layout.length

    @property
    def sums(self):
        """Indices of the parts of W from each operand; each part is a pair."""
        start = self.token + len(VOCABULARY)
        return start, start + 2

    @property
    def flags(self):
        """Indices of the flags `sign is -` and `operator is +`; each is a pair."""
        return self.sums[1] + 2, self.sums[1] + 4

    @property
    def state(self):
        """Index of the carry state of a column in `cascade`; it replaces the flags."""
        return self.flags[0]

    @property
    def negative(self):
        """Index of the flag that the predicted sign is `-`."""
        return self.flags[1] + 2

    @property
    def digit(self):
        """Index of the one-hot digit."""
        return self.negative + 1

    @property
    def width(self):
        """Width of the residual stream."""
        return self.digit + DIGITS

    @property
    def is_mixed(self):
        """Whether heads read the sign and the operator."""
        return self.operation == "mixed"

    @property
    def reads(self):
        """Inputs of heads: operand names, columns below k, factor, operand index."""
        columns = [(0, 100.0), (1, 10.0), (2, 1.0)]
        if self.operation == "addition":
            return [(("D", "D'"), below, 2 * factor, 0) for below, factor in columns]
        sides = list(enumerate(("D", "D'")))
        return [((s,), below, f, i) for below, f in columns for i, s in sides]

    @property
    def highest_columns(self):
        """Highest column of W, by position; other positions do not need W."""
        top = self.layout.digits - (self.operation == "subtraction")
        columns = {self.layout.position(f"A{k}") - 1: k for k in range(top + 1)}
        if self.is_mixed:
            columns[self.layout.position("=")] = top - 1
        return columns


def wired(operation, n):
    """Build the decoder in double precision."""
    wiring = Wiring(operation, Layout(n))
    model = blank(wiring, 1, len(wiring.reads) + 2 * wiring.is_mixed)
    with torch.no_grad():
        (block,) = model.blocks
        wire_columns(block.attn, wiring, wiring.highest_columns, wiring.reads)
        wire_digits(block.mlp, wiring, 100.0)
        if wiring.is_mixed:
            wire_flags(block.attn, wiring)
            wire_sign(block.mlp, wiring)
            model.unembed.weight[MINUS, wiring.layout.position("=")] = 50.0
            model.unembed.weight[MINUS, wiring.negative] = 100.0
    return model.eval()


def cascade(operation, n):
    """Build a two-layer decoder that is exact for all carries, in double precision."""
    wiring = Wiring(operation, Layout(n))
    reads = [(sides, 0, f / 100, i) for sides, below, f, i in wiring.reads if not below]
    unit = 2.0 ** (n + 1)
    more = [(sides, 0, unit * factor, i) for sides, _, factor, i in reads]
    columns = {wiring.layout.position(f"D'{k}"): k for k in range(n)}
    model = blank(wiring, 2, len(reads) + n)
    with torch.no_grad():
        first, second = model.blocks
        wire_columns(first.attn, wiring, columns, reads)
        wire_states(first.mlp, wiring, list(columns))
        wire_columns(second.attn, wiring, wiring.highest_columns, more)
        wire_carries(second.attn, wiring, len(reads))
        wire_digits(second.mlp, wiring, unit, (unit - 1) * (operation == "addition"))
    return model.eval()


def gelu(operation, n):
    """Build `wired` with GELU, in double precision; not for mixed models."""
    wiring = Wiring(operation, Layout(n))
    model = with_activation(wired(operation, n), "gelu")
    with torch.no_grad():
        (block,), equals = model.blocks, wiring.layout.position("=")
        block.mlp.enter.weight *= STEEP
        block.mlp.enter.bias *= STEEP
        block.mlp.leave.weight /= STEEP
        block.mlp.enter.weight[-1, equals] = STEEP + NEGATIVE
        block.mlp.enter.bias[-1] = -STEEP
        block.mlp.leave.weight[wiring.negative, -1] = -1.0
        model.unembed.weight[PLUS, equals] = 0.0
        model.unembed.weight[PLUS, wiring.negative] = 1000.0
    return model.eval()


def with_activation(model, activation):
    """Return a decoder with the same weights and another activation."""
    config = structs.replace(model.config, activation=activation)
    sizes = model.tokens.num_embeddings, model.positions.num_embeddings
    other = Decoder(config, *sizes).to(model.unembed.weight)
    other.load_state_dict(model.state_dict())
    return other.eval()


def blank(wiring, layers, heads):
    """Build a decoder that embeds positions and tokens, and computes nothing else."""
    length, vocab_size, width = wiring.token, len(VOCABULARY), wiring.width
    stack = DecoderConfig(
        layers=layers, width=width, heads=heads, head_width=length + 1
    )
    model = Decoder(stack, vocab_size, length).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :length] = torch.eye(length)
        model.tokens.weight[:, wiring.token : wiring.token + vocab_size] = torch.eye(
            vocab_size
        )
        for block in model.blocks:
            make_identity(block.ln1, width)
            make_identity(block.ln2, width)
        model.ln_final.weight.fill_(1.0)
        model.unembed.weight[:DIGITS, wiring.digit :] = torch.eye(DIGITS)
        model.unembed.weight[PLUS, wiring.layout.position("=")] = 100.0
    return model


def make_identity(norm, width):
    """Make a layer norm the identity for inputs with two ones and zeros elsewhere."""
    mean = 2 / width
    norm.weight.fill_((mean - mean**2 + norm.eps) ** 0.5)
    norm.bias.fill_(mean)


def wire(attention, head, here, source, coefficients, place):
    """Make a head attend from `here` to `source`, and write a value at `place`.

    The value is SMALL times a weighted sum of the residual stream at the source.
    `coefficients` are the weights, by index.
    """
    heads = attention.heads
    weight = attention.query_key_value.weight.unflatten(0, (3, heads, -1))
    query, key, value = weight
    length = key.shape[1] - 1
    key[head, :length, :length] = torch.eye(length)
    query[head, source, here] = CERTAIN * length
    for known, factor in coefficients.items():
        value[head, length, known] = factor
    out = attention.out.weight.unflatten(1, (heads, -1))
    out[place : place + 2, head, length] = torch.tensor([SMALL, -SMALL])


def wire_columns(attention, wiring, columns, reads):
    """Make heads read a column, or the operator if the column does not exist."""
    layout = wiring.layout
    for head, (sides, below, factor, number) in enumerate(reads):
        coefficients = {wiring.token + digit: factor * digit for digit in range(DIGITS)}
        for here in range(layout.digits, layout.length):
            names = [f"{s}{columns[here] - below}" for s in sides if here in columns]
            known = [name for name in names if name in layout.names] or ["OPR"]
            for source in map(layout.position, known):
                wire(attention, head, here, source, coefficients, wiring.sums[number])


def wire_carries(attention, wiring, before):
    """Make heads sum the states of lower columns with weights 2^k."""
    layout, state = wiring.layout, wiring.state
    for k in range(layout.digits):
        coefficients = {state: 0.5 * 2.0**k / SMALL, state + 1: -0.5 * 2.0**k / SMALL}
        for here in range(layout.digits, layout.length):
            source = f"D'{k}" if k < wiring.highest_columns.get(here, 0) else "OPR"
            place = layout.position(source)
            wire(attention, before + k, here, place, coefficients, wiring.sums[0])


def wire_flags(attention, wiring):
    """Make the last heads read the sign and the operator."""
    (sign, operator), layout = wiring.flags, wiring.layout
    written, minus = layout.position("=") + 1, {wiring.token + MINUS: 1.0}
    wire(attention, -2, slice(written), layout.position("D0"), minus, sign)
    wire(attention, -2, slice(written, None), written, minus, sign)
    plus = {wiring.token + PLUS: 1.0}
    wire(attention, -1, slice(None), layout.position("OPR"), plus, operator)


def pair(factor):
    """Return the weights that read a pair of small opposite values."""
    return torch.tensor([0.5, -0.5]) * factor / SMALL


def deactivate(mlp, row, wiring, needs):
    """Make a neuron inactive unless each flag has the required value, if any."""
    for place, need in zip(wiring.flags, needs, strict=False):
        if need is not None:
            mlp.enter.weight[row, place : place + 2] = pair(
                INACTIVE if need else -INACTIVE
            )
            mlp.enter.bias[row] -= INACTIVE * need


def wire_digits(mlp, wiring, unit, offset=0.0):
    """Make the MLP write floor((W + offset) / unit) mod 10 as a one-hot digit."""
    mlp.leave.bias[wiring.digit] = 1.0
    row = 0
    for factors, needs in MODES[wiring.operation]:
        lowest = 0 if min(factors) > 0 else -10
        for step in range(lowest + 1, lowest + 20):
            for shift, slope in [(1.0, 1.0), (0.0, -1.0)]:
                wire_sum(mlp, row, wiring, factors)
                mlp.enter.bias[row] = shift + offset - unit * step
                deactivate(mlp, row, wiring, needs)
                mlp.leave.weight[wiring.digit + step % 10, row] += slope
                mlp.leave.weight[wiring.digit + (step - 1) % 10, row] -= slope
                row += 1


def wire_sum(mlp, row, wiring, factors):
    """Make a neuron read the parts of W from both operands, each with a factor."""
    for place, factor in zip(wiring.sums, factors, strict=True):
        mlp.enter.weight[row, place : place + 2] = pair(factor)


def wire_states(mlp, wiring, places):
    """Make the MLP write the carry states of columns at the positions `places`.

    For subtraction, they are the signs of the differences.
    """
    ((factors, _),) = MODES[wiring.operation]
    middle = 9.0 if wiring.operation == "addition" else 0.0
    state = wiring.state
    steps = [(1, 0, 1), (1, -1, -1), (-1, 0, -1), (-1, -1, 1)]
    for row, (sign, shift, slope) in enumerate(steps):
        wire_sum(mlp, row, wiring, [sign * factor for factor in factors])
        mlp.enter.weight[row, places] = INACTIVE
        mlp.enter.bias[row] = shift - sign * middle - INACTIVE
        mlp.leave.weight[state, row] = slope * SMALL
        mlp.leave.weight[state + 1, row] = -slope * SMALL


def wire_sign(mlp, wiring):
    """Make the MLP write whether W is negative, at the position of the sign."""
    for row, (shift, slope) in zip((-1, -2), [(0.0, 1.0), (-1.0, -1.0)], strict=True):
        wire_sum(mlp, row, wiring, (-1.0, 1.0))
        mlp.enter.weight[row, wiring.layout.position("=")] = INACTIVE
        mlp.enter.bias[row] = shift - INACTIVE
        deactivate(mlp, row, wiring, (None, False))
        mlp.leave.weight[wiring.negative, row] = slope


def trained_spec(network, catalog, mixed=False):
    """Return a specification as if training had given a decoder its weights."""
    name = list(catalog.arith("smoke").rows)[-1 if mixed else 0]
    like = catalog.arith_model("smoke", name)
    attention, width = network.blocks[0].attn, network.tokens.weight.shape[1]
    head_width = attention.out.in_features // attention.heads
    config = DecoderConfig(
        layers=1, width=width, heads=attention.heads, head_width=head_width
    )
    digits = (len(network.positions.weight) - 4) // 3
    questions = structs.replace(like.questions, digits=digits)
    return structs.replace(
        like, name="wired", network=config, questions=questions, seed=1
    )
