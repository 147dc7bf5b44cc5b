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
    nothing to choose.  Raises InputError if fewer than `count` are free.
    """
    cards = sorted(int(m[1]) for m in map(_NAME.fullmatch, os.listdir(DEVICES)) if m)
    if CHOICE in os.environ or len(cards) <= 1:
        return
    taken = dict(islice(_free(cards), count))
    if len(taken) < count:
        for lock in taken.values():
            lock.close()
        raise InputError(
            f"{count} of {len(cards)} cards asked for, {len(taken)} free: have "
            f"Snakemake count them (--resources gpu={len(cards)}), or set {CHOICE}"
        )
    _held.extend(taken.values())
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # that of the devices' names
    os.environ[CHOICE] = ",".join(map(str, taken))


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
