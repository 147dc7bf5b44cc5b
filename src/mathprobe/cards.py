"""One card for each job of a machine with several; a scheduler's choice is kept."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from mathprobe.errors import InputError

CHOICE = "CUDA_VISIBLE_DEVICES"
DEVICES = Path("/dev")
_NAME = re.compile(r"nvidia(\d+)")
_held: list[TextIO] = []  # open, and so locked, until the process ends


def take(count: int) -> None:
    """Take cards that no other job here holds, and have torch see no others.

    Does nothing where the cards are chosen already, as Slurm does, or where there is
    nothing to choose.  Where too few are free, jobs share, spread over all cards.
    Raises InputError if there are fewer than `count`.
    """
    cards = sorted(int(m[1]) for m in map(_NAME.fullmatch, os.listdir(DEVICES)) if m)
    if CHOICE in os.environ or len(cards) <= 1:
        return
    if count > len(cards):
        raise InputError(f"{count} cards asked for: this machine has {len(cards)}")
    free = dict(islice(_free(cards), count))
    if len(free) < count:
        for lock in free.values():
            lock.close()
        first = os.getpid() % len(cards)
        chosen = [*cards, *cards][first : first + count]
    else:
        _held.extend(free.values())
        chosen = list(free)
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # that of the devices' names
    os.environ[CHOICE] = ",".join(map(str, chosen))


def _free(cards: list[int]) -> Iterator[tuple[int, TextIO]]:
    """Lock, one after the other, the cards that no other job of this user holds."""
    for card in cards:
        name = f"mathprobe-{os.getuid()}-card{card}.lock"
        lock = (Path(tempfile.gettempdir()) / name).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            yield card, lock
