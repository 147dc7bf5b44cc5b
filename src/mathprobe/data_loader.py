"""Blocks of random data, drawn on the CPU in a thread, ahead of their use.

A block is a function of its number.  The data therefore depend only on the
specification: not on the device, the number of threads, or a resumed training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from mathprobe import files

BATCHES_PER_BLOCK = 64  # batches that are drawn together; another value changes results
Block = tuple[Tensor, ...]  # tensors of BATCHES_PER_BLOCK * batch rows
# From the number of a block to its data, on the CPU.
BlockSource = Callable[[int], Block]


def number_of_blocks(batches: int) -> int:
    """Return the number of blocks that contain a number of batches."""
    return math.ceil(batches / BATCHES_PER_BLOCK)


class BlockLoader:
    """Load blocks onto a device; the next block is drawn in the background.

    `seconds_waited` is the total time that `load` has waited for the data.
    """

    def __init__(self, draw: BlockSource, blocks: int, device: str) -> None:
        """Prepare to load blocks 0 to `blocks` - 1 onto a torch device."""
        self.draw, self.blocks, self.device = draw, blocks, device
        self.seconds_waited = 0.0
        self._executor = ThreadPoolExecutor(1)
        self._loaded: tuple[int, Block] = (-1, ())
        self._next: tuple[int, Future[Block]] | None = None

    def load(self, number: int) -> Block:
        """Return a block on the device and start to draw the next one.

        On CUDA, the copy to the device is queued on the current stream.
        """
        if self._loaded[0] != number:
            self._loaded = number, self._to_device(self._wait_for(number))
            if number + 1 < self.blocks:
                self._next = number + 1, self._executor.submit(self.draw, number + 1)
        return self._loaded[1]

    def digests(self) -> list[str]:
        """Return the SHA-256 of each tensor of the first block.

        They show whether a specification gives the same data on two machines.
        """
        return [files.digest({"ids": tensor.numpy()}) for tensor in self.draw(0)]

    def _wait_for(self, number: int) -> Block:
        start = time.perf_counter()
        if self._next and self._next[0] == number:
            block = self._next[1].result()
        else:
            block = self._executor.submit(self.draw, number).result()
        self.seconds_waited += time.perf_counter() - start
        return block

    def _to_device(self, block: Block) -> Block:
        if self.device == "cpu":
            return block
        # Copies from pinned memory do not wait for the device.
        return tuple(x.pin_memory().to(self.device, non_blocking=True) for x in block)
