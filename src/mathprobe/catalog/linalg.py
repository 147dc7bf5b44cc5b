"""Experiments of the first study at one scale: recipes, models and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from dataclasses import asdict
from itertools import product
from typing import Any

from msgspec import structs

from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.distributions import (
    CHOICES,
    DISTRIBUTIONS,
    components,
    default_parameters,
)
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.examples import check, distributions_for
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.linalg.tasks import TASKS
from mathprobe.paths import LINALG_NAME
from mathprobe.settings import LinalgSettings, TableEntry, merge
from mathprobe.spec import (
    ConditionNumbers,
    Curve,
    DistributionSettings,
    EncodingSpec,
    MatrixSpec,
    Model,
    Recipe,
    TestSet,
)

BASE = "base"


class LinalgCatalog:
    """Experiments of the first study at one scale."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        """Validate settings; error messages begin with `place`."""
        self.settings = LinalgSettings.from_dict(values, place)
        self.place = place
        self._recipes = self._all_recipes()
        _check_distributions(self.settings.distributions, f"{place}.distributions")
        for table, entries in self.entries.items():
            self._check_table(table, entries, f"{place}.tables.{table}")

    def _all_recipes(self) -> dict[tuple[str, str], Recipe]:
        """Return all recipes by task and name.

        A recipe is `base`, overridden first for the task and then by the recipe.
        """
        known, tasks = self.settings.recipes, self.settings.tasks
        check_choice(BASE, known, f"{self.place}.recipes", "recipe")
        for task in tasks:
            check_choice(task, TASKS, f"{self.place}.tasks", "task")
        base, recipes = known[BASE], {**known, BASE: {}}
        for name, overrides in known.items():
            _parse_recipe(merge(base, overrides), f"{self.place}.recipes.{name}")
        for task, overrides in tasks.items():
            _parse_recipe(merge(base, overrides), f"{self.place}.tasks.{task}")
        return {
            (task, name): _parse_recipe(
                merge(merge(base, tasks.get(task, {})), overrides),
                f"{self.place}.recipes.{name} of {task}",
            )
            for task, (name, overrides) in product(TASKS, recipes.items())
        }

    def _check_table(self, table: str, entries: list[TableEntry], place: str) -> None:
        known: list[dict[str, Any]] = []
        for entry in entries:
            check_choice(entry.task, TASKS, place, "task")
            check_choice(entry.recipe, self.settings.recipes, place, "recipe")
            if table == "failures":
                check_choice(entry.task, PROPERTIES, place, PROPERTIES.kind)
            for key in entry_models(entry):
                check(key["task"], key["distribution"], *parse_size(key["n"]))
                row = {**key, "accuracy": getattr(entry, "accuracy", None)}
                if row in known:
                    raise InputError(
                        f"{place}: {LINALG_NAME.format(**key)} is in two entries; "
                        "remove it from one"
                    )
                known.append(row)

    def with_tables(self, other: LinalgCatalog) -> LinalgCatalog:
        """Return a copy whose tables also have the entries of another catalog."""
        merged = {
            name: [*own, *(entry for entry in other.entries[name] if entry not in own)]
            for name, own in self.entries.items()
        }
        found = copy(self)
        tables = structs.replace(self.settings.tables, **merged)
        found.settings = structs.replace(self.settings, tables=tables)
        return found

    def recipe(self, task: str, name: str) -> Recipe:
        """Return a recipe for a task; raise InputError if either is unknown."""
        place = f"{self.place}.recipes"
        check_choice(name, self.settings.recipes, place, "recipe")
        return self._recipes[TASKS.check(task), name]

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, with complete recipes for the task of a table."""
        task = self.settings.tables.out_of_distribution[0].task
        names = self.settings.recipes
        recipes = {name: self.recipe(task, name).with_defaults() for name in names}
        return {**self.settings.to_dict(), "recipes": recipes}

    def facts(self) -> dict[str, Any]:
        """Return the settings that tables and text mention: only recipes of tables."""
        named = {entry.recipe for entries in self.entries.values() for entry in entries}
        values = self.to_dict()
        recipes = {name: values["recipes"][name] for name in sorted(named)}
        return {**values, "recipes": recipes}

    def _distribution_settings(
        self, distributions: Iterable[str]
    ) -> DistributionSettings:
        """Return the overrides of the parameters of distributions and mixtures."""
        known = self.settings.distributions
        names = (name for mixture in distributions for name in components(mixture))
        return {name: known[name] for name in names if name in known}

    def _matrices(self, task: str, distribution: str, n: int | str) -> MatrixSpec:
        rows, columns = parse_size(n)
        check(TASKS.check(task), distribution, rows, columns)
        settings = self._distribution_settings([distribution])
        return MatrixSpec(task, distribution, rows, columns, settings)

    def testset(self, task: str, distribution: str, n: int | str) -> TestSet:
        """Return the specification of a test set."""
        data = self._matrices(task, distribution, n)
        return TestSet(data, self.settings.tests.examples)

    def model(self, task: str, distribution: str, n: int | str, recipe: str) -> Model:
        """Return the specification of a model.

        Its learning curve has the test distributions of the recipe that fit the task.
        The training distribution is added if none fits, or if training may stop early.
        """
        data = self._matrices(task, distribution, n)
        settings = self.recipe(task, recipe)
        known = distributions_for(task)
        tests = [test for test in settings.curve.tests if test in known]
        if not tests or (settings.schedule.stop_accuracy and distribution not in tests):
            tests = [*tests, distribution]
        curve = Curve(
            **structs.asdict(structs.replace(settings.curve, tests=tests)),
            distribution_settings=self._distribution_settings(tests),
        )
        verdicts = {
            name: getattr(self.settings.tests, name)
            for name in ("zero_answers", "exact_answers")
        }
        new = {"data": data, "curve": curve, **verdicts}
        return Model(**{**structs.asdict(settings), **new})

    def condition_numbers(self) -> ConditionNumbers:
        """Return the samples for the table of condition numbers."""
        settings = self.settings.tables.condition_numbers
        return ConditionNumbers(
            **structs.asdict(settings),
            distribution_settings=self.settings.distributions,
        )

    @property
    def entries(self) -> dict[str, list[TableEntry]]:
        """Return the entries of each table that has tasks and sizes."""
        tables = structs.asdict(self.settings.tables).items()
        return {name: entries for name, entries in tables if isinstance(entries, list)}

    def all_models(self) -> list[dict[str, Any]]:
        """Return the models of all tables as wildcards, without duplicates."""
        tables = self.entries.values()
        return unique_models(entry for table in tables for entry in table)

    def table_entries(self, table: str, task: str, n: int | str) -> list[TableEntry]:
        """Return the entries of a table for a task and size.

        If the table has none, return its first entry, with its task and size replaced,
        and with all distributions of the task.
        """
        entries = self.entries[table]
        found = [e for e in entries if (e.task, str(e.n)) == (task, str(n))]
        other = {"task": task, "n": n, "distributions": distributions_for(task)}
        return found or [structs.replace(entries[0], **other)]

    def target_accuracies(self, task: str, n: int | str) -> list[str]:
        """Return MODEL=ACCURACY for each model of a table of learning speeds."""
        entries: list[Any] = self.table_entries("learning_speed", task, n)
        found = [
            f"{LINALG_NAME.format(**name)}={entry.accuracy}"
            for entry in entries
            for name in entry_models(entry)
        ]
        return list(dict.fromkeys(found))


def unique_models(entries: Iterable[TableEntry]) -> list[dict[str, Any]]:
    """Return the models of table entries as wildcards, each once."""
    names = [name for entry in entries for name in entry_models(entry)]
    return [name for i, name in enumerate(names) if name not in names[:i]]


def entry_models(entry: TableEntry) -> list[dict[str, Any]]:
    """Return the models of a table entry as wildcards, one for each distribution."""
    same = {"task": entry.task, "n": entry.n, "recipe": entry.recipe}
    names = entry.distributions or distributions_for(entry.task)
    return [{**same, "distribution": name} for name in names]


def parse_size(text: int | str) -> tuple[int, int]:
    """Return (rows, columns) of a size such as `5` (square) or `5x3` (five rows)."""
    rows, _, columns = str(text).partition("x")
    return int(rows), int(columns or rows)


def rounding_error(digits: int) -> float:
    """Return the typical relative error of rounding to this many digits.

    The median error of a mantissa is a quarter of its last place.  The median mantissa
    is sqrt(10), because mantissas are uniform on a logarithmic scale.
    """
    return 0.25 / (math.sqrt(10.0) * 10 ** (digits - 1))


def _parse_recipe(values: dict[str, Any], place: str) -> Recipe:
    """Return a recipe; check its names, and that its digits suffice."""
    recipe = Recipe.from_dict(values, place)
    _check_encoding(recipe.input, f"{place}.input")
    _check_encoding(recipe.output, f"{place}.output")
    for test in recipe.curve.tests:
        check_choice(test, DISTRIBUTIONS, f"{place}.curve.tests", "distribution")
    error, tolerance = rounding_error(recipe.output.digits), recipe.curve.tolerance
    if error > tolerance:
        raise InputError(
            f"{place}.output.digits: {recipe.output.digits} is too small; the typical "
            f"rounding error is {error:.1%} and the tolerance is {tolerance:.1%}"
        )
    return recipe


def _check_encoding(spec: EncodingSpec, place: str) -> None:
    check_choice(spec.encoding, ENCODINGS, f"{place}.encoding", "encoding")
    limit = ENCODINGS[spec.encoding].max_digits
    if spec.digits > limit:
        raise InputError(
            f"{place}.digits: {spec.digits} is too large; "
            f"{spec.encoding} allows 1 to {limit}"
        )


def _check_distributions(distributions: DistributionSettings, place: str) -> None:
    """Check the overridden parameters of each distribution."""
    for distribution, parameters in distributions.items():
        check_choice(distribution, DISTRIBUTIONS, place, "distribution")
        known = asdict(default_parameters(distribution))
        for name, value in parameters.items():
            here = f"{place}.{distribution}"
            check_choice(name, known, here, "parameter")
            if name in CHOICES:
                kind = CHOICES[name].kind
                check_choice(str(value), CHOICES[name], f"{here}.{name}", kind)
            elif isinstance(value, str):
                raise InputError(f"{here}.{name}: {value!r} is not a number")
