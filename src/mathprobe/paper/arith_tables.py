"""Tidy tables of the second study: decoders and their circuits, with published numbers.

Source: Quirke, Neo, Barez 2024, with a million questions of each operation.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mathprobe import strict_yaml
from mathprobe.arith import claims
from mathprobe.catalog.arith import TABLE_SOURCES
from mathprobe.errors import InputError
from mathprobe.interp.facts import Facts
from mathprobe.intervals import clopper_pearson
from mathprobe.paper.tables import COUNT, Frame, Row, names, read
from mathprobe.studies import comparisons

ALL_CLASSES = "all"  # complexity classes together
FAMILIES = {  # by operation, and whether the model has a parent
    ("add", False): "addition",
    ("sub", False): "subtraction",
    ("mix", False): "mixed",
    ("mix", True): "inserted",
}
MODEL_COLUMNS = ("model", "family", "digits")
MEASURED_COLUMNS = {
    "accuracy": names(
        "operation class questions fails malformed per_million low high nines"
    ),
    "curves": names("seed examples test accuracy malformed loss"),
    "circuits": comparisons.SUMMARY_COLUMNS,
    "controls": names("control of nodes count total value low high"),
    "sufficiency": names("order ablation nodes added count total value low high"),
    "claims": claims.COLUMNS,
    "reuse": comparisons.COLUMNS,
}
ADDED_COLUMNS = {
    "accuracy": names("loss published published_low published_high published_loss"),
    "circuits": ("published",),
    "reuse": ("published",),
}
COLUMNS = {
    kind: [*MODEL_COLUMNS, *measured, *ADDED_COLUMNS.get(kind, ())]
    for kind, measured in MEASURED_COLUMNS.items()
}


def read_published(paths: Iterable[Path]) -> dict[str, Any]:
    """Read published numbers: a table by the name of its CSV, values of YAML by key."""
    found: dict[str, Any] = {}
    for path in paths:
        is_table = path.suffix == ".csv"
        found |= {path.stem: read(path)} if is_table else strict_yaml.read(path)
    return found


def models_frame(models: Iterable[Row]) -> Frame:
    """Return models of the catalog as a table with their families."""
    table = Frame(list(models)).rename(columns={"name": "model"})
    kinds = zip(table["operation"], table["parent"].notna(), strict=True)
    return table.assign(family=[FAMILIES[kind] for kind in kinds])


def build(
    kind: str, models: Iterable[Row], folders: Iterable[Path], published: Row
) -> Frame:
    """Build a table from folders of trained models, in the order of the catalog.

    `published` is the result of `read_published`.  Raises InputError for unknown kinds.
    """
    if kind not in COLUMNS:
        raise InputError(f"unknown kind {kind!r}; known are {', '.join(COLUMNS)}")
    table = _concat(kind, folders)
    if kind == "accuracy":
        table = accuracy(table, _concat("curves", folders), published)
    elif kind in ADDED_COLUMNS:
        printed = published["arith_circuits"].rename(columns={"count": "published"})
        table = table.merge(printed, how="left", on=["model", "quantity"])
    return add_model_columns(kind, models, table)


def add_model_columns(kind: str, models: Iterable[Row], table: Frame) -> Frame:
    """Return the rows of these models, in their order, with all columns of the kind."""
    named = models_frame(models)[[*MODEL_COLUMNS]]
    return named.merge(table, on="model")[COLUMNS[kind]]


def _concat(kind: str, folders: Iterable[Path]) -> Frame:
    tables = []
    for folder in folders:
        paths = [folder / name for name in TABLE_SOURCES[kind]]
        if kind == "circuits":
            nodes, published_rule, claims = paths
            maps = Facts.load(nodes), Facts.load(published_rule)
            rows = comparisons.summary(*maps, read(claims))
            table = Frame(rows).astype({"total": COUNT, "published_rule": COUNT})
        else:
            table = read(paths[0])
        tables.append(table.assign(model=folder.name))
    empty = Frame(columns=["model", *MEASURED_COLUMNS[kind]])
    return pd.concat(tables, ignore_index=True) if tables else empty


def accuracy(counts: Frame, curves: Frame, published: Row) -> Frame:
    """Return wrong answers: a row per model, operation and complexity class.

    Published numbers and losses are in the rows of all classes together.  The loss is
    the last of the learning curve: the mean over the training since the point before.
    """
    keys = ["model", "operation", "class"]
    table = counts.merge(_published(published), how="outer", on=keys)
    table = table.sort_values(keys, key=lambda names: names.replace(ALL_CLASSES, ""))
    losses = {
        "loss": curves.drop_duplicates("model", keep="last"),
        "published_loss": published["arith_models"],
    }
    for column, rows in losses.items():
        known = rows.set_index("model")["loss"]
        table[column] = table["model"].map(known).where(table["class"] == ALL_CLASSES)
    return table.astype({"malformed": COUNT})


def _published(published: Row) -> Frame:
    """Return published wrong answers per million, with exact 95 % intervals."""
    table, total = published["arith_accuracy"], published["questions"]
    ends = [clopper_pearson(fails, total) for fails in table["fails"]]
    return table[["model", "operation"]].assign(
        **{"class": ALL_CLASSES, "published": 1e6 * table["fails"] / total},
        published_low=[1e6 * low for low, _ in ends],
        published_high=[1e6 * high for _, high in ends],
    )
