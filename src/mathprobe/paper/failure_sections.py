"""Sections of the report: what failures keep, and how well they are predicted."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from mathprobe.paper.cells import (
    NONE,
    Cell,
    Namer,
    Row,
    Section,
    between,
    count,
    known,
    listed,
    percent,
    shaded,
    significant,
)
from mathprobe.paper.naming import Entry
from mathprobe.paper.tables import PERCENT, SHOWN_TOLERANCE

GROUPS = {"all": "all answers", "success": "right answers", "failure": "wrong answers"}
QUANTITIES = {
    "error": "error",
    "eigenvalue_error": "error of the eigenvalues",
    "norm_deviation": "deviation of norms from 1",
    "row_cosine": "cosine of row angles",
    "row_angle": "deviation of row angles from π/2",
    "column_angle": "deviation of column angles from π/2",
    "angle": "deviation of all angles from π/2",
    "vectors_condition": "condition number of the eigenvectors",
    "inverse_error": "distance to the inverse",
    "matrix_condition": "condition number of the matrix",
    "matrix_norm": "largest singular value of the matrix",
    "prediction_norm": "largest singular value of the prediction",
}
STATISTICS = {
    "successes_below": "right answers believed, %",
    "failures_above": "wrong answers doubted, %",
    "right": "rule right, %",
    "auc": "area under the ROC curve",
}
CHOICES = {"paper": "threshold of the paper", "calibration": "chosen threshold"}
MODEL = ["train", "test", "recipe"]
BOUNDS = (0.01, 0.05)  # that are shown although the paper prints nothing there


def failures(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show what answers keep: a row per statistic, a column per model."""
    near = table["tolerance"].isna() | (table["tolerance"] == SHOWN_TOLERANCE)
    printed = table[["published", "notebook"]].notna().any(axis=1)
    bounds = table["at"].isin(BOUNDS) | (table["statistic"] != "below")
    shown = table[near & (printed | bounds)]
    rows = _rows(shown, ["quantity", "group", "statistic", "at"], _property)
    note = (
        "Every model on the law of its training: percent of answers below a bound, and "
        "means, deviations and quantiles of condition numbers and norms. Right answers "
        "have an error below 5 %. Below: exact answers through the same tokens, and "
        "what the paper or its notebook prints of the same model. All bounds stand in "
        "the table’s file."
    )
    title = f"What failures keep: {entry.question}"
    return Section(key, title, note, "statistic", _heads(shown, name), rows)


def verifiers(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show how well failures are predicted: a row per rate, a column per model."""
    rows = _rows(table, ["verifier", "chosen_by", "statistic"], _rate)
    note = (
        "An answer is believed where a condition number is below a threshold: the "
        "paper’s, or one chosen on every other example and judged on the rest. Below: "
        "exact answers through the same tokens, and what the paper prints."
    )
    title = f"Failures predicted: {entry.question}"
    return Section(key, title, note, "rate", _heads(table, name), rows)


def _models(table: pd.DataFrame) -> list[tuple[Hashable, ...]]:
    return list(table[MODEL].drop_duplicates().itertuples(index=False, name=None))


def _heads(table: pd.DataFrame, name: Namer) -> list[str]:
    return [
        name(train) + (f" on {name(test)}" if train != test else "") + f", {recipe}"
        for train, test, recipe in _models(table)
    ]


def _rows(table: pd.DataFrame, columns: list[str], label: Any) -> list[Row]:
    """Give a row per statistic; one that begins another quantity or rule is set off."""
    rows, before = [], None
    for place, part in table.groupby(columns, sort=False, dropna=False):
        cells = {
            tuple(row[column] for column in MODEL): _cell(row)
            for row in part.to_dict("records")
        }
        shown = [cells.get(model, Cell(NONE)) for model in _models(table)]
        apart = before is not None and before != place[0]
        rows.append(Row(label(*place), shown, apart=apart))
        before = place[0]
    return rows


def _property(quantity: str, group: str, statistic: str, at: float) -> str:
    what = f"{statistic} {at:g}" if known(at) else statistic
    return f"{QUANTITIES.get(quantity, quantity)}, {GROUPS[group]}: {what}"


def _rate(verifier: str, chosen_by: str, statistic: str) -> str:
    rule = QUANTITIES.get(verifier, verifier)
    choice = f", {CHOICES[chosen_by]}" if known(chosen_by) else ""
    return f"{rule}{choice}: {STATISTICS[statistic]}"


def _cell(row: Mapping[str, Any]) -> Cell:
    """Show a statistic, its spread or interval, exact answers and what is printed."""
    share = row["statistic"] in PERCENT
    show = percent if share else significant
    interval = between(row["low"], row["high"], show)
    spread = f"± {show(row['spread'])}" if known(row["spread"]) else ""
    printed = {
        "paper": row["published"],
        "notebook": row.get("notebook"),
    }
    below = (
        spread or interval.replace(" to ", "–"),
        f"exact {show(row['oracle'])}" if known(row["oracle"]) else "",
        *(f"{who} {_printed(v, share)}" for who, v in printed.items() if known(v)),
    )
    threshold = row.get("threshold")
    tip = [
        f"{count(row['examples'])} test examples",
        interval and f"95 % interval {interval}",
        f"threshold {significant(threshold)}" if known(threshold) else "",
    ]
    below = tuple(text for text in below if text)
    if share:
        return shaded(row["value"], below, listed(tip))
    return Cell(significant(row["value"]), below, listed(tip))


def _printed(value: float, share: bool) -> str:
    return f"{100 * value:g}" if share else f"{value:g}"
