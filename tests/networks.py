"""Small networks and random sequences for them."""

import torch

from mathprobe.nets.seq2seq import Seq2Seq, Vocabulary
from mathprobe.spec import Stack

PAD = 1
SOURCE, TARGET = Vocabulary(23, 9, PAD, ragged=True), Vocabulary(17, 7, PAD)


def network(query="input", encoder=(2, 24, 4), decoder=(2, 16, 2)):
    torch.manual_seed(0)
    return Seq2Seq(SOURCE, TARGET, Stack(*encoder), Stack(*decoder), query).double()


def ids(words, batch, length, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(2, words, (batch, length), generator=rng)
