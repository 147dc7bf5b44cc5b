"""The first study at a scale: recipes laid over each other, tables, models."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from itertools import product
from typing import Any

from msgspec import structs

from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.distributions import (
    COEFFICIENTS,
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
    """The experiments of the first study at a scale."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        """Check settings; faults are named by their place."""
        self.settings = LinalgSettings.from_dict(values, place)
        self.place = place
        self._recipes = self._all_recipes()
        _check_distributions(self.settings.distributions, f"{place}.distributions")
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
            _recipe(merge(base, over), f"{self.place}.recipes.{name}")
        for task, over in tasks.items():
            _recipe(merge(base, over), f"{self.place}.tasks.{task}")
        return {
            (task, name): _recipe(
                merge(merge(base, tasks.get(task, {})), over),
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
                check(key["task"], key["distribution"], *parse_size(key["n"]))

    def recipe(self, task: str, name: str) -> Recipe:
        """Return a recipe for a task, which changes `base` under the recipe."""
        place = f"{self.place}.recipes"
        check_choice(name, self.settings.recipes, place, "recipe")
        return self._recipes[TASKS.check(task), name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; recipes are those of the first table's task."""
        task = self.settings.tables.out_of_distribution[0].task
        names = self.settings.recipes
        recipes = {name: self.recipe(task, name).to_dict() for name in names}
        return {**self.settings.to_dict(), "recipes": recipes}

    def _distribution_settings(
        self, distributions: Iterable[str]
    ) -> DistributionSettings:
        """Return what the settings change of these distributions and mixtures."""
        known = self.settings.distributions
        found = (
            part for distribution in distributions for part in components(distribution)
        )
        return {part: known[part] for part in found if part in known}

    def _matrices(self, task: str, distribution: str, n: int | str) -> MatrixSpec:
        rows, columns = parse_size(n)
        check(TASKS.check(task), distribution, rows, columns)
        return MatrixSpec(
            task,
            distribution,
            rows,
            columns,
            self._distribution_settings([distribution]),
        )

    def testset(self, task: str, distribution: str, n: int | str) -> TestSet:
        """Describe a test set."""
        return TestSet(
            self._matrices(task, distribution, n), self.settings.tests.examples
        )

    def model(self, task: str, distribution: str, n: int | str, recipe: str) -> Model:
        """Describe a network and its training."""
        data, settings = (
            self._matrices(task, distribution, n),
            self.recipe(task, recipe),
        )
        # Distributions that do not fit are left out; where none fits, it is the own one.
        tests = [
            test for test in settings.curve.tests if test in distributions_for(task)
        ]
        if not tests or (settings.schedule.stop_accuracy and distribution not in tests):
            tests = [*tests, distribution]
        shown = structs.replace(settings.curve, tests=tests)
        curve = Curve(
            **structs.asdict(shown),
            distribution_settings=self._distribution_settings(tests),
        )
        return Model(**{**structs.asdict(settings), "data": data, "curve": curve})

    def condition_numbers(self) -> ConditionNumbers:
        """Describe the sample behind the table of condition numbers."""
        sample = self.settings.tables.condition_numbers
        return ConditionNumbers(
            **structs.asdict(sample), distribution_settings=self.settings.distributions
        )

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

    def table_entries(self, table: str, task: str, n: int | str) -> list[TableEntry]:
        """Return a table's entries for a task and size.

        If the configuration names none, the recipe of the first is shown, on all distributions
        of the task.
        """
        entries = self.entries[table]
        named = [e for e in entries if (e.task, str(e.n)) == (task, str(n))]
        other = {"task": task, "n": n, "distributions": distributions_for(task)}
        return named or [structs.replace(entries[0], **other)]

    def target_accuracies(self, task: str, n: int | str) -> list[str]:
        """Return MODEL=ACCURACY for every model of a table of learning speeds."""
        entries: list[Any] = self.table_entries("learning_speed", task, n)
        found = [
            f"{LINALG_NAME.format(**name)}={entry.accuracy}"
            for entry in entries
            for name in models(entry)
        ]
        return list(dict.fromkeys(found))


def models(entry: TableEntry) -> list[dict[str, Any]]:
    """Return the names of an entry's models: of its distributions, or all of its task."""
    name = {"task": entry.task, "n": entry.n, "recipe": entry.recipe}
    return [
        {**name, "distribution": distribution}
        for distribution in entry.distributions or distributions_for(entry.task)
    ]


def parse_size(text: int | str) -> tuple[int, int]:
    """Read a size: `5` is square, `5x3` has five rows and three columns."""
    rows, _, columns = str(text).partition("x")
    return int(rows), int(columns or rows)


def rounding_error(digits: int) -> float:
    """Return the relative error of rounding to so many digits, as a rule.

    A mantissa is off by a quarter of its last place at the median; on a logarithmic
    scale it is sqrt(10) at the median.
    """
    return 0.25 / (math.sqrt(10.0) * 10 ** (digits - 1))


def _recipe(values: dict[str, Any], place: str) -> Recipe:
    """Read a whole recipe, and check what its fields are to each other."""
    recipe = Recipe.from_dict(values, place)
    _check_encoding(recipe.input, f"{place}.input")
    _check_encoding(recipe.output, f"{place}.output")
    for distribution in recipe.curve.tests:
        check_choice(
            distribution, DISTRIBUTIONS, f"{place}.curve.tests", "distribution"
        )
    error, tolerance = rounding_error(recipe.output.digits), recipe.curve.tolerance
    if error > tolerance:
        raise InputError(
            f"{place}.output.digits: {recipe.output.digits} is too coarse: a number is "
            f"rounded by {error:.1%}, as a rule, and answers are right within "
            f"{tolerance:.1%}"
        )
    return recipe


def _check_encoding(side: EncodingSpec, place: str) -> None:
    check_choice(side.encoding, ENCODINGS, f"{place}.encoding", "encoding")
    most = ENCODINGS[side.encoding].max_digits
    if side.digits > most:
        raise InputError(
            f"{place}.digits: {side.digits} is too many; "
            f"{side.encoding} takes 1 to {most}"
        )


def _check_distributions(distributions: DistributionSettings, place: str) -> None:
    """Check settings against those that the base of each distribution has."""
    for distribution, settings in distributions.items():
        check_choice(distribution, DISTRIBUTIONS, place, "distribution")
        usual = asdict(default_parameters(distribution))
        for name, value in settings.items():
            here = f"{place}.{distribution}"
            check_choice(name, usual, here, "setting")
            if name == "coefficients":
                names = COEFFICIENTS, f"{here}.{name}", COEFFICIENTS.kind
                check_choice(str(value), *names)
            elif isinstance(value, str):
                raise InputError(f"{here}.{name}: {value!r} is not a number")
