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

from mathprobe import paths
from mathprobe.intervals import wilson
from mathprobe.linalg.laws import parts
from mathprobe.linalg.scores import ORACLE

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
    "failures": (
        *("train", "test", "n", "recipe", "quantity", "group", "tolerance"),
        *("statistic", "at", "seeds", "examples", "value", "low", "high", "spread"),
        *("oracle", "published", "notebook"),
    ),
    "verifiers": (
        *("train", "test", "n", "recipe", "verifier", "chosen_by", "threshold"),
        *("statistic", "seeds", "examples", "value", "low", "high", "spread"),
        *("oracle", "published"),
    ),
    "roc": (
        *("train", "n", "recipe", "seed", "test", "verifier", "threshold"),
        *("false_positive_rate", "true_positive_rate"),
    ),
    "condition_numbers": (
        *("law", "n", "matrices", "rejected", "quantile", "value", "low", "high"),
        "published",
    ),
    "runs": (
        *("model", "law", "n", "recipe", "machine", "cpu", "device", "threads"),
        *("precision", "seeds", "parameters", "examples", "seconds"),
        *("examples_per_second", "attempts"),
        *("finished", "python", "torch", "revision", "clean", "joules"),
    ),
}
TEXT_COLUMNS = frozenset(  # a revision such as 7e10 is no number
    [
        *("model", "law", "train", "test", "recipe", "machine", "cpu", "device"),
        *("python", "torch", "revision", "finished", "precision"),
    ]
)
SHOWN_TOLERANCE = 0.05  # of the paper's tables
PERCENT = frozenset(  # what the paper prints in percent
    ["below", "right", "successes_below", "failures_above"]
)


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
class Named:
    """A model by its name: what was, or was to be, trained on which law."""

    task: str
    law: str
    size: int | str  # n of a square, and `5x3` of a rectangle
    recipe: str

    @property
    def name(self) -> Row:
        """Give the columns that name the model."""
        return {"train": self.law, "n": self.size, "recipe": self.recipe}

    @property
    def path(self) -> str:
        """Return its path below its study."""
        name = {"task": self.task, "law": self.law, "recipe": self.recipe}
        return paths.LINALG_NAME.format(**name, n=self.size)

    @property
    def place(self) -> tuple[str, str, int | str, str]:
        """Give the keys under which published statistics of the model stand."""
        return self.task, self.law, self.size, self.recipe

    def printed(self, published: Row, table: str) -> Row:
        """Give what the paper prints in a kind of table for this task and size."""
        return published[table].get(self.task, {}).get(f"n{self.size}", {})


@dataclass(frozen=True)
class Trained(Named):
    """A trained model as its files show it."""

    run: Row
    scores: list[Row]
    curve: list[Row]
    measured: list[Row]  # what one kind of table is made from

    @classmethod
    def of(
        cls,
        recipe: str,
        run: Row,
        scores: list[Row],
        curve: list[Row],
        measured: Iterable[Row] = (),
    ) -> Trained:
        """Take its name from its run."""
        data = run["spec"]["data"]
        rows, columns = data["n"], data["columns"]
        size = rows if rows == columns else f"{rows}x{columns}"
        files = run, scores, curve, list(measured)
        return cls(data["task"], data["law"], size, recipe, *files)

    @property
    def schedule(self) -> Row:
        """Give how it was trained."""
        return self.run["spec"]["schedule"]


def printed_cell(rows: Row, columns: list[str], train: str, test: str) -> float | None:
    """Give a cell of a printed square; None, where nothing is printed."""
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
            percent = printed_cell(printed, published["columns"], model.law, test)
            del cell["malformed"]
            yield {
                **{**model.name, "test": test, **cell},
                "published": None if percent is None else percent / 100,
            }


def tolerances(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Show every model on its own law, at all tolerances."""
    for model in models:
        law = model.law
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
            millions = printed_cell(
                printed.get("rows", {}),
                printed.get("columns", []),
                model.law,
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


def failures(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Say what every model's failures keep, at home (section 2)."""
    columns = ("quantity", "group", "tolerance", "statistic", "at")
    for model in models:
        place, shown = model.place, published["failures"]
        sources = {
            "published": printed_rows(shown, "text", *place),
            "notebook": printed_rows(shown, "notebook", *place),
        }
        yield from _at_home(model, columns, sources)


def verifiers(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Say how well rules predict every model's failures, at home (section 3).

    A calibrated threshold is the mean of those that the seeds were given.
    """
    columns = ("verifier", "chosen_by", "statistic")
    for model in models:
        printed = printed_rows(published["verifiers"], "text", *model.place)
        paper = {
            (verifier, "paper", statistic): value
            for (verifier, _, statistic), value in printed.items()
        }
        yield from _at_home(model, columns, {"published": paper}, ("threshold",))


def roc(models: Iterable[Trained], published: Row) -> Iterator[Row]:
    """Put the ROC curves of several models at home into one table."""
    for model in models:
        for point in model.measured:
            yield {**model.name, **point}


def printed_rows(
    published: Row, source: str, task: str, law: str, n: int, recipe: str
) -> dict[tuple, float]:
    """Give what is printed of a model, by all columns but the last; shares as shares.

    What is printed as `above` becomes what is below.
    """
    sizes = published.get(source, {}).get(task, {}).get(law, {})
    keys, printed = published["columns"][:-1], {}
    for *key, value in sizes.get(f"n{n}", {}).get(recipe, []):
        names = dict(zip(keys, key, strict=True))
        if names["statistic"] == "above":
            names["statistic"], value = "below", 100 - value
        share = names["statistic"] in PERCENT
        printed[tuple(names.values())] = value / 100 if share else value
    return printed


def _at_home(
    model: Trained,
    columns: tuple[str, ...],
    sources: Row,
    averaged: tuple[str, ...] = (),
) -> Iterator[Row]:
    """Sum up what was measured of a model on its own law, statistic by statistic."""
    means = ("value", "low", "high", *averaged)
    own = parts(model.law)
    cells: dict[tuple, list[Row]] = {}
    for row in model.measured:
        if row["test"] in own:
            key = (row["test"], *(row[column] for column in columns))
            cells.setdefault(key, []).append(row)
    for (test, *key), rows in cells.items():
        yield {
            **{**model.name, "test": test, **dict(zip(columns, key, strict=True))},
            **_of_seeds([row for row in rows if row["seed"] != ORACLE], means),
            "oracle": next(row["value"] for row in rows if row["seed"] == ORACLE),
            **{name: printed.get(tuple(key)) for name, printed in sources.items()},
        }


def _of_seeds(rows: list[Row], means: tuple[str, ...]) -> Row:
    """Give the means over the seeds that have a value, and how far they differ.

    The bounds are means as well: what the examples of one seed leave open.
    """
    there = [row for row in rows if row["value"] is not None]
    return {
        "seeds": len(there),
        "examples": round(fmean(row["examples"] for row in there or rows)),
        **{name: mean_of_known(row[name] for row in there or rows) for name in means},
        "spread": _spread([row["value"] for row in there]),
    }


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Give the mean of the values that are there; without any None."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


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
        run = model.run
        copied = set(COLUMNS["runs"]) & set(run)
        yield {
            "model": f"{model.task}/{model.law}/n{model.size}/{model.recipe}",
            "law": model.law,
            "n": model.size,
            "recipe": model.recipe,
            "torch": run["versions"]["torch"],
            **{key: run["spec"][key] for key in ("seeds", "precision")},
            **{key: run[key] for key in copied},
        }
