"""Named random streams: the same names give the same numbers, on the same device type.

A stream is a position in a tree of names, never a shared generator: the k-th block of
training data is the stream `(..., k)`, so a training that resumes needs to remember
only how far it was.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

SEED_BITS = 63  # torch takes signed 64-bit seeds


def seed_for(*names: str | int) -> int:
    """Hash names (strings and integers, in order) to a seed."""
    text = json.dumps(names).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)


def rng_for(*names: str | int, device: str = "cpu") -> Generator:
    """Open the random stream of this name on a device."""
    return torch.Generator(device).manual_seed(seed_for(*names))
