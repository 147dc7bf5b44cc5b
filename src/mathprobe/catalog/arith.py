"""The models of the second study: a row each, and settings that they share.

A model's name is formatted from its row and never parsed: names are looked up.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mathprobe.arith import questions
from mathprobe.catalog.laying import admit, hold
from mathprobe.errors import InputError
from mathprobe.spec import (
    Accuracy,
    ArithModel,
    CircuitSearch,
    DecoderStack,
    Enrichment,
    GrokFast,
    Insertion,
    Questions,
    Steps,
)

MAP = (  # the files of a model's map
    *("nodes.csv", "positions.csv", "controls.csv", "claims.csv"),
    *("panels.npz", "behaviors.json", "features.json"),
)
TABLES = {  # kinds of tidy tables, and the files of a model that each is made from
    "accuracy": ("accuracy.csv", "curve.csv"),
    "curves": ("curve.csv",),
    "circuits": ("facts/nodes.csv", "facts/claims.csv"),
    "controls": ("facts/controls.csv",),
    "claims": ("facts/claims.csv",),
    "reuse": ("reuse.csv",),  # of models with a parent
}
DRAWN = (  # the figures of a model's map
    *("fails", "impact", "attention", "coverage", "complexity_S", "complexity_M"),
    *("complexity_N", "purpose", "positions", "panels"),
)


@dataclass(frozen=True)
class Row:
    """One model of the table."""

    operation: str  # add, sub or mix
    digits: int
    layers: int
    heads: int
    steps: int
    seed: int
    parent: str | None  # the name of the model whose weights it begins with
    insert: int | None  # mode
    grokfast: bool
    membership: str  # of the paper's 44: stated, inferred; or ours

    @property
    def name(self) -> str:
        """Format the name, as the paper's authors do."""
        inserted = f"ins{self.insert}_" if self.insert else ""
        shape = f"d{self.digits}_l{self.layers}_h{self.heads}"
        grokfast = "_gf" if self.grokfast else ""
        steps = f"t{self.steps / 1000:g}K"
        return f"{inserted}{self.operation}_{shape}_{steps}{grokfast}_s{self.seed}"


class ArithCatalog:
    """The models of the second study at a scale, by name."""

    def __init__(
        self, settings: dict[str, Any], row: dict[str, Any], place: str, root: Path
    ) -> None:
        """Read the table that the settings name and check every row (a schema)."""
        self.settings = settings
        self.path = Path(settings["models"])
        self.file = root / self.path
        self.rows: dict[str, Row] = {}
        for here, found in _read(self.file, self.path, row):
            if found.name in self.rows:
                raise InputError(f"{here}: {found.name} is there already")
            self.rows[found.name] = found
        for role, name in settings["shown"].items():
            admit(name, self.rows, f"{place}.shown.{role}", "model")
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
            admit(row.parent, self.rows, here, "parent")
            _check_fit(row, self.rows[row.parent], here)
            if row.parent in seen:
                raise InputError(f"{here}: its own parent, by way of {seen[-1]}")
            seen.append(row.parent)
            row = self.rows[row.parent]

    def row(self, name: str) -> Row:
        """Give the row of a model."""
        admit(name, self.rows, str(self.path), "model")
        return self.rows[name]

    def relatives(self, name: str) -> list[str]:
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
        grokfast = dict(shared["grokfast"])
        mixing = grokfast.pop("mixing") if row.grokfast else "batches"
        kind = f"inserted_{row.operation}" if row.parent else row.operation
        admit(kind, shared["operations"], f"{self.path}: {name}", "operation")
        return ArithModel(
            name,
            Questions(
                row.digits, shared["operations"][kind], mixing, self._enrichment()
            ),
            DecoderStack(row.layers, heads=row.heads, **shared["network"]),
            Steps(
                updates=row.steps,
                grokfast=GrokFast(**grokfast) if row.grokfast else None,
                **shared["schedule"],
            ),
            shared["curve_questions"],
            row.seed,
            self._insertion(row),
        )

    def _insertion(self, row: Row) -> Insertion | None:
        if row.parent is None:
            return None
        return Insertion(self.model(row.parent), row.insert, **self.settings["insert"])

    def _enrichment(self) -> Enrichment:
        return Enrichment(**self.settings["enrichment"])

    def facts(self) -> dict[str, Any]:
        """Give what a paper says about the models and their test."""
        return {
            "models": [
                {"name": name, **asdict(row)} for name, row in self.rows.items()
            ],
            "shown": self.settings["shown"],
            "questions": self.settings["accuracy"]["questions"],
            "width": self.settings["network"]["width"],
            "enriched": self.settings["enrichment"]["batches"],
        }

    def circuits(self) -> CircuitSearch:
        """Describe how thoroughly models are taken apart, the same for all."""
        return CircuitSearch(**self.settings["circuits"])

    def accuracy(self) -> Accuracy:
        """Describe the test of accuracy, the same for all models."""
        batch = self.settings["schedule"]["batch"]
        asked = self.settings["accuracy"]["questions"]
        return Accuracy(asked, batch, self._enrichment())


def _read(path: Path, name: Path, schema: dict[str, Any]) -> list[tuple[str, Row]]:
    """Read the rows of a table, each with the place that it stands at."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    return [
        (f"{name}:{at}", _row(line, f"{name}:{at}", schema))
        for at, line in enumerate(lines, 2)
    ]


def _row(line: dict[str, str], place: str, schema: dict[str, Any]) -> Row:
    values: dict[str, Any] = {
        key: int(text) if text and text.isdecimal() else text or None
        for key, text in line.items()
    }
    hold(values, schema, place)
    if (values["parent"] is None) != (values["insert"] is None):
        raise InputError(f"{place}: parent and insert stand together or not at all")
    return Row(**{**values, "grokfast": values["grokfast"] == "yes"})


def _check_fit(child: Row, parent: Row, place: str) -> None:
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
