"""Questions and answers of arithmetic as text, a character for each token."""

import torch

from mathprobe.arith.tokens import TOKENS, VOCABULARY


def text(ids):
    """Write ids [B, any length] as texts."""
    return ["".join(VOCABULARY[token] for token in row) for row in ids.tolist()]


def parse(texts):
    """Read texts of one length as ids [B, length]."""
    return torch.tensor([[TOKENS[symbol] for symbol in one] for one in texts])


def digits(numbers, n):
    """Write whole numbers as digits [B, n], the most significant one first."""
    return parse([f"{number:0{n}}" for number in numbers])
