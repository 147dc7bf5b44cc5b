"""Arithmetic questions and answers as text, one character per token."""

import torch

from mathprobe.arith.tokens import TOKENS, VOCABULARY


def text(ids):
    """Return the texts of ids [B, T]."""
    return ["".join(VOCABULARY[token] for token in row) for row in ids.tolist()]


def parse(texts):
    """Return the ids [B, T] of texts of equal length T."""
    return torch.tensor([[TOKENS[symbol] for symbol in one] for one in texts])


def digits(numbers, n):
    """Return the ids of the digits [B, n] of integers, most significant digit first."""
    return parse([f"{number:0{n}}" for number in numbers])
