"""Sources of the numbers in a paper: macros, rows of tables, files and runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mathprobe import files, paths
from mathprobe.catalog.arith import TABLE_SOURCES
from mathprobe.paper import tables
from mathprobe.paper.tables import KINDS, Row

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
MACRO = re.compile(r"\\defresult\{([\w/]+)\}\{(.*)\}")
IGNORED = re.compile(r"[\\,%\[\]]")  # in 5\,000 or 5,000, and around 24.2 %
POWER = re.compile(r"\\cdot 10\^\{(-?\d+)\}")  # in 1.28\cdot 10^{6}
PRINTED = ("published", "notebook", "printed")  # columns of numbers of the papers
BOUNDS = ("low", "high")
TRAINING_OUTPUTS = ("curve.csv", "run.json")
ARITH = "arith_"  # prefix of the tables of the second study


@dataclass(frozen=True)
class Cell:
    """A cell of a tidy table; without a number in the query, a row of it."""

    table: Path
    line: int  # in the CSV file; the header is line 1
    column: str
    row: Row

    @property
    def words(self) -> list[str]:
        """Return the table, the column and the texts of the row."""
        texts = (str(value) for value in self.row.values() if isinstance(value, str))
        return [self.table.stem, self.column, *texts]


def read_macros(results: Path) -> dict[str, str]:
    """Return the values of the macros of a scale, by name; none if there is no file."""
    path = results / "tables/numbers.tex"
    text = path.read_text("utf-8") if path.exists() else ""
    return {name: _plain(value) for name, value in MACRO.findall(text)}


def _plain(value: str) -> str:
    """Return a value of a macro with numbers as Python writes them."""
    value = POWER.sub(r"e\1", value.replace("$-$", "-"))
    return IGNORED.sub("", value)


def find_cells_of_macro(results: Path, name: str, value: str) -> list[Cell]:
    """Return the cells with the numbers of a macro that have most words of its name.

    There are none if the number is computed from several rows, or is a setting.
    """
    words, cells = re.split("[/_]", name), []
    for number in NUMBER.findall(value):
        found = find_cells(results, [number])
        common = [sum(word in " ".join(cell.words) for word in words) for cell in found]
        best = max(common, default=0)
        cells += [c for c, n in zip(found, common, strict=True) if n == best > 0]
    return cells


def find_cells(results: Path, words: list[str]) -> list[Cell]:
    """Return the cells of tables that match all words.

    A number matches a value that rounds to it, or a share that does as a percentage.
    Another word is a column, a text in the row or a part of the name of the table.
    Estimates in tables that the paper prints come first.
    """
    numbers = [word for word in words if NUMBER.fullmatch(word)]
    texts = {*words} - {*numbers}
    found = []
    for path in sorted((results / "tables").glob("*.csv")):
        for line, row in enumerate(tables.records(tables.read(path)), 2):
            matches = [
                {column for column, value in row.items() if _rounds_to(value, number)}
                for number in numbers
            ]
            if all(matches):
                columns = sorted(set().union(*matches)) or [""]
                found += [Cell(path, line, column, row) for column in columns]
    matching = (
        cell
        for cell in found
        if all(text in cell.words or text in cell.table.stem for text in texts)
    )
    return sorted(matching, key=_rank)


def _rank(cell: Cell) -> tuple[bool, bool]:
    return not KINDS[_kind(cell)].templates, cell.column in BOUNDS


def _rounds_to(value: object, number: str) -> bool:
    """Return whether a value, or 100 times it, rounds to a number as it is printed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    printed = Decimal(number)
    half = 0.5000001 * 10 ** int(printed.as_tuple().exponent)
    return any(abs(x - float(printed)) <= half for x in (value, 100 * value))


def describe(
    cell: Cell, models: Path, published: Path, recorded: bool
) -> Iterator[str]:
    """Yield lines about a cell: its row, files, run and the command that makes it.

    `models` is the folder of the studies, and `published` that of published numbers.
    No command makes the files of `recorded` models again.
    """
    value = f", {cell.column} = {cell.row[cell.column]}" if cell.column else ""
    yield f"{cell.table}, line {cell.line}{value}"
    keys = KINDS[_kind(cell)].keys
    row = (
        f"{name} {value}"
        for name, value in cell.row.items()
        if isinstance(value, str) or (name in keys and value is not None)
    )
    yield f"  row: {', '.join(row)}"
    if cell.column.startswith(PRINTED):
        yield f"  source: {published}, printed in the paper"
        return
    again = []
    if model := _model(cell):
        folder, names = models / model[0], model[1]
        file = paths.run_file(folder)
        if not file.exists():
            yield f"  source: {folder} is not {'recorded' if recorded else 'trained'}"
            return
        run = files.read_json(file)
        yield f"  source: {', '.join(str(folder / name) for name in names)}"
        yield (
            f"  run: {file}, revision {run['revision']}, "
            f"finished {run['finished'] or 'not yet'}, on {run['device']}"
        )
        if not recorded:
            again = [folder / name for name in names if name not in TRAINING_OUTPUTS]
    yield f"  again: snakemake -c2 --force {' '.join(map(str, [*again, cell.table]))}"


def _kind(cell: Cell) -> str:
    sized = rf"(\w+?)_{cell.row.get('task')}_n{cell.row.get('n')}"
    match = re.fullmatch(sized, cell.table.stem)
    return match[1] if match else cell.table.stem


def _model(cell: Cell) -> tuple[str, tuple[str, ...]] | None:
    """Return the folder of the model of a row and its files; None without a model."""
    kind, row = _kind(cell), cell.row
    if (files := TABLE_SOURCES.get(kind.removeprefix(ARITH))) and "model" in row:
        return f"arith/{row['model']}", files
    if "recipe" not in row:
        return None
    name = {"distribution": row["train"], **row}
    folder = f"linalg/{paths.LINALG_NAME.format(**name)}"
    return folder, (KINDS[kind].model_file or "run.json",)
