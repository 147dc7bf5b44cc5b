"""Tidy tables of the second study: decoders and their circuits beside printed numbers.

Source of what is printed: Quirke, Neo, Barez 2024, of a million questions of each
operation.  Its intervals are computed anew, exactly and for each operation by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mathprobe import settings
from mathprobe.arith import claims
from mathprobe.catalog.arith import TABLE_SOURCES
from mathprobe.errors import InputError
from mathprobe.interp.facts import Facts
from mathprobe.intervals import clopper_pearson
from mathprobe.paper.tables import COUNT, Row, read
from mathprobe.studies import comparisons

Folders = list[Path]  # of the models that were made, each with its name
ALL_CLASSES = "all"  # complexity classes

FAMILIES = {  # by operation, and whether the first weights are those of a parent
    ("add", False): "addition",
    ("sub", False): "subtraction",
    ("mix", False): "mixed",
    ("mix", True): "inserted",
}
MODEL_COLUMNS = ("model", "family", "digits")
MEASURED_COLUMNS = {
    "accuracy": (
        *("operation", "class", "questions", "fails", "malformed"),
        *("per_million", "low", "high", "nines"),
    ),
    "curves": ("seed", "examples", "test", "accuracy", "malformed", "loss"),
    "circuits": comparisons.COLUMNS,
    "controls": ("control", "of", "nodes", "count", "total", "value", "low", "high"),
    "claims": claims.COLUMNS,
    "reuse": comparisons.COLUMNS,
}
PUBLISHED_COLUMNS = {
    "accuracy": (
        *("loss", "published", "published_low", "published_high"),
        "published_loss",
    ),
    "circuits": ("published",),
    "reuse": ("published",),
}
COLUMNS = {
    kind: [*MODEL_COLUMNS, *measured, *PUBLISHED_COLUMNS.get(kind, ())]
    for kind, measured in MEASURED_COLUMNS.items()
}


def read_published(paths: Iterable[Path]) -> dict[str, Any]:
    """Read printed numbers: statements by name, tables by the names of their files."""
    found: dict[str, Any] = {}
    for path in paths:
        is_table = path.suffix == ".csv"
        found |= {path.stem: read(path)} if is_table else settings.read_yaml(path)
    return found


def models_frame(models: Iterable[Row]) -> pd.DataFrame:
    """Return models of the catalog, a row each, with their families."""
    table = pd.DataFrame(list(models)).rename(columns={"name": "model"})
    kinds = zip(table["operation"], table["parent"].notna(), strict=True)
    return table.assign(family=[FAMILIES[kind] for kind in kinds])


def build(
    kind: str, models: Iterable[Row], folders: Folders, published: Row
) -> pd.DataFrame:
    """Build the table of a kind from the files of models.

    `models` are rows of the catalog, in the order of the table; `published` is what
    `read_published` returns.
    """
    if kind not in COLUMNS:
        raise InputError(f"unknown kind {kind!r}; known are {', '.join(COLUMNS)}")
    table = _gather(kind, folders)
    if kind == "accuracy":
        table = accuracy(table, _gather("curves", folders), published)
    elif kind in PUBLISHED_COLUMNS:
        printed = published["arith_circuits"].rename(columns={"count": "published"})
        table = table.merge(printed, how="left", on=["model", "quantity"])
    return add_model_columns(kind, models, table)


def add_model_columns(
    kind: str, models: Iterable[Row], table: pd.DataFrame
) -> pd.DataFrame:
    """Return the rows of these models, in their order, and all columns of the kind."""
    return models_frame(models)[[*MODEL_COLUMNS]].merge(table, on="model")[
        COLUMNS[kind]
    ]


def _gather(kind: str, folders: Folders) -> pd.DataFrame:
    """Concatenate what all models measured."""
    empty = pd.DataFrame(columns=["model", *MEASURED_COLUMNS[kind]])
    tables = [_of_model(kind, folder).assign(model=folder.name) for folder in folders]
    return pd.concat(tables, ignore_index=True) if tables else empty


def _of_model(kind: str, folder: Path) -> pd.DataFrame:
    first, *others = (folder / name for name in TABLE_SOURCES[kind])
    if kind != "circuits":
        return read(first)
    rows = comparisons.summary(Facts.load(first), *map(read, others))
    return pd.DataFrame(rows).astype({"total": COUNT})


def accuracy(
    counts: pd.DataFrame, curves: pd.DataFrame, published: Row
) -> pd.DataFrame:
    """Count wrong answers: a row per operation and complexity class.

    Printed numbers and losses stand in the rows of all classes together.  The loss is
    the training's mean since the last point but one of its curve.
    """
    key = ["model", "operation", "class"]
    table = counts.merge(_printed(published), how="outer", on=key)
    table = table.sort_values(key, key=lambda names: names.replace(ALL_CLASSES, ""))
    losses = {
        "loss": curves.drop_duplicates("model", keep="last"),
        "published_loss": published["arith_models"],
    }
    for column, rows in losses.items():
        known = rows.set_index("model")["loss"]
        table[column] = table["model"].map(known).where(table["class"] == ALL_CLASSES)
    return table.astype({"malformed": COUNT})


def _printed(published: Row) -> pd.DataFrame:
    """Return printed wrong answers to a million questions, with exact intervals."""
    table, asked = published["arith_accuracy"], published["questions"]
    ends = [clopper_pearson(fails, asked) for fails in table["fails"]]
    return pd.DataFrame(
        {
            **{
                "model": table["model"],
                "operation": table["operation"],
                "class": ALL_CLASSES,
            },
            "published": 1e6 * table["fails"] / asked,
            "published_low": [1e6 * low for low, _ in ends],
            "published_high": [1e6 * high for _, high in ends],
        }
    )
