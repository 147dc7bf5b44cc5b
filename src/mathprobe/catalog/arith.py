"""Experiments of the second study at one scale: a table of models, and settings.

The name of a model depends only on its row.  The code never parses names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Any

from msgspec import structs

from mathprobe.arith import questions
from mathprobe.errors import InputError, check_choice
from mathprobe.settings import ArithSettings, DecoderRow
from mathprobe.spec import (
    AccuracyTest,
    ArithModel,
    CircuitSearch,
    DecoderConfig,
    DecoderSchedule,
    GrokFast,
    Insertion,
    Questions,
)
from mathprobe.structs import convert

NAME = re.compile(r"[a-zK0-9_.]{1,100}")  # of a model; a part of file names
MAP_FILES = (  # files of the circuit analysis of a model
    *("nodes.csv", "published_rule.csv", "positions.csv", "controls.csv", "claims.csv"),
    *("sufficiency.csv", "panels.npz", "behaviors.json", "features.json"),
)
TABLE_SOURCES = {  # files of a model that each kind of table needs
    "accuracy": ("accuracy.csv", "curve.csv"),
    "curves": ("curve.csv",),
    "circuits": ("facts/nodes.csv", "facts/published_rule.csv", "facts/claims.csv"),
    "controls": ("facts/controls.csv",),
    "sufficiency": ("facts/sufficiency.csv",),
    "claims": ("facts/claims.csv",),
    "reuse": ("reuse.csv",),  # models with a parent only
}


class ArithCatalog:
    """Experiments of the second study at one scale."""

    def __init__(self, values: dict[str, Any], place: str, root: Path) -> None:
        """Validate settings and the table of models, whose path is relative to `root`.

        Error messages about settings begin with `place`.
        """
        self.settings = ArithSettings.from_dict(values, place)
        self.path = Path(self.settings.models)
        self.file = root / self.path
        self.rows: dict[str, DecoderRow] = {}
        for here, row in _read(self.file, self.path):
            operations = self.settings.operations
            check_choice(row.operation, operations, here, "operation")
            if not NAME.fullmatch(row.name):
                raise InputError(
                    f"{here}: {row.name!r} is not a valid name; use smaller numbers"
                )
            if row.name in self.rows:
                raise InputError(f"{here}: duplicate model {row.name}")
            self.rows[row.name] = row
        for role, name in structs.asdict(self.settings.example_models).items():
            check_choice(name, self.rows, f"{place}.example_models.{role}", "model")
        for name in self.rows:
            self._check_ancestors(name)
            model = self.model(name)
            try:
                questions.check(model.questions)
            except InputError as error:
                raise InputError(f"{place}: {name}: {error}") from error

    def with_models(self, other: ArithCatalog) -> ArithCatalog:
        """Return a copy that also has the models of another catalog."""
        found = copy(self)
        found.rows = self.rows | other.rows
        return found

    def _check_ancestors(self, name: str) -> None:
        """Raise InputError if an ancestor is unknown, does not fit or forms a cycle."""
        row, seen = self.rows[name], [name]
        while row.parent:
            here = f"{self.path}: {row.name}"
            check_choice(row.parent, self.rows, here, "parent")
            _check_fit(row, self.rows[row.parent], here)
            if row.parent in seen:
                raise InputError(f"{here}: cycle of parents through {seen[-1]}")
            seen.append(row.parent)
            row = self.rows[row.parent]

    def row(self, name: str) -> DecoderRow:
        """Return the row of a model; raise InputError for an unknown name."""
        check_choice(name, self.rows, str(self.path), "model")
        return self.rows[name]

    def comparison_models(self, name: str) -> list[str]:
        """Return a model, its parent, and equal models that have no parent."""
        row = self.row(name)
        keys = ("operation", "digits", "layers", "heads", "steps")
        shape = [getattr(row, key) for key in keys]
        scratch = [
            other.name
            for other in self.rows.values()
            if other.parent is None and [getattr(other, key) for key in keys] == shape
        ]
        return list(dict.fromkeys([name, *filter(None, [row.parent]), *scratch]))

    def model(self, name: str) -> ArithModel:
        """Return the specification of a model."""
        row, shared = self.row(name), self.settings
        kind = f"inserted_{row.operation}" if row.parent else row.operation
        place = f"{self.path}: {name}"
        check_choice(kind, shared.operations, place, "operation")
        chosen = shared.grokfast
        grokfast = GrokFast(chosen.decay, chosen.strength, chosen.keep_average)
        return ArithModel(
            name,
            Questions(
                row.digits,
                shared.operations[kind],
                chosen.mixing if row.grokfast else "batches",
                shared.enrichment,
            ),
            DecoderConfig(
                layers=row.layers, heads=row.heads, **structs.asdict(shared.network)
            ),
            DecoderSchedule(
                updates=row.steps,
                grokfast=grokfast if row.grokfast else None,
                **structs.asdict(shared.schedule),
            ),
            shared.curve_questions,
            row.seed,
            self._insertion(row),
        )

    def equal_shares(self, operations: Iterable[str]) -> dict[str, float]:
        """Return equal fractions of questions: of `mix`, half are additions."""
        known = self.settings.operations
        for name in operations:
            check_choice(name, known, "--operations", "operation")
        parts = dict.fromkeys(part for name in operations for part in known[name])
        return dict.fromkeys(parts, 1.0 / max(1, len(parts)))

    def _insertion(self, row: DecoderRow) -> Insertion | None:
        if row.parent is None or row.insert is None:
            return None
        settings = structs.asdict(self.settings.insert)
        return Insertion(parent=self.model(row.parent), mode=row.insert, **settings)

    def facts(self) -> dict[str, Any]:
        """Return the models and settings that tables and text mention."""
        return {
            "models": [
                {"name": name, **row.to_dict()} for name, row in self.rows.items()
            ],
            "example_models": self.settings.example_models.to_dict(),
            "questions": self.settings.accuracy.questions,
            "width": self.settings.network.width,
            "enriched": self.settings.enrichment.batches,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, with the rows of all models."""
        models = {name: row.to_dict() for name, row in self.rows.items()}
        return {**self.settings.to_dict(), "models": models}

    def circuits(self) -> CircuitSearch:
        """Return the settings of circuit analysis, which all models share."""
        return self.settings.circuits

    def accuracy(self) -> AccuracyTest:
        """Return the specification of the accuracy test, which all models share."""
        shared = self.settings
        count, batch = shared.accuracy.questions, shared.schedule.batch
        return AccuracyTest(count, batch, shared.enrichment)


def _read(path: Path, name: Path) -> list[tuple[str, DecoderRow]]:
    """Return the location `name:line` and the content of each row of a table."""
    try:  # tables that a spreadsheet program has saved may begin with a byte order mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t")
            columns = reader.fieldnames or []
            lines = [(f"{name}:{reader.line_num}", line) for line in reader]
    except OSError as error:
        raise InputError(f"arith.models: {name}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name}: save this file as UTF-8 text ({error})") from error
    if not lines:
        raise InputError(f"{name}: the table has no model")
    if len(set(columns)) < len(columns):
        raise InputError(f"{name}:1: a column occurs twice in {', '.join(columns)}")
    return [(place, _row(line, place)) for place, line in lines]


def _row(line: dict[str, str], place: str) -> DecoderRow:
    """Convert a line to a row; an empty cell is a missing value."""
    if None in line:
        raise InputError(f"{place}: more cells than columns; remove tabs")
    values: dict[str, Any] = {key: text for key, text in line.items() if text}
    if text := values.get("grokfast"):
        if text not in ("yes", "no"):
            raise InputError(f"{place}.grokfast: {text!r} is not yes or no")
        values["grokfast"] = text == "yes"
    row = convert(values, DecoderRow, place, strict=False)
    if (row.parent is None) != (row.insert is None):
        raise InputError(f"{place}: set both parent and insert, or neither")
    return row


def _check_fit(child: DecoderRow, parent: DecoderRow, place: str) -> None:
    """Raise InputError if digits differ, or if a parent has more layers or heads."""
    if parent.digits != child.digits:
        raise InputError(
            f"{place}: {child.digits} digits, but the parent {parent.name} has "
            f"{parent.digits}; both must be equal"
        )
    for key in ("layers", "heads"):
        own, inherited = getattr(child, key), getattr(parent, key)
        if inherited > own:
            raise InputError(
                f"{place}: {own} {key}, but the parent {parent.name} has {inherited}; "
                "a parent must not have more than its child"
            )
