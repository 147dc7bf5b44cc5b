"""Sections of the report: laws against laws, tolerances, learning speed, conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mathprobe.paper import figures as draw
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
    whole,
)
from mathprobe.paper.naming import Entry, Model, group, in_order


def ood(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show every model on every law: a row per model, a column per law."""
    tests = in_order(table["test"])
    cells = {
        (row["train"], row["recipe"], row["test"]): _ood_cell(row)
        for row in table.to_dict("records")
    }
    rows = [
        Row(label, [cells.get((*model, test), Cell(NONE)) for test in tests], apart)
        for model, label, apart in _by_model(table, name)
    ]
    ceiling = table.groupby("test")["oracle"].mean()
    shown = [shaded(ceiling[test]) for test in tests]
    note = (
        "Percent of answers with a relative L1 error below 5 %, with 95 % intervals; "
        "of several models the mean and the standard deviation. "
        "The last row is what the exact answer scores once it is rounded as the "
        "tokens are. "
    )
    note += (
        "Printed values stand below, as “paper”."
        if table["published"].notna().any()
        else "The paper prints no table for this question and size."
    )
    head = [name(test) for test in tests]
    rows.append(Row("exact answer", shown, apart=True))
    title = f"Out of distribution: {entry.question}"
    return Section(key, title, note, "trained on ↓ tested on →", head, rows)


def _by_model(table: pd.DataFrame, name: Namer) -> Iterator[tuple[Model, str, bool]]:
    """Give each model, its name, and whether it opens a group of laws or a recipe."""
    found = draw.models(table)
    several = len({recipe for _, recipe in found}) > 1
    before = None
    for model in found:
        place = model.recipe, group(model.law)
        more = f" ({model.recipe})" if several else ""
        yield model, name(model.law) + more, before not in (None, place)
        before = place


def _of_model(table: pd.DataFrame, model: Model) -> pd.DataFrame:
    return table[(table["train"] == model.law) & (table["recipe"] == model.recipe)]


def _ood_cell(row: Mapping[str, Any]) -> Cell:
    share = row["accuracy"]
    interval = between(row["low"], row["high"], percent)
    paper = f"paper {percent(row['published'], 0)}" if known(row["published"]) else ""
    seeds = f"± {percent(row['spread'])} over {whole(row['seeds'])} models"
    tip = [
        f"{percent(share)} % of {whole(row['examples'])} test examples"
        if known(share)
        else "",
        interval and f"95 % interval {interval}",
        seeds if known(row["spread"]) else "",
        f"exact answer {percent(row['oracle'])}" if known(row["oracle"]) else "",
        paper,
    ]
    spread = f"± {percent(row['spread'])}" if known(row["spread"]) else ""
    uncertainty = spread or interval.replace(" to ", "–")
    below = tuple(text for text in (uncertainty, paper) if text)
    return shaded(share, below, listed(tip))


def tolerances(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show every model on its own law, a column per tolerance."""
    steps = sorted(table["tolerance"].unique(), reverse=True)
    rows = []
    table = table.rename(columns={"law": "train"})
    for model, label, apart in _by_model(table, name):
        part = _of_model(table, model)
        found = {row["tolerance"]: row for row in part.to_dict("records")}
        cells = [_tolerance_cell(found.get(step)) for step in steps]
        malformed = Cell(percent(part["malformed"].max(), 2))
        rows.append(Row(label, [*cells, malformed], apart))
    note = (
        "Every model on its own law: percent of answers within a tolerance. Below: "
        "what the exact answer scores. Malformed: answers that are not "
        "well-formed numbers."
    )
    head = [*(f"{100 * step:g} %" for step in steps), "malformed, %"]
    title = f"Tolerances: {entry.question}"
    return Section(key, title, note, "law", head, rows)


def _tolerance_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    interval = between(row["low"], row["high"], percent)
    tip = [f"{whole(row['examples'])} test examples", f"95 % interval {interval}"]
    below = (f"exact {percent(row['oracle'])}",) if known(row["oracle"]) else ()
    return shaded(row["accuracy"], below, listed(tip))


def learning_speed(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    """Show how many examples an accuracy takes: a row per model."""
    tests = in_order(table["test"])
    rows = []
    for model, label, apart in _by_model(table, name):
        part = _of_model(table, model).to_dict("records")
        found = {row["test"]: row for row in part}
        cells = [_speed_cell(found.get(test)) for test in tests]
        rows.append(Row(label, cells, apart))
    first = table.iloc[0]
    note = (
        f"Training examples until {100 * first['target']:g} % accuracy is first "
        f"reached, measured every {count(first['resolution'])} examples, out of "
        f"{count(first['budget'])}."
    )
    head = [f"on {name(test)}" for test in tests]
    title = f"Learning speed: {entry.question}"
    return Section(key, title, note, "trained on", head, rows)


def _speed_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    published = row["published"]
    paper = (f"paper {count(published)}",) if known(published) else ()
    if known(row["examples"]):
        best = f"best accuracy {percent(row['best'])} %"
        return Cell(count(row["examples"]), paper, best)
    best = f"best {percent(row['best'])} %"
    return Cell("not reached", (best, *paper))


def condition_numbers(
    key: str, table: pd.DataFrame, entry: Entry, name: Namer
) -> Section:
    """Show quantiles of condition numbers: a row per law."""
    quantiles = sorted(table["quantile"].unique())
    rows = []
    for law, part in table.groupby("law", sort=False):
        found = {row["quantile"]: row for row in part.to_dict("records")}
        cells = [cell for q in quantiles for cell in _condition_cells(found.get(q))]
        rows.append(Row(name(law), [*cells, Cell(f"{part['rejected'].iloc[0]:,}")]))
    first = table.iloc[0]
    note = (
        "Largest over smallest absolute eigenvalue: median and quantiles of "
        f"{first['matrices']:,} random {first['n']} × {first['n']} matrices per law, "
        "with 95 % intervals. No model takes part in this."
    )
    words = {q: f"{100 * q:g} %" for q in quantiles} | {0.5: "median"}
    head = [f"{words[q]}: {whose}" for q in quantiles for whose in ("paper", "here")]
    return Section(
        key, "Condition numbers", note, "law", [*head, "singular, redrawn"], rows
    )


def _condition_cells(row: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    if row is None:
        return Cell(NONE), Cell(NONE)
    digits = 1 if row["published"] < 100 else 0  # as printed
    paper = f"{row['published']:,.{digits}f}" if known(row["published"]) else NONE
    interval = between(row["low"], row["high"], significant)
    below = (interval.replace(" to ", "–"),) if interval else ()
    return Cell(paper), Cell(significant(row["value"]), below)
