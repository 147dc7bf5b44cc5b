"""Estimated cost of a scale's paper: examples, FLOP, hours, memory and disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from mathprobe import estimates, status
from mathprobe.catalog import Catalog
from mathprobe.catalog.linalg import entry_models
from mathprobe.errors import InputError
from mathprobe.paper.naming import task_title
from mathprobe.paper.published import table_number
from mathprobe.paper.tables import KINDS, Frame, Row
from mathprobe.paths import LINALG_NAME, STORED_CHECKPOINTS
from mathprobe.spec import ArithModel, Model

PDF = "paper.pdf"
# Bytes per parameter.
TRAINING_BYTES = 4 * 4  # weight, gradient and two moments of Adam
WEIGHT_BYTES = 4
CHECKPOINT_BYTES = 3 * 4  # weight and two moments
CHECKPOINTS = STORED_CHECKPOINTS + 1  # while one is written
COLUMNS = ["table", "model", "examples", "flops", "hours", "parameters", "done"]
Rate = Callable[[Model | ArithModel], float]  # from a model to the FLOP/s of a device


def estimate_costs(
    catalog: Catalog, target: Path, published: dict[str, Frame], rate: Rate
) -> Frame:
    """Estimate the cost of a scale's paper, with a row for each model of each table.

    `target` is results/SCALE/paper.pdf.  Columns: table, model; training examples,
    flops, hours and parameters of all seeds; and `done`, the finished fraction of the
    training.  Flops and hours include learning curves and tests.  Raises InputError for
    another target.
    """
    results, scale = target.parent, target.parent.name
    if target.name != PDF or scale not in catalog.scales:
        allowed = ", ".join(f"results/{scale}/{PDF}" for scale in catalog.scales)
        raise InputError(f"{target}: the target must be a paper: {allowed}")
    arith, tests = catalog.arith(scale), catalog.linalg(scale).settings.tests
    rows = []
    for table, wildcards in _tables(catalog, scale, published):
        name, model = LINALG_NAME.format(**wildcards), catalog.model(scale, **wildcards)
        sets = catalog.test_distributions(model.data.task, model.data.distribution)
        tested = len(sets) * tests.examples
        cost = _cost(results / "linalg" / name, model, tested, rate)
        rows.append((table, name, *cost))
    for name in arith.rows:
        decoder = arith.model(name)
        tested = len(decoder.questions.shares) * arith.settings.accuracy.questions
        cost = _cost(results / "arith" / name, decoder, tested, rate)
        rows.append(("second study: arithmetic", name, *cost))
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


def _cost(
    folder: Path, model: Model | ArithModel, tested: int, rate: Rate
) -> tuple[int, float, float, int, float]:
    """Return examples, FLOP, hours, parameters and the finished fraction.

    `tested` is the number of test examples of each seed.
    """
    total = model.schedule.examples
    needed = float(estimates.total_flops(model, tested))  # may exceed 64-bit integers
    return (
        model.seeds * total,
        needed,
        needed / rate(model) / 3600,
        estimates.parameter_count(model),
        status.read_training(folder, folder.name, total, 0.0).fraction_done,
    )


HEADER = (
    *("table", "models", "done", "examples", "FLOP", "hours", "hours left"),
    *("memory, GB", "disk, GB"),
)


def format_costs(costs: Frame, origin: str) -> str:
    """Return costs as a text table; its total counts each model once.

    `origin` describes the rate.
    """
    total = costs.drop_duplicates("model").assign(table="total (each model once)")
    tables = pd.concat([costs, total]).groupby("table", sort=False)
    rows = [_row(str(title), models) for title, models in tables]
    lines = status.align_columns([HEADER, *rows], text_columns=1)
    notes = (
        "Hours: training, learning curves and tests of one model after another, at "
        f"{origin}.",
        f"At least {costs['hours'].max():.1f} hours with any number of devices: the "
        "longest model.  Models that stop early cost less.",
        "Memory: weights, gradients and Adam moments of the largest model, without "
        "activations.",
        "Disk: weights of the trained models.  During training, checkpoints take "
        f"{CHECKPOINTS * CHECKPOINT_BYTES // WEIGHT_BYTES} times as much.",
    )
    return "\n".join([*lines, "", *notes])


def _row(title: str, costs: Frame) -> tuple[str, ...]:
    hours, parameters, done = (costs[k] for k in ("hours", "parameters", "done"))
    return (
        title,
        str(len(costs)),
        str((done == 1.0).sum()),
        f"{costs['examples'].sum():,}",
        f"{costs['flops'].sum():.2e}",
        _hours(hours.sum()),
        _hours((hours * (1.0 - done)).sum()),
        f"{TRAINING_BYTES * parameters.max() / 1e9:.2f}",
        f"{WEIGHT_BYTES * parameters.sum() / 1e9:.2f}",
    )


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.3f}"
