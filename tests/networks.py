"""Small networks and random token sequences."""

import torch

from mathprobe.interp.nodes import KEY, QUERY, VALUE, Node
from mathprobe.nets.decoder import Decoder
from mathprobe.nets.seq2seq import Seq2Seq, SequenceConfig
from mathprobe.spec import DecoderConfig, LayerConfig

PAD = 1
# Decoders of other designs than that of the second study.
VARIANTS = [
    {},
    {"norm": "LNPre", "activation": "gelu"},
    {"norm": "RMS", "mlp_width": 7},
    {"norm": "RMSPre", "mlp_width": 0},
    {"norm": None, "attention_scale": 1.0},
]
SOURCE, TARGET = (
    SequenceConfig(23, 9, PAD),
    SequenceConfig(17, 7, PAD, variable_length=False),
)


def network(query="input", encoder=(2, 24, 4), decoder=(2, 16, 2)):
    torch.manual_seed(0)
    return Seq2Seq(
        SOURCE, TARGET, LayerConfig(*encoder), LayerConfig(*decoder), query
    ).double()


def stack(layers, width, heads, head_width, **others):
    return DecoderConfig(
        layers=layers, width=width, heads=heads, head_width=head_width, **others
    )


def decoder(layers=2, width=12, heads=4, head_width=5, **others):
    """Return a decoder with random biases and norm scales."""
    torch.manual_seed(0)
    model = Decoder(stack(layers, width, heads, head_width, **others), 15, 9).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        model.tokens.weight *= 5.0  # so that predictions depend on the tokens
    return model


def ids(vocab_size, batch, length, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(2, vocab_size, (batch, length), generator=rng)


def parts(run):
    """Return the nodes of every kind of a run of a decoder."""
    inputs = [
        Node(position, layer, kind, head)
        for position in run.positions
        for layer in range(run.layers)
        for kind in (QUERY, KEY, VALUE)
        for head in range(run.heads)
    ]
    return [*run.nodes, *run.residual_nodes, *inputs]
