"""Findings of each recorded scale, and their table in README.md."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from mathprobe import paths
from mathprobe.catalog import RECORD, Catalog
from mathprobe.errors import InputError
from mathprobe.inputs import Inputs
from mathprobe.paper import arith_tables, published, tables
from mathprobe.paper.findings import CLAIMS, TABLES, Source, build
from mathprobe.paper.tables import KINDS, Frame, Row, Tables, records
from mathprobe.settings import merge
from mathprobe.where import ARITH

BEGIN, END = "<!-- findings of the record: begin -->", "<!-- end -->"
EXPLANATION = (
    "Matrices have the size in brackets. Intervals and ± cover the test examples, not "
    "the variation between training runs. *yes*: the claim holds in most tests, and "
    "fails in none; *no*: the reverse; *partly*: both occur; *undecided*: the "
    "intervals allow both, or the paper does not claim it of these models; –: no such "
    "model is recorded."
)


class Wildcards(dict[str, Any]):
    """The wildcards of a path, as Snakemake passes them to functions of Inputs."""

    __getattr__ = dict.__getitem__


def read_published(folder: Path) -> Row:
    """Read the published numbers of both studies, by the names of their files."""
    arith = [*sorted(folder.glob("arith_*.csv")), folder / "quirke2024.yaml"]
    return {**published.read_folder(folder), **arith_tables.read_published(arith)}


def sources(catalog: Catalog, printed: Row, root: Path = Path()) -> Iterator[Source]:
    """Yield the tables of every recorded scale, each without the models of the others.

    `printed` are the published numbers of both studies; paths are relative to `root`.
    """
    for scale in catalog.recorded_scales:
        values = merge(catalog.config, {"record": {"scales": [scale]}})
        own = Catalog(values, root)
        context = {**own.facts(RECORD), "published": printed}
        yield Source(scale, True, _tables(own, context), context)


def _tables(catalog: Catalog, context: Row) -> Tables:
    """Return the tables of a record from which findings follow."""
    inputs, printed = Inputs(catalog), context["published"]
    found: Tables = {}
    known = {**catalog.names, "kind": inputs.by_size}
    for kind in (one for one in TABLES if KINDS[one].config_table):
        parts = []
        for path in inputs.tables(RECORD, kind):
            w = Wildcards(paths.parse(path, known)[1])
            targets = (one.split("=") for one in inputs.target_accuracies(w))
            parts.append(
                tables.build(
                    kind,
                    tables.read_models(kind, _folders(inputs.table_inputs(w))),
                    printed,
                    inputs.missing(w),
                    [(model, float(accuracy)) for model, accuracy in targets],
                )
            )
        found[kind] = tables.concat(parts)
    for name in (one for one in TABLES if one.startswith(ARITH)):
        kind, models = name.removeprefix(ARITH), context["arith"]["models"]
        w = Wildcards(scale=RECORD, kind=kind)
        folders = _folders(inputs.arith_table_inputs(w))
        found[name] = arith_tables.build(kind, models, folders, printed)
    return found


def _folders(files: list[str]) -> list[Path]:
    """Return the folders of models from their files, without duplicates."""
    parents = (Path(file).parent for file in files)
    return list(dict.fromkeys(p.parent if p.name == "facts" else p for p in parents))


def readme(text: str, catalog: Catalog, folder: Path) -> str:
    """Return the text of README.md with the findings of the record between its marks.

    `folder` has the published numbers.  Raises InputError if a mark is missing.
    """
    if not (block := re.search(f"{BEGIN}\n.*?{END}", text, re.DOTALL)):
        raise InputError(f"README.md: the marks {BEGIN} and {END} are missing")
    found = list(sources(catalog, read_published(folder)))
    smaller = [source.scale for source in found if not source.context["full"]]
    return text.replace(block[0], f"{BEGIN}\n{markdown(build(found), smaller)}{END}")


def markdown(findings: Frame, smaller: Container[str]) -> str:
    """Return findings of recorded models as a Markdown table: a row per claim.

    Of several recorded scales, the first one that has measured a claim is shown.
    Sentences above the table name the `smaller` scales in it and explain the columns.
    """
    first = findings.drop_duplicates("claim")
    rows = records(first[[not CLAIMS[name].sampled for name in first["claim"]]])
    shown = dict.fromkeys(row["scale"] for row in rows if row["ours"])
    notes = [
        f"Models of scale `{scale}` are smaller than the published ones and were "
        "trained on fewer examples ([pilots](docs/pilots.md))."
        for scale in shown
        if scale in smaller
    ]
    lines = [" ".join([*notes, EXPLANATION]), ""]
    lines += ["| claim | published | recorded | reproduced? |", "|---|---|---|---|"]
    for row in rows:
        ours, answer = "not recorded yet", ""
        if row["ours"]:
            ours = f"{row['ours']} ({row['scale']}, {row['size']})"
            answer = row["verdict"].replace("yes", "**yes**")
        lines.append(f"| {row['statement']} | {row['published']} | {ours} | {answer} |")
    return "\n".join([*lines, ""])
