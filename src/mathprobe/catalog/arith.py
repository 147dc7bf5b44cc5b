"""The models of the second study: a row each, and settings that they share.

A model's name is formatted from its row and never parsed: names are looked up.
"""

from __future__ import annotations

import csv
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

MAP_FILES = (  # the files of a model's map
    *("nodes.csv", "positions.csv", "controls.csv", "claims.csv"),
    *("panels.npz", "behaviors.json", "features.json"),
)
TABLE_SOURCES = {  # kinds of tidy tables, and the files of a model that each is made from
    "accuracy": ("accuracy.csv", "curve.csv"),
    "curves": ("curve.csv",),
    "circuits": ("facts/nodes.csv", "facts/claims.csv"),
    "controls": ("facts/controls.csv",),
    "claims": ("facts/claims.csv",),
    "reuse": ("reuse.csv",),  # of models with a parent
}


class ArithCatalog:
    """The models of the second study at a scale, by name."""

    def __init__(self, values: dict[str, Any], place: str, root: Path) -> None:
        """Check settings, and every row of the table that they name below `root`."""
        self.settings = ArithSettings.from_dict(values, place)
        self.path = Path(self.settings.models)
        self.file = root / self.path
        self.rows: dict[str, DecoderRow] = {}
        for here, row in _read(self.file, self.path):
            if row.name in self.rows:
                raise InputError(f"{here}: {row.name} is there already")
            self.rows[row.name] = row
        for role, name in structs.asdict(self.settings.example_models).items():
            check_choice(name, self.rows, f"{place}.example_models.{role}", "model")
        for name in self.rows:
            self._check_family(name)
            model = self.model(name)
            try:
                questions.check(model.questions)
            except InputError as error:
                raise InputError(f"{place}: {name}: {error}") from error

    def _check_family(self, name: str) -> None:
        """Refuse a parent that is unknown, does not fit in, or is its own child."""
        row, seen = self.rows[name], [name]
        while row.parent:
            here = f"{self.path}: {row.name}"
            check_choice(row.parent, self.rows, here, "parent")
            _check_fit(row, self.rows[row.parent], here)
            if row.parent in seen:
                raise InputError(f"{here}: its own parent, by way of {seen[-1]}")
            seen.append(row.parent)
            row = self.rows[row.parent]

    def row(self, name: str) -> DecoderRow:
        """Give the row of a model."""
        check_choice(name, self.rows, str(self.path), "model")
        return self.rows[name]

    def comparison_models(self, name: str) -> list[str]:
        """Name a model, its parent, and those of its shape from random weights."""
        row = self.row(name)
        alike = ("operation", "digits", "layers", "heads", "steps")
        shape = [getattr(row, key) for key in alike]
        scratch = [
            other.name
            for other in self.rows.values()
            if other.parent is None and [getattr(other, key) for key in alike] == shape
        ]
        family = [name, *([row.parent] if row.parent else []), *scratch]
        return list(dict.fromkeys(family))

    def model(self, name: str) -> ArithModel:
        """Describe a model and its training."""
        row, shared = self.row(name), self.settings
        kind = f"inserted_{row.operation}" if row.parent else row.operation
        place = f"{self.path}: {name}"
        check_choice(kind, shared.operations, place, "operation")
        grokfast = shared.grokfast
        strengthened = GrokFast(
            grokfast.decay, grokfast.strength, grokfast.keep_average
        )
        return ArithModel(
            name,
            Questions(
                row.digits,
                shared.operations[kind],
                grokfast.mixing if row.grokfast else "batches",
                shared.enrichment,
            ),
            DecoderConfig(
                layers=row.layers, heads=row.heads, **structs.asdict(shared.network)
            ),
            DecoderSchedule(
                updates=row.steps,
                grokfast=strengthened if row.grokfast else None,
                **structs.asdict(shared.schedule),
            ),
            shared.curve_questions,
            row.seed,
            self._insertion(row),
        )

    def _insertion(self, row: DecoderRow) -> Insertion | None:
        if row.parent is None or row.insert is None:
            return None
        settings = structs.asdict(self.settings.insert)
        return Insertion(parent=self.model(row.parent), mode=row.insert, **settings)

    def facts(self) -> dict[str, Any]:
        """Return what a paper says about the models and their test."""
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
        """Return the settings and the models as plain values."""
        models = {name: row.to_dict() for name, row in self.rows.items()}
        return {**self.settings.to_dict(), "models": models}

    def circuits(self) -> CircuitSearch:
        """Describe how thoroughly models are taken apart, the same for all."""
        return self.settings.circuits

    def accuracy(self) -> AccuracyTest:
        """Describe the test of accuracy, the same for all models."""
        shared = self.settings
        asked, batch = shared.accuracy.questions, shared.schedule.batch
        return AccuracyTest(asked, batch, shared.enrichment)


def _read(path: Path, name: Path) -> list[tuple[str, DecoderRow]]:
    """Read the rows of a table, each with the place that it stands at."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", restkey="more cells"))
    return [
        (f"{name}:{at}", _row(line, f"{name}:{at}")) for at, line in enumerate(lines, 2)
    ]


def _row(line: dict[str, str], place: str) -> DecoderRow:
    """Read a row; an empty cell is nothing."""
    values: dict[str, Any] = {key: text for key, text in line.items() if text}
    if values.get("grokfast") in ("yes", "no"):
        values["grokfast"] = values["grokfast"] == "yes"
    row = convert(values, DecoderRow, place, strict=False)
    if (row.parent is None) != (row.insert is None):
        raise InputError(f"{place}: parent and insert stand together or not at all")
    return row


def _check_fit(child: DecoderRow, parent: DecoderRow, place: str) -> None:
    """Refuse a parent of other digits, or with more layers or heads."""
    if parent.digits != child.digits:
        raise InputError(
            f"{place}: {child.digits} digits, but its parent {parent.name} has "
            f"{parent.digits}; they must be the same"
        )
    for what in ("layers", "heads"):
        mine, its = getattr(child, what), getattr(parent, what)
        if its > mine:
            raise InputError(
                f"{place}: {mine} {what}, but its parent {parent.name} has {its}; "
                "a parent has no more than its child"
            )
