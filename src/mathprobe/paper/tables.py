"""Tidy tables from scores, curves and runs, beside what the paper printed.

Shares stand between 0 and 1; what was not printed or not reached is None.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from mathprobe.linalg.scores import wilson

Row = dict[str, Any]

COLUMNS = {
    "ood": (
        *("train", "test", "n", "recipe", "seeds", "examples"),
        *("accuracy", "low", "high", "oracle", "published", "spread"),
    ),
    "tolerances": (
        *("law", "recipe", "tolerance", "seeds", "examples"),
        *("accuracy", "low", "high", "spread", "oracle", "malformed"),
    ),
    "learning_speed": (
        *("train", "test", "n", "recipe", "target", "seeds", "reached", "examples"),
        *("spread", "resolution", "budget", "best", "published"),
    ),
    "curves": (
        *("train", "n", "recipe", "seed", "examples", "test"),
        *("accuracy", "malformed", "loss"),
    ),
    "condition_numbers": (
        *("law", "n", "matrices", "rejected", "quantile", "value", "low", "high"),
        "published",
    ),
    "runs": (
        *("model", "law", "n", "recipe", "machine", "cpu", "device", "threads"),
        *("processes", "precision", "seeds", "parameters", "examples", "seconds"),
        *("examples_per_second", "attempts"),
        *("finished", "python", "torch", "revision", "clean"),
    ),
}
TEXT_COLUMNS = frozenset(  # a revision such as 7e10 is no number
    [
        *("model", "law", "train", "test", "recipe", "machine", "cpu", "device"),
        *("python", "torch", "revision", "finished", "precision"),
    ]
)
SHOWN_TOLERANCE = 0.05  # of the paper's tables


def _typed(column: str, text: str) -> Any:
    if text == "":
        return None
    if column in TEXT_COLUMNS:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read(path: Path) -> list[Row]:
    """Read a CSV: numbers as numbers, an empty cell as None."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {k: _typed(k, v) for k, v in row.items()} for row in csv.DictReader(file)
        ]


@dataclass(frozen=True)
class Trained:
    """A trained model as its files show it."""

    recipe: str
    run: Row
    scores: list[Row]
    curve: list[Row]

    @property
    def data(self) -> Row:
        """Give what it was trained on: task, law, n."""
        return self.run["spec"]["data"]

    @property
    def schedule(self) -> Row:
        """Give how it was trained."""
        return self.run["spec"]["schedule"]

    @property
    def size(self) -> int | str:
        """Give n of a square, and `5x3` of a rectangle."""
        rows, columns = self.data["n"], self.data["columns"]
        return rows if rows == columns else f"{rows}x{columns}"

    @property
    def name(self) -> Row:
        """Give the columns that name the model."""
        return {"train": self.data["law"], "n": self.size, "recipe": self.recipe}

    def printed(self, published: Row, table: str) -> Row:
        """Give what the paper prints in a kind of table for this task and size."""
        return published[table].get(self.data["task"], {}).get(f"n{self.size}", {})


def _cell(rows: Row, columns: list[str], train: str, test: str) -> float | None:
    if train not in rows or test not in columns:
        return None
    return rows[train][columns.index(test)]


def _spread(values: list[float]) -> float | None:
    """Give the standard deviation over seeds; of one seed there is none."""
    return stdev(values) if len(values) > 1 else None


def _over_seeds(rows: list[Row]) -> Row:
    """Sum up the seeds of a model on one test: their mean, and how far they differ.

    The interval is that of the mean accuracy on these examples; the seeds share them.
    """
    shares = [row["accuracy"] for row in rows]
    first, accuracy = rows[0], fmean(shares)
    low, high = wilson(round(accuracy * first["examples"]), first["examples"])
    return {
        **{"seeds": len(rows), "examples": first["examples"]},
        **{"accuracy": accuracy, "low": low, "high": high, "spread": _spread(shares)},
        "oracle": first["oracle"],
        "malformed": fmean(row["malformed"] for row in rows),
    }


def _tests(model: Trained) -> Iterator[tuple[str, float, Row]]:
    """Give test law, tolerance and the seeds' sum of every test of a model."""
    tests: dict[tuple[str, float], list[Row]] = {}
    for row in model.scores:
        tests.setdefault((row["test"], row["tolerance"]), []).append(row)
    for (test, tolerance), rows in tests.items():
        yield test, tolerance, _over_seeds(rows)


def ood(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Show every model on every law (tables 1, 2, 3 and 5)."""
    for model in models:
        printed = model.printed(published, "out_of_distribution")
        for test, tolerance, cell in _tests(model):
            if tolerance != SHOWN_TOLERANCE:
                continue
            percent = _cell(printed, published["columns"], model.data["law"], test)
            del cell["malformed"]
            yield {
                **{**model.name, "test": test, **cell},
                "published": None if percent is None else percent / 100,
            }


def tolerances(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Show every model on its own law, at all tolerances."""
    for model in models:
        law = model.data["law"]
        for test, tolerance, cell in _tests(model):
            if test == law:
                name = {"law": law, "recipe": model.recipe, "tolerance": tolerance}
                yield {**name, **cell}


def curves(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Put the learning curves of several models into one table."""
    for model in models:
        for point in model.curve:
            yield {**model.name, **point}


def first_reached(points: list[tuple[float, float]], target: float) -> float | None:
    """Interpolate where a curve of (examples, accuracy) first reaches a target."""
    before = 0.0, 0.0
    for examples, accuracy in points:
        if accuracy >= target:
            share = (target - before[1]) / (accuracy - before[1])
            return before[0] + share * (examples - before[0])
        before = examples, accuracy
    return None


def learning_speed(
    models: Iterable[Trained], published: Row, target: float
) -> Iterator[Row]:
    """Read from the curves how many examples a target accuracy takes (tables 6, 7)."""
    for model in models:
        printed = model.printed(published, "learning_speed")
        for test in model.run["spec"]["curve"]["tests"]:
            curves = _curves_on(test, model)
            reached = [first_reached(points, target) for points in curves]
            found = [examples for examples in reached if examples is not None]
            every = found if len(found) == len(reached) else []
            millions = _cell(
                printed.get("rows", {}),
                printed.get("columns", []),
                model.data["law"],
                test,
            )
            yield {
                **model.name,
                "test": test,
                "target": target,
                "seeds": len(curves),
                "reached": len(found),  # seeds that did
                "examples": round(fmean(every)) if every else None,
                "spread": _spread(every),
                "resolution": model.schedule["curve_every"],
                "budget": model.schedule["examples"],
                "best": fmean(max(share for _, share in points) for points in curves),
                "published": None if millions is None else round(millions * 1e6),
            }


def _curves_on(test: str, model: Trained) -> list[list[tuple[float, float]]]:
    """Give the curve (examples, accuracy) of every seed on a test."""
    curves: dict[int, list[tuple[float, float]]] = {}
    for point in model.curve:
        if point["test"] == test:
            place = point["examples"], point["accuracy"]
            curves.setdefault(point["seed"], []).append(place)
    return list(curves.values())


def condition_numbers(rows: Iterable[Row], published: Row) -> Iterator[Row]:
    """Set the printed quantiles beside measured ones (table 4)."""
    printed = published["condition_numbers"]
    for row in rows:
        same = row["n"] == printed["n"] and row["law"] in printed["rows"]
        quantiles = printed["rows"][row["law"]] if same else []
        shown = dict(zip(printed["quantiles"], quantiles, strict=False))
        yield {**row, "published": shown.get(row["quantile"])}


def runs(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Say what was trained where, and for how long."""
    for model in models:
        run, data = model.run, model.data
        copied = set(COLUMNS["runs"]) & set(run)
        yield {
            "model": f"{data['task']}/{data['law']}/n{model.size}/{model.recipe}",
            "law": data["law"],
            "n": model.size,
            "recipe": model.recipe,
            "torch": run["versions"]["torch"],
            **{key: run["spec"][key] for key in ("seeds", "precision")},
            **{key: run[key] for key in copied},
        }
