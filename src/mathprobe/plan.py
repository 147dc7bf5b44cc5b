"""What a scale's paper costs, by table: examples, operations, hours, memory, disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mathprobe import estimates, flops, paths, status
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.paper.naming import question
from mathprobe.paper.published import number_in_paper
from mathprobe.paper.tables import KINDS, Frame, Row
from mathprobe.spec import ArithModel, Model

PDF = "paper.pdf"
TRAINED = 4 * 4  # bytes a parameter while it trains: weight, gradient, two moments
STORED = 4  # bytes a parameter of a model that is done
STATE = 3 * 4  # bytes a parameter of a state, of which a training keeps two


@dataclass(frozen=True)
class Cost:
    """What one model costs, all seeds together, and how much of it is done."""

    model: str
    examples: int
    operations: int
    parameters: int
    done: float  # share

    @property
    def left(self) -> float:
        """Give the operations that are still to be made."""
        return self.operations * (1.0 - self.done)

    @property
    def memory(self) -> int:
        """Give the bytes of a device that training takes besides activations."""
        return TRAINED * self.parameters

    @property
    def disk(self) -> int:
        """Give the bytes on disk when it is done."""
        return STORED * self.parameters


@dataclass(frozen=True)
class Rate:
    """Operations a second of one device, and where the number is from."""

    operations: float
    origin: str

    def hours(self, operations: float) -> float:
        """Give the hours that one device takes."""
        return operations / self.operations / 3600


def cost(books: Catalog, results: Path, name: Row) -> Cost:
    """Return what a model of the first study costs, and how much is in the results."""
    model = books.model(results.name, **name)
    return _cost(results / "linalg", paths.LINALG_NAME.format(**name), model)


def arith_costs(books: Catalog, results: Path) -> list[Cost]:
    """Return what every model of the second study costs."""
    models = books.arith(results.name)
    return [_cost(results / "arith", n, models.model(n)) for n in models.rows]


def _cost(study: Path, name: str, model: Model | ArithModel) -> Cost:
    total = model.schedule.examples
    there = status.standing(study / name, name, total, 0.0)
    return Cost(
        name,
        model.seeds * total,
        estimates.operations(model),
        estimates.parameters(model),
        there.share,
    )


def tables(
    books: Catalog, scale: str, published: dict[str, Frame]
) -> dict[str, list[Row]]:
    """Name the models of every table, by the paper's number of it where it has one."""
    printed = {
        kind.entries: published[kind.printed] for kind in KINDS.values() if kind.printed
    }
    found: dict[str, list[Row]] = {}
    for table, entries in books.linalg(scale).entries.items():
        for entry in entries:
            what = entry.task, entry.n
            number = number_in_paper(printed[table], *what)
            title = f"Table {number}" if number else table.replace("_", " ")
            names = found.setdefault(f"{title}: {question(*what)}", [])
            names += [name for name in books.models(entry) if name not in names]
    return found


def survey(
    books: Catalog, target: Path, published: dict[str, Frame]
) -> dict[str, list[Cost]]:
    """Say what every table of a scale's paper costs."""
    results = target.parent
    if target.name != PDF or results.name not in books.scales:
        allowed = ", ".join(f"results/{scale}/{PDF}" for scale in books.scales)
        raise InputError(f"{target}: only a paper can be planned: {allowed}")
    costs = {
        title: [cost(books, results, name) for name in names]
        for title, names in tables(books, results.name, published).items()
    }
    return {**costs, "second study: arithmetic": arith_costs(books, results)}


def once(costs: dict[str, list[Cost]]) -> list[Cost]:
    """Give every model once, whatever tables share it."""
    return list(dict.fromkeys(one for table in costs.values() for one in table))


def measured(books: Catalog, scale: str, reached: float) -> Rate:
    """Measure matrix products here, of which training reaches an assumed share."""
    entry = books.linalg(scale).entries["out_of_distribution"][0]
    model = books.model(scale, **books.models(entry)[0])
    rate, how = flops.measured_rate(model.precision)
    said = f"{reached:.0%} (--share, an assumption) of {rate:.2e} FLOP/s: {how}"
    return Rate(reached * rate, said)


HEAD = (
    *("table", "models", "done", "examples", "FLOP", "hours", "hours left"),
    *("memory, GB", "disk, GB"),
)


def text(costs: dict[str, list[Cost]], rate: Rate) -> str:
    """Write costs as a table; the last line counts every model once."""
    costs = {**costs, "all, each model once": once(costs)}
    rows = [_row(title, models, rate) for title, models in costs.items()]
    lines = status.aligned([HEAD, *rows], texts=1)
    notes = (
        f"{rate.operations:.2e} FLOP/s, {rate.origin}",
        "Hours of one device, for training alone; examples of all seeds; a recipe that "
        "stops early costs less.",
        "Memory of the largest model's weights, gradients and moments, without "
        "activations; disk for weights when all is done.  While it trains, a model "
        f"takes {2 * STATE // STORED} times its weights besides, for two states.",
    )
    return "\n".join([*lines, "", *notes])


def _row(title: str, models: list[Cost], rate: Rate) -> tuple[str, ...]:
    total, left = (
        sum(getattr(one, part) for one in models) for part in ("operations", "left")
    )
    return (
        title,
        str(len(models)),
        str(sum(one.done == 1.0 for one in models)),
        f"{sum(one.examples for one in models):,}",
        f"{total:.2e}",
        _hours(rate.hours(total)),
        _hours(rate.hours(left)),
        f"{max((one.memory for one in models), default=0) / 1e9:.2f}",
        f"{sum(one.disk for one in models) / 1e9:.2f}",
    )


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.3f}"
