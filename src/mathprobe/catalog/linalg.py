"""The first study at a scale: recipes laid over each other, tables, models."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from itertools import product
from typing import Any

from msgspec import structs

from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.draws import check, laws_for
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.laws import COEFFICIENTS, LAWS, base_of, parts
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.linalg.tasks import TASKS
from mathprobe.paths import LINALG_NAME
from mathprobe.settings import LinalgSettings, TableEntry, overlay
from mathprobe.spec import (
    Conditions,
    Curve,
    EncodingSpec,
    LawSettings,
    MatrixSpec,
    Model,
    Recipe,
    TestSet,
)

BASE = "base"


class LinalgCatalog:
    """The experiments of the first study at a scale."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        """Check settings; faults are named by their place."""
        self.settings = LinalgSettings.of(values, place)
        self.place = place
        self._recipes = self._all_recipes()
        _check_laws(self.settings.laws, f"{place}.laws")
        for table, entries in self.entries.items():
            self._check_table(table, entries, f"{place}.tables.{table}")

    def _all_recipes(self) -> dict[tuple[str, str], Recipe]:
        """Lay every recipe over `base` and what each task changes of that."""
        known, tasks = self.settings.recipes, self.settings.tasks
        check_choice(BASE, known, f"{self.place}.recipes", "recipe")
        for task in tasks:
            check_choice(task, TASKS, f"{self.place}.tasks", "task")
        base, changes = known[BASE], {**known, BASE: {}}
        for name, over in known.items():
            _recipe(overlay(base, over), f"{self.place}.recipes.{name}")
        for task, over in tasks.items():
            _recipe(overlay(base, over), f"{self.place}.tasks.{task}")
        return {
            (task, name): _recipe(
                overlay(overlay(base, tasks.get(task, {})), over),
                f"{self.place}.recipes.{name} of {task}",
            )
            for task, (name, over) in product(TASKS, changes.items())
        }

    def _check_table(self, table: str, entries: list[TableEntry], place: str) -> None:
        for entry in entries:
            check_choice(entry.task, TASKS, place, "task")
            check_choice(entry.recipe, self.settings.recipes, place, "recipe")
            if table == "failures":
                check_choice(entry.task, PROPERTIES, place, PROPERTIES.kind)
            for key in models(entry):
                check(key["task"], key["law"], *size(key["n"]))

    def recipe(self, task: str, name: str) -> Recipe:
        """Return a recipe for a task, which changes `base` under the recipe."""
        place = f"{self.place}.recipes"
        check_choice(name, self.settings.recipes, place, "recipe")
        return self._recipes[TASKS.known(task), name]

    def plain(self) -> dict[str, Any]:
        """Return plain values; recipes are those of the first table's task."""
        task = self.settings.tables.out_of_distribution[0].task
        names = self.settings.recipes
        recipes = {name: self.recipe(task, name).plain() for name in names}
        return {**self.settings.plain(), "recipes": recipes}

    def _law_settings(self, laws: Iterable[str]) -> LawSettings:
        """Return what the settings change of these laws and mixtures."""
        known = self.settings.laws
        found = (part for law in laws for part in parts(law))
        return {part: known[part] for part in found if part in known}

    def _matrices(self, task: str, law: str, n: int | str) -> MatrixSpec:
        rows, columns = size(n)
        check(TASKS.known(task), law, rows, columns)
        return MatrixSpec(task, law, rows, columns, self._law_settings([law]))

    def testset(self, task: str, law: str, n: int | str) -> TestSet:
        """Describe a test set."""
        return TestSet(self._matrices(task, law, n), self.settings.tests.examples)

    def model(self, task: str, law: str, n: int | str, recipe: str) -> Model:
        """Describe a network and its training."""
        data, settings = self._matrices(task, law, n), self.recipe(task, recipe)
        # Laws that do not fit are left out; where none fits, it is the own one.
        tests = [test for test in settings.curve.tests if test in laws_for(task)]
        if not tests or (settings.schedule.stop_accuracy and law not in tests):
            tests = [*tests, law]
        shown = structs.replace(settings.curve, tests=tests)
        curve = Curve(**structs.asdict(shown), law_settings=self._law_settings(tests))
        return Model(**{**structs.asdict(settings), "data": data, "curve": curve})

    def conditions(self) -> Conditions:
        """Describe the sample behind the table of condition numbers."""
        sample = self.settings.tables.condition_numbers
        return Conditions(**structs.asdict(sample), law_settings=self.settings.laws)

    @property
    def entries(self) -> dict[str, list[TableEntry]]:
        """Return what tables of a task and size are made for, by their names."""
        tables = structs.asdict(self.settings.tables).items()
        return {name: entries for name, entries in tables if isinstance(entries, list)}

    def all_models(self) -> list[dict[str, Any]]:
        """Return the names of all models that tables show, once."""
        every = self.entries.values()
        names = [name for table in every for e in table for name in models(e)]
        return [name for place, name in enumerate(names) if name not in names[:place]]

    def shown(self, table: str, task: str, n: int | str) -> list[TableEntry]:
        """Return a table's entries for a task and size.

        If the configuration names none, the recipe of the first is shown, on all laws
        of the task.
        """
        entries = self.entries[table]
        named = [e for e in entries if (e.task, str(e.n)) == (task, str(n))]
        other = {"task": task, "n": n, "laws": laws_for(task)}
        return named or [structs.replace(entries[0], **other)]

    def targets(self, task: str, n: int | str) -> list[str]:
        """Return MODEL=ACCURACY for every model of a table of learning speeds."""
        entries: list[Any] = self.shown("learning_speed", task, n)
        found = [
            f"{LINALG_NAME.format(**name)}={entry.accuracy}"
            for entry in entries
            for name in models(entry)
        ]
        return list(dict.fromkeys(found))


def models(entry: TableEntry) -> list[dict[str, Any]]:
    """Return the names of an entry's models: of its laws, or all of its task."""
    name = {"task": entry.task, "n": entry.n, "recipe": entry.recipe}
    return [{**name, "law": law} for law in entry.laws or laws_for(entry.task)]


def size(text: int | str) -> tuple[int, int]:
    """Read a size: `5` is square, `5x3` has five rows and three columns."""
    rows, _, columns = str(text).partition("x")
    return int(rows), int(columns or rows)


def rounding(digits: int) -> float:
    """Return the relative error of rounding to so many digits, as a rule.

    A mantissa is off by a quarter of its last place at the median; on a logarithmic
    scale it is sqrt(10) at the median.
    """
    return 0.25 / (math.sqrt(10.0) * 10 ** (digits - 1))


def _recipe(values: dict[str, Any], place: str) -> Recipe:
    """Read a whole recipe, and check what its fields are to each other."""
    recipe = Recipe.of(values, place)
    _check_encoding(recipe.input, f"{place}.input")
    _check_encoding(recipe.output, f"{place}.output")
    for law in recipe.curve.tests:
        check_choice(law, LAWS, f"{place}.curve.tests", "law")
    error, tolerance = rounding(recipe.output.digits), recipe.curve.tolerance
    if error > tolerance:
        raise InputError(
            f"{place}.output.digits: {recipe.output.digits} is too coarse: a number is "
            f"rounded by {error:.1%}, as a rule, and answers are right within "
            f"{tolerance:.1%}"
        )
    return recipe


def _check_encoding(side: EncodingSpec, place: str) -> None:
    check_choice(side.encoding, ENCODINGS, f"{place}.encoding", "encoding")
    most = ENCODINGS[side.encoding].most_digits
    if side.digits > most:
        raise InputError(
            f"{place}.digits: {side.digits} is too many; "
            f"{side.encoding} takes 1 to {most}"
        )


def _check_laws(laws: LawSettings, place: str) -> None:
    """Check settings against those that the base of each law has."""
    for law, settings in laws.items():
        check_choice(law, LAWS, place, "law")
        usual = asdict(base_of(law))
        for name, value in settings.items():
            here = f"{place}.{law}"
            check_choice(name, usual, here, "setting")
            if name == "coefficients":
                names = COEFFICIENTS, f"{here}.{name}", COEFFICIENTS.kind
                check_choice(str(value), *names)
            elif isinstance(value, str):
                raise InputError(f"{here}.{name}: {value!r} is not a number")
