"""Named random number generators: equal names produce equal numbers.

All generators are on the CPU: the numbers of a GPU's generator depend on its model.
Each block of training data has a separate
generator; its name ends with the number of the block.  A resumed training therefore
needs only the number of updates made, not the state of a generator.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from mathprobe.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

SEED_BITS = 63  # torch seeds are signed 64-bit integers


def seed_for(*names: str | int) -> int:
    """Return a seed for a name: a sequence of strings and integers, which is hashed."""
    text = json.dumps(names).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)


def rng_for(*names: str | int) -> Generator:
    """Return a new generator on the CPU, seeded by its name."""
    return torch.Generator().manual_seed(seed_for(*names))
