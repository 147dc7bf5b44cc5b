"""Reproduce, check and extend what is known about how transformers do mathematics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathprobe.trained import TrainedDecoder, TrainedSeq2Seq

__version__ = "0.1.0"


def load(path: Path | str, device: str = "cpu") -> TrainedSeq2Seq | TrainedDecoder:
    """Load a trained model of either study.

    `path` is its folder or its weights.  Raises InputError if there are none, and
    DamagedFile if they are damaged.
    """
    from mathprobe import trained  # not above: the Snakefile must not load torch

    return trained.load(Path(path), device)
