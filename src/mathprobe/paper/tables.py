"""Tidy tables from scores, curves and runs, beside what the paper printed.

Shares stand between 0 and 1; what was not printed or not reached is None.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

COLUMNS = {
    "ood": (
        *("train", "test", "n", "recipe", "seeds", "examples"),
        *("accuracy", "low", "high", "oracle", "published"),
    ),
    "tolerances": (
        *("law", "recipe", "tolerance", "examples", "accuracy", "low", "high"),
        *("oracle", "malformed"),
    ),
    "learning_speed": (
        *("train", "test", "n", "recipe", "target", "examples", "resolution"),
        *("budget", "best", "published"),
    ),
    "curves": (
        *("train", "n", "recipe", "examples", "test", "accuracy", "malformed", "loss"),
    ),
    "condition_numbers": (
        *("law", "n", "matrices", "rejected", "quantile", "value", "low", "high"),
        "published",
    ),
    "runs": (
        *("model", "law", "n", "recipe", "machine", "cpu", "device", "threads"),
        *("parameters", "examples", "seconds", "examples_per_second", "attempts"),
        *("finished", "python", "torch", "revision", "clean"),
    ),
}
TEXT_COLUMNS = frozenset(  # a revision such as 7e10 is no number
    [
        *("model", "law", "train", "test", "recipe", "machine", "cpu", "device"),
        *("python", "torch", "revision", "finished"),
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
    def name(self) -> Row:
        """Give the columns that name the model."""
        return {"train": self.data["law"], "n": self.data["n"], "recipe": self.recipe}


def _printed(published: Row, table: str, data: Row) -> Row:
    return published[table].get(data["task"], {}).get(f"n{data['n']}", {})


def _cell(rows: Row, columns: list[str], train: str, test: str) -> float | None:
    if train not in rows or test not in columns:
        return None
    return rows[train][columns.index(test)]


def ood(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Show every model on every law (tables 1, 2, 3 and 5)."""
    for model in models:
        printed = _printed(published, "out_of_distribution", model.data)
        for score in model.scores:
            if score["tolerance"] != SHOWN_TOLERANCE:
                continue
            percent = _cell(
                printed, published["columns"], model.data["law"], score["test"]
            )
            yield {
                **model.name,
                "seeds": 1,  # a cell is one model
                **{k: score[k] for k in ("test", "examples", "accuracy")},
                **{k: score[k] for k in ("low", "high", "oracle")},
                "published": None if percent is None else percent / 100,
            }


def tolerances(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Show every model on its own law, at all tolerances."""
    for model in models:
        law = model.data["law"]
        for score in model.scores:
            if score["test"] == law:
                shown = {key: score[key] for key in COLUMNS["tolerances"][2:]}
                yield {"law": law, "recipe": model.recipe, **shown}


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
        printed = _printed(published, "learning_speed", model.data)
        for test in model.run["spec"]["curve"]["tests"]:
            points = [
                (point["examples"], point["accuracy"])
                for point in model.curve
                if point["test"] == test
            ]
            reached = first_reached(points, target)
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
                "examples": None if reached is None else round(reached),
                "resolution": model.schedule["curve_every"],
                "budget": model.schedule["examples"],
                "best": max(accuracy for _, accuracy in points),
                "published": None if millions is None else round(millions * 1e6),
            }


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
            "model": f"{data['task']}/{data['law']}/n{data['n']}/{model.recipe}",
            "law": data["law"],
            "n": data["n"],
            "recipe": model.recipe,
            "torch": run["versions"]["torch"],
            **{key: run[key] for key in copied},
        }
