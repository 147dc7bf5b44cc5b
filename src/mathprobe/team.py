"""Processes that train one model together: data-parallel, by torch's own DDP.

All draw the same batches and take a part of each, so the result is that of one process
up to the order of additions.  The first process leads: it measures, saves and decides
when to stop; the others follow.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait

import torch
from torch import Tensor, distributed, nn

HOST = "127.0.0.1"
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
PATIENCE = timedelta(hours=1)  # the followers wait while the leader measures


@dataclass(frozen=True)
class Team:
    """One process's place among `size`; alone it needs nobody."""

    rank: int
    size: int

    def share(self, network: nn.Module) -> nn.Module:
        """Wrap a network so that its gradients are means over all processes."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def part(self, batch: Tensor) -> Tensor:
        """Give this process's part of a batch [B, ...]."""
        return batch.tensor_split(self.size)[self.rank]

    def total(self, value: Tensor) -> Tensor:
        """Add a value up over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def agree(self, told: bool) -> bool:
        """Follow what the leader was told."""
        if self.size == 1:
            return told
        word = torch.tensor(told, dtype=torch.uint8, device=_device())
        distributed.broadcast(word, 0)
        return bool(word)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


ALONE = Team(0, 1)


@contextmanager
def lead(size: int, follow: Callable[..., None], *arguments: object) -> Iterator[Team]:
    """Start followers, each calling `follow(team, *arguments)`, and lead them."""
    if size == 1:
        yield ALONE
        return
    port = _free_port()
    context = multiprocessing.get_context("spawn")
    places = [(rank, size, port, follow, arguments) for rank in range(1, size)]
    others = [context.Process(target=_follower, args=p, daemon=True) for p in places]
    for process in others:
        process.start()
    over = threading.Event()
    threading.Thread(target=_mourn, args=[others, over], daemon=True).start()
    try:
        with _member(0, size, port) as team:
            yield team
        for process in others:
            process.join()
    finally:
        over.set()
        for process in others:
            process.kill()


@contextmanager
def _member(rank: int, size: int, port: int) -> Iterator[Team]:
    if _device() == "cuda":
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        BACKENDS[_device()],
        init_method=f"tcp://{HOST}:{port}",
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    yield Team(rank, size)
    distributed.destroy_process_group()


def _follower(
    rank: int, size: int, port: int, follow: Callable[..., None], arguments: tuple
) -> None:
    # The leader is told to stop, and tells.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    leader = multiprocessing.parent_process()
    threading.Thread(target=_die_with, args=[leader], daemon=True).start()
    with _member(rank, size, port) as team:
        follow(team, *arguments)


def _die_with(leader: multiprocessing.process.BaseProcess) -> None:
    wait([leader.sentinel])
    os._exit(1)


def _mourn(
    others: list[multiprocessing.process.BaseProcess], over: threading.Event
) -> None:
    """End the leader, who would wait for ever, when a follower has failed."""
    left = {process.sentinel: process for process in others}
    while left:
        for sentinel in wait(list(left)):
            process = left.pop(sentinel)
            process.join()
            if process.exitcode and not over.is_set():
                text = f"a process of the training died ({process.exitcode})"
                print(text, file=sys.stderr, flush=True)
                os._exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
