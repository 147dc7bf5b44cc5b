"""Training rates on this machine, measured with a few updates."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from mathprobe import estimates
from mathprobe.lazy import torch
from mathprobe.spec import ArithModel, Model
from mathprobe.studies.arith import models as arith_models
from mathprobe.studies.arith import training as arith
from mathprobe.studies.linalg import training as linalg
from mathprobe.training import Trainer

UPDATES, SECONDS = 3, 2.0  # a measurement has at least as many, and takes as long


def measured_rates(device: str) -> Callable[[Model | ArithModel], float]:
    """Return a function that times a few updates of each kind of model, once."""
    known: dict[tuple[Any, ...], float] = {}

    def rate(model: Model | ArithModel) -> float:
        kind = (
            *(estimates.flops_per_example(model), estimates.parameter_count(model)),
            *(model.seeds, model.schedule.batch),
            *(getattr(model, name, None) for name in ("precision", "query")),
            getattr(model.schedule, "grokfast", None),
        )
        if kind not in known:
            known[kind] = training_rate(model, device)
        return known[kind]

    return rate


def training_rate(model: Model | ArithModel, device: str) -> float:
    """Return the FLOP/s of training a model on a torch device, all seeds together."""
    trainer = trainer_of(model, device)
    _update(trainer)  # the first one also draws data and, on CUDA, is captured
    seconds: list[float] = []
    while len(seconds) < UPDATES or sum(seconds) < SECONDS:
        seconds.append(_update(trainer))
    examples = model.seeds * model.schedule.batch
    return examples * estimates.flops_per_example(model) / median(seconds)


def trainer_of(model: Model | ArithModel, device: str) -> Trainer[Any]:
    """Return the trainer of a model; its parent, if any, is not trained."""
    if isinstance(model, Model):
        return linalg.trainer(model, device)
    inserted = model.insertion
    parent = arith_models.build(inserted.parent) if inserted else None
    return arith.trainer(model, device, parent)


def _update(trainer: Trainer[Any]) -> float:
    """Make an update of all seeds; return its seconds."""
    start = time.perf_counter()
    trainer.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
