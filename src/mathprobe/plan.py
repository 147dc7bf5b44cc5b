"""Estimated cost of a scale's paper: examples, FLOP, hours, memory and disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mathprobe import estimates, flops, status
from mathprobe.catalog import Catalog
from mathprobe.catalog.linalg import entry_models
from mathprobe.errors import InputError
from mathprobe.paper.naming import task_title
from mathprobe.paper.published import table_number
from mathprobe.paper.tables import KINDS, Frame, Row
from mathprobe.paths import LINALG_NAME
from mathprobe.spec import ArithModel, Model

PDF = "paper.pdf"
# Bytes per parameter.
TRAINING_BYTES = 4 * 4  # weight, gradient and two moments of Adam
WEIGHT_BYTES = 4
CHECKPOINT_BYTES = 3 * 4  # weight and two moments; a training keeps two checkpoints
COLUMNS = ["table", "model", "examples", "flops", "parameters", "done"]


@dataclass(frozen=True)
class Rate:
    """Training rate of one device in FLOP per second, and its origin."""

    flops: float
    origin: str

    def hours(self, flops: float) -> float:
        """Return the hours that one device needs."""
        return flops / self.flops / 3600


def estimate_costs(
    catalog: Catalog, target: Path, published: dict[str, Frame]
) -> Frame:
    """Estimate the cost of a scale's paper, with a row for each model of each table.

    `target` is results/SCALE/paper.pdf.  Columns: table, model; examples, flops and
    parameters of all seeds; and `done`, the finished fraction of the training.  Raises
    InputError for another target.
    """
    results, scale = target.parent, target.parent.name
    if target.name != PDF or scale not in catalog.scales:
        allowed = ", ".join(f"results/{scale}/{PDF}" for scale in catalog.scales)
        raise InputError(f"{target}: the target must be a paper: {allowed}")
    arith = catalog.arith(scale)
    models: list[tuple[str, str, str, Model | ArithModel]] = [
        (table, "linalg", LINALG_NAME.format(**name), catalog.model(scale, **name))
        for table, name in _tables(catalog, scale, published)
    ]
    for name in arith.rows:
        models.append(("second study: arithmetic", "arith", name, arith.model(name)))
    rows = [
        (table, name, *_cost(results / study / name, model))
        for table, study, name, model in models
    ]
    return pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(["table", "model"])


def _tables(
    catalog: Catalog, scale: str, published: dict[str, Frame]
) -> Iterator[tuple[str, Row]]:
    """Yield a title of its table and the wildcards of its path, for each model.

    A title has the number of the table, if the paper prints this table.
    """
    numbers = {
        kind.config_table: published[kind.published]
        for kind in KINDS.values()
        if kind.published
    }
    for table, entries in catalog.linalg(scale).entries.items():
        for entry in entries:
            number = table_number(numbers[table], entry.task, entry.n)
            title = f"Table {number}" if number else table.replace("_", " ")
            for name in entry_models(entry):
                yield f"{title}: {task_title(entry.task, entry.n)}", name


def _cost(folder: Path, model: Model | ArithModel) -> tuple[int, float, int, float]:
    """Return examples, FLOP, parameters and the finished fraction of the training."""
    total = model.schedule.examples
    return (
        model.seeds * total,
        float(estimates.training_flops(model)),  # may exceed 64-bit integers
        estimates.parameter_count(model),
        status.read_training(folder, folder.name, total, 0.0).fraction_done,
    )


def measure_rate(catalog: Catalog, scale: str, utilization: float) -> Rate:
    """Return the measured rate of matrix products, times an assumed utilization."""
    entry = catalog.linalg(scale).entries["out_of_distribution"][0]
    model = catalog.model(scale, **entry_models(entry)[0])
    rate, method = flops.measure_matmul_rate(model.precision)
    return Rate(
        utilization * rate,
        f"{utilization:.0%} (--utilization, assumed) of {rate:.2e} FLOP/s: {method}",
    )


HEADER = (
    *("table", "models", "done", "examples", "FLOP", "hours", "hours left"),
    *("memory, GB", "disk, GB"),
)


def format_costs(costs: Frame, rate: Rate) -> str:
    """Return costs as a text table; its total counts each model once."""
    total = costs.drop_duplicates("model").assign(table="total (each model once)")
    tables = pd.concat([costs, total]).groupby("table", sort=False)
    rows = [_row(str(title), models, rate) for title, models in tables]
    lines = status.align_columns([HEADER, *rows], text_columns=1)
    notes = (
        f"{rate.flops:.2e} FLOP/s, {rate.origin}",
        "Hours: training on one device.  Examples: all seeds.  Models that stop early "
        "cost less.",
        "Memory: weights, gradients and Adam moments of the largest model, without "
        "activations.",
        "Disk: weights of the trained models.  During training, two checkpoints take "
        f"{2 * CHECKPOINT_BYTES // WEIGHT_BYTES} times the size of the weights.",
    )
    return "\n".join([*lines, "", *notes])


def _row(title: str, costs: Frame, rate: Rate) -> tuple[str, ...]:
    flops, parameters, done = (costs[k] for k in ("flops", "parameters", "done"))
    return (
        title,
        str(len(costs)),
        str((done == 1.0).sum()),
        f"{costs['examples'].sum():,}",
        f"{flops.sum():.2e}",
        _hours(rate.hours(flops.sum())),
        _hours(rate.hours((flops * (1.0 - done)).sum())),
        f"{TRAINING_BYTES * parameters.max() / 1e9:.2f}",
        f"{WEIGHT_BYTES * parameters.sum() / 1e9:.2f}",
    )


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.3f}"
