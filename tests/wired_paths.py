"""Two-layer decoders in which only the paths between heads differ.

Questions are a bit and `=`; the answer is the bit.  At `=`, both heads of layer 0 copy
the bit from position 0, and both heads of layer 1 add it to the logits.  Head 0 of
layer 1 reads the copy of head 0 of layer 0, or that of head 1 if the paths are crossed;
head 1 reads the other copy.  Each head has half of the effect on the logits.
"""

import torch
from wired import SMALL, make_identity, pair, wire

from mathprobe.nets.decoder import Decoder
from mathprobe.spec import DecoderConfig

BIT, EQUALS = 0, 1  # positions
TOKENS = 3  # 0, 1, =
COPIES = (5, 7)  # index of the copy of each head of layer 0, a pair
ANSWER = 9  # index of what the heads of layer 1 write, a pair
WIDTH = 11  # positions, tokens and three pairs


def wired_paths(crossed):
    """Build the decoder in double precision."""
    config = DecoderConfig(layers=2, width=WIDTH, heads=2, head_width=3)
    model = Decoder(config, TOKENS, 2).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.positions.weight[:, :2] = torch.eye(2)
        model.tokens.weight[:, 2:5] = torch.eye(TOKENS)
        for block in model.blocks:
            make_identity(block.ln1, WIDTH)
        model.ln_final.weight.fill_(1.0)
        model.unembed.weight[1, ANSWER : ANSWER + 2] = pair(1.0)
        first, second = (block.attn for block in model.blocks)
        for head, copy in enumerate(COPIES):
            wire(first, head, EQUALS, BIT, {2: -1.0, 3: 1.0}, copy)
        for head, copy in enumerate(reversed(COPIES) if crossed else COPIES):
            reads = {copy: 0.5 / SMALL, copy + 1: -0.5 / SMALL}
            wire(second, head, EQUALS, EQUALS, reads, ANSWER)
    return model.eval()


def questions(bits):
    """Return the ids [Q, 3] of questions and answers for bits [Q]."""
    return torch.stack([bits, torch.full_like(bits, 2), bits], 1)
