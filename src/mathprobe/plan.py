"""What a scale's paper costs, by table: examples, operations, hours, memory, disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mathprobe import estimates, flops, status
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.paper.naming import task_title
from mathprobe.paper.published import table_number
from mathprobe.paper.tables import KINDS, Frame, Row
from mathprobe.paths import LINALG_NAME
from mathprobe.spec import ArithModel, Model

PDF = "paper.pdf"
TRAINED = 4 * 4  # bytes a parameter while it trains: weight, gradient, two moments
STORED = 4  # bytes a parameter of a model that is done
STATE = 3 * 4  # bytes a parameter of a state, of which a training keeps two
COLUMNS = ["table", "model", "examples", "operations", "parameters", "done"]


@dataclass(frozen=True)
class Rate:
    """Operations a second of one device, and where the number is from."""

    operations: float
    origin: str

    def hours(self, operations: float) -> float:
        """Give the hours that one device takes."""
        return operations / self.operations / 3600


def estimate_costs(
    catalog: Catalog, target: Path, published: dict[str, Frame]
) -> Frame:
    """Return what a scale's paper costs: a row for each model of each table.

    Columns: table, model, examples and operations of all seeds, parameters, and the
    share that is done.
    """
    results, scale = target.parent, target.parent.name
    if target.name != PDF or scale not in catalog.scales:
        allowed = ", ".join(f"results/{scale}/{PDF}" for scale in catalog.scales)
        raise InputError(f"{target}: only a paper can be planned: {allowed}")
    arith = catalog.arith(scale)
    shown: list[tuple[str, str, str, Model | ArithModel]] = [
        (table, "linalg", LINALG_NAME.format(**name), catalog.model(scale, **name))
        for table, name in _tables(catalog, scale, published)
    ]
    for name in arith.rows:
        shown.append(("second study: arithmetic", "arith", name, arith.model(name)))
    rows = [
        (table, name, *_cost(results / study / name, model))
        for table, study, name, model in shown
    ]
    return pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(["table", "model"])


def _tables(
    catalog: Catalog, scale: str, published: dict[str, Frame]
) -> Iterator[tuple[str, Row]]:
    """Yield tables with their models, by the paper's number if it has one."""
    printed = {
        kind.config_table: published[kind.published]
        for kind in KINDS.values()
        if kind.published
    }
    for table, entries in catalog.linalg(scale).entries.items():
        for entry in entries:
            what = entry.task, entry.n
            number = table_number(printed[table], *what)
            title = f"Table {number}" if number else table.replace("_", " ")
            for name in catalog.models(entry):
                yield f"{title}: {task_title(*what)}", name


def _cost(folder: Path, model: Model | ArithModel) -> tuple[int, float, int, float]:
    total = model.schedule.examples
    return (
        model.seeds * total,
        float(estimates.training_flops(model)),  # more than 64 bits hold
        estimates.parameter_count(model),
        status.read_training(folder, folder.name, total, 0.0).share,
    )


def measure_rate(catalog: Catalog, scale: str, reached: float) -> Rate:
    """Measure matrix products here, of which training reaches an assumed share."""
    entry = catalog.linalg(scale).entries["out_of_distribution"][0]
    model = catalog.model(scale, **catalog.models(entry)[0])
    rate, how = flops.measure_matmul_rate(model.precision)
    said = f"{reached:.0%} (--utilization, an assumption) of {rate:.2e} FLOP/s: {how}"
    return Rate(reached * rate, said)


HEAD = (
    *("table", "models", "done", "examples", "FLOP", "hours", "hours left"),
    *("memory, GB", "disk, GB"),
)


def format_costs(costs: Frame, rate: Rate) -> str:
    """Write costs as a table; the last line counts every model once."""
    every = costs.drop_duplicates("model").assign(table="all, each model once")
    tables = pd.concat([costs, every]).groupby("table", sort=False)
    rows = [_row(str(title), models, rate) for title, models in tables]
    lines = status.align_columns([HEAD, *rows], texts=1)
    notes = (
        f"{rate.operations:.2e} FLOP/s, {rate.origin}",
        "Hours of one device, for training alone; examples of all seeds; a recipe that "
        "stops early costs less.",
        "Memory of the largest model's weights, gradients and moments, without "
        "activations; disk for weights when all is done.  While it trains, a model "
        f"takes {2 * STATE // STORED} times its weights besides, for two states.",
    )
    return "\n".join([*lines, "", *notes])


def _row(title: str, costs: Frame, rate: Rate) -> tuple[str, ...]:
    operations, parameters, done = (
        costs[k] for k in ("operations", "parameters", "done")
    )
    return (
        title,
        str(len(costs)),
        str((done == 1.0).sum()),
        f"{costs['examples'].sum():,}",
        f"{operations.sum():.2e}",
        _hours(rate.hours(operations.sum())),
        _hours(rate.hours((operations * (1.0 - done)).sum())),
        f"{TRAINED * parameters.max() / 1e9:.2f}",
        f"{STORED * parameters.sum() / 1e9:.2f}",
    )


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.3f}"
