"""From configuration and wildcards to frozen specifications.

The configuration is the paper's; a scale is laid over it, and a recipe over the recipe
`base`.  This module imports no torch: the Snakefile reads it on every call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

from mathprobe.catalog.arith import ArithCatalog
from mathprobe.catalog.laying import (
    admit,
    definition,
    either,
    hold,
    merged,
    of_scale,
    read,
)
from mathprobe.errors import InputError
from mathprobe.linalg.draws import check, laws_for
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.laws import COEFFICIENTS, LAWS, base_of, is_positive, parts
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import (
    ArithModel,
    Ceilings,
    Conditions,
    Draw,
    Evidence,
    Model,
    Question,
    Side,
    TestSet,
)

SCHEMA = Path("workflow/schemas/config.schema.yaml")
BASE = "base"
REFERENCE = "paper"  # the scale that is the paper itself
RECORD = "record"  # shows what is kept of another scale's trainings, and trains nothing
INVERSION = {"task": "inverse", "law": "uniform_coefficients", "n": 5}  # section 3


class Catalog:
    """Every experiment that the configuration describes, by name."""

    def __init__(
        self, config: dict[str, Any], schema: dict[str, Any], root: Path = Path()
    ) -> None:
        """Check a configuration; files that it names stand below `root`."""
        self._schema = schema
        hold(config, schema, "config")
        self.config = config
        self.default_scale: str = config["default_scale"]
        self.scales: list[str] = list(config["scales"])  # at which models are trained
        self.shown_scales = [*self.scales, RECORD]
        self.recorded_scale: str = config["record"]["scale"]
        self.record = Path(config["record"]["folder"])
        admit(self.default_scale, self.shown_scales, "config.default_scale", "scale")
        admit(self.recorded_scale, self.scales, "config.record.scale", "scale")
        _same(config["compute"], self.scales)
        self._linalg = {scale: self._study(scale) for scale in self.scales}
        for scale in self.scales:
            self._check(scale)
        self._arith = {
            scale: ArithCatalog(
                of_scale(config, schema, scale, "arith"),
                definition(schema, "arith_row"),
                f"config.scales.{scale}.arith",
                root,
            )
            for scale in self.scales
        }

    def _study(self, scale: str) -> dict[str, Any]:
        place = f"config.scales.{scale}.linalg"
        study = of_scale(self.config, self._schema, scale, "linalg")
        base = study["recipes"][BASE]
        recipe_schema = definition(self._schema, "recipe")
        for name, recipe in study["recipes"].items():
            here = f"{place}.recipes.{name}"
            admit(name, self.recipes, f"{place}.recipes", "recipe of config.linalg")
            hold(merged(base, recipe), recipe_schema, here)
        for task, recipe in study["tasks"].items():
            admit(task, TASKS, f"{place}.tasks", "task")
            hold(merged(base, recipe), recipe_schema, f"{place}.tasks.{task}")
        return study

    def _check(self, scale: str) -> None:
        study, place = self._linalg[scale], f"config.scales.{scale}.linalg"
        _law_settings(study["laws"], f"{place}.laws")
        for task, name in product(TASKS, study["recipes"]):
            _recipe(self.recipe(scale, task, name), f"{place}.recipes.{name} of {task}")
        for table, entries in self.entries(scale).items():
            for entry in entries:
                here = f"{place}.tables.{table}"
                admit(entry["task"], TASKS, here, "task")
                admit(entry["recipe"], study["recipes"], here, "recipe")
                if table == "failures":
                    admit(entry["task"], PROPERTIES, here, PROPERTIES.kind)
                for key in self.models(entry):
                    check(key["task"], key["law"], *size(key["n"]))

    @property
    def laws(self) -> list[str]:
        """Give the laws, in the order of the tables."""
        return laws_for("eigenvalues")

    @property
    def law_pattern(self) -> str:
        """Give a wildcard constraint for laws and mixtures."""
        law = either(LAWS)
        return rf"({law})(\+({law}))*"

    @property
    def tasks(self) -> list[str]:
        """Give the tasks."""
        return list(TASKS)

    @property
    def tasks_with_properties(self) -> list[str]:
        """Give the tasks whose failures can be looked into."""
        return [task for task in TASKS if task in PROPERTIES]

    @property
    def recipes(self) -> list[str]:
        """Give the recipes: every scale has the same."""
        return list(self.config["linalg"]["recipes"])

    def linalg(self, scale: str) -> dict[str, Any]:
        """Give the settings of the first study at a scale; a record has another's."""
        admit(scale, self.shown_scales, "scale", "scale")
        return self._linalg[self.recorded_scale if scale == RECORD else scale]

    def arith(self, scale: str) -> ArithCatalog:
        """Give the models of the second study at a scale."""
        admit(scale, self.shown_scales, "scale", "scale")
        return self._arith[self.recorded_scale if scale == RECORD else scale]

    def arith_model(self, scale: str, name: str) -> ArithModel:
        """Describe a decoder of the second study and its training."""
        admit(scale, self.scales, "scale", "scale")
        return self._arith[scale].model(name)

    @property
    def arith_models(self) -> list[str]:
        """Name the models of the second study, of all scales."""
        names = (name for scale in self.scales for name in self._arith[scale].rows)
        return list(dict.fromkeys(names))

    @property
    def arith_children(self) -> list[str]:
        """Name those that begin with the weights of another."""
        rows = (
            row for scale in self.scales for row in self._arith[scale].rows.values()
        )
        return list(dict.fromkeys(row.name for row in rows if row.parent))

    def recipe(self, scale: str, task: str, name: str) -> dict[str, Any]:
        """Give a recipe for a task: `base`, under what the task and the name change."""
        study = self.linalg(scale)
        known = study["recipes"]
        admit(name, known, f"config.scales.{scale}.linalg.recipes", "recipe")
        over = {} if name == BASE else known[name]
        return merged(merged(known[BASE], study["tasks"].get(task, {})), over)

    def compute(self, scale: str, kind: str) -> dict[str, Any]:
        """Give what a kind of job needs at a scale; it changes no result."""
        scale = self.recorded_scale if scale == RECORD else scale
        return self.config["compute"][scale][kind]

    def facts(self, scale: str) -> dict[str, Any]:
        """Give what a paper at a scale says about its settings, beside the paper's."""
        study, reference = self._shown(scale), self._shown(REFERENCE)
        return {
            "scale": scale,
            "recorded": scale == RECORD,
            "settings_of": self.recorded_scale if scale == RECORD else scale,
            "models": len(self.all_models(scale)),
            # Another reading of the laws is no smaller one.
            "full": {**study, "laws": {}} == {**reference, "laws": {}},
            "laws": self.laws,
            "positive": [law for law in self.laws if is_positive(law)],
            "study": study,
            "reference": reference,
            "arith": self.arith(scale).facts(),
        }

    def tests(self, task: str, law: str) -> list[str]:
        """Give the laws that a model is tested on: its task's and its own."""
        return list(dict.fromkeys([*laws_for(TASKS.known(task)), *parts(law)]))

    def _shown(self, scale: str) -> dict[str, Any]:
        """Give a study with the recipes as the task of its first table has them."""
        study = self.linalg(scale)
        task = study["tables"]["out_of_distribution"][0]["task"]
        recipes = {name: self.recipe(scale, task, name) for name in study["recipes"]}
        return {**study, "recipes": recipes}

    def _law_settings(self, scale: str, laws: Iterable[str]) -> dict[str, Any]:
        """Give what the settings change of these laws and mixtures."""
        known = self.linalg(scale)["laws"]
        found = (part for law in laws for part in parts(law))
        return {part: known[part] for part in found if part in known}

    def _draw(self, scale: str, task: str, law: str, n: int | str) -> Draw:
        rows, columns = size(n)
        check(TASKS.known(task), law, rows, columns)
        return Draw(task, law, rows, columns, self._law_settings(scale, [law]))

    def testset(self, scale: str, task: str, law: str, n: int | str) -> TestSet:
        """Describe a test set."""
        admit(scale, self.scales, "scale", "scale")
        count = self.linalg(scale)["tests"]["examples"]
        return TestSet(self._draw(scale, task, law, n), count)

    def model(
        self, scale: str, task: str, law: str, n: int | str, recipe: str
    ) -> Model:
        """Describe a network and its training."""
        admit(scale, self.scales, "scale", "scale")
        draw = self._draw(scale, task, law, n).plain()
        settings = self.recipe(scale, task, recipe)
        curve = settings["curve"]
        # Laws that do not fit are left out; where none fits, it is the own one.
        tests = [test for test in curve["tests"] if test in laws_for(task)] or [law]
        if settings["schedule"]["stop_accuracy"] and law not in tests:
            tests = [*tests, law]
        curve = {**curve, "tests": tests}
        curve["law_settings"] = self._law_settings(scale, tests)
        return Model.of({**settings, "data": draw, "curve": curve})

    def conditions(self, scale: str) -> Conditions:
        """Describe the sample behind the table of condition numbers."""
        study = self.linalg(scale)
        return Conditions(
            **study["tables"]["condition_numbers"], law_settings=study["laws"]
        )

    def _question(self, task: str, law: str, n: int | str, recipe: str) -> Question:
        """Describe a test of the paper as the encodings of a recipe show it."""
        test = self.testset(REFERENCE, task, law, n)
        settings = self.recipe(REFERENCE, task, recipe)
        sides = (Side.of(settings[side]) for side in ("input", "output"))
        return Question(test.data, test.examples, *sides)

    def ceilings(self) -> Ceilings:
        """Describe every test that the paper's tables show, once, at its full size."""
        study = self.linalg(REFERENCE)
        asked = {}
        for table, entries in self.entries(REFERENCE).items():
            for entry in entries:
                task = entry["task"]
                # Only the comparison of laws tests a model on others than its own.
                own = entry["laws"] if table == "failures" else laws_for(task)
                for law in own:
                    question = self._question(task, law, entry["n"], entry["recipe"])
                    asked[question.json()] = question
        return Ceilings(list(asked.values()), study["tests"]["tolerances"])

    def evidence(self) -> Evidence:
        """Describe the samples that the paper's statements are held against."""
        schedule = self.recipe(REFERENCE, "eigenvalues", BASE)["schedule"]
        return Evidence(
            self.conditions(REFERENCE),
            self._question(**INVERSION, recipe=BASE),
            schedule["curve_every"],
        )

    def entries(self, scale: str) -> dict[str, list[dict[str, Any]]]:
        """Return what the tables of tasks and sizes are made for, by their names."""
        tables = self.linalg(scale)["tables"].items()
        return {name: entries for name, entries in tables if isinstance(entries, list)}

    def models(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        """Name the models of an entry: of the laws it has, or all of its task."""
        name = {key: entry[key] for key in ("task", "n", "recipe")}
        return [
            {**name, "law": law} for law in entry.get("laws") or laws_for(entry["task"])
        ]

    def all_models(self, scale: str) -> list[dict[str, Any]]:
        """Name every model that a scale's paper shows, once."""
        tables = self.entries(scale).values()
        names = [name for table in tables for e in table for name in self.models(e)]
        return [name for place, name in enumerate(names) if name not in names[:place]]

    def shown(
        self, scale: str, table: str, task: str, n: int | str
    ) -> list[dict[str, Any]]:
        """Give a table's entries for a task and size; without any, the first, moved."""
        entries = self.entries(scale)[table]
        named = [e for e in entries if (e["task"], str(e["n"])) == (task, str(n))]
        first = {k: v for k, v in entries[0].items() if k != "laws"}
        return named or [{**first, "task": task, "n": n}]


def size(text: int | str) -> tuple[int, int]:
    """Read a size: `5` is square, `5x3` has five rows and three columns."""
    rows, _, columns = str(text).partition("x")
    return int(rows), int(columns or rows)


def load(config: Path | str, schema: Path | str = SCHEMA) -> Catalog:
    """Read a catalog from a configuration file; it names others from its project."""
    return Catalog(read(config), read(schema), Path(config).parents[1])


def _same(compute: dict[str, Any], scales: list[str]) -> None:
    odd = sorted(set(compute) ^ set(scales))
    if odd:
        raise InputError(
            f"config.compute: must have the scales of config.scales; {', '.join(odd)} "
            "is in one of them only"
        )


def _law_settings(laws: dict[str, Any], place: str) -> None:
    for law, settings in laws.items():
        admit(law, LAWS, place, "law")
        allowed = [field.name for field in fields(base_of(law))]
        for name in settings:
            admit(name, allowed, f"{place}.{law}", "setting")
        if "coefficients" in settings:
            here = f"{place}.{law}.coefficients"
            admit(settings["coefficients"], COEFFICIENTS, here, COEFFICIENTS.kind)


def _recipe(recipe: dict[str, Any], place: str) -> None:
    for side in ("input", "output"):
        _side(recipe[side], f"{place}.{side}")
    for stack in ("encoder", "decoder"):
        width, heads = recipe[stack]["width"], recipe[stack]["heads"]
        if width % heads:
            raise InputError(
                f"{place}.{stack}: width {width} is not a multiple of {heads} heads"
            )
    for law in recipe["curve"]["tests"]:
        admit(law, LAWS, f"{place}.curve.tests", "law")
    digits, tolerance = recipe["output"]["digits"], recipe["curve"]["tolerance"]
    if rounding(digits) > tolerance:
        raise InputError(
            f"{place}.output.digits: {digits} is too coarse: a number is rounded by "
            f"{rounding(digits):.1%}, as a rule, and answers are right within "
            f"{tolerance:.1%}"
        )


def rounding(digits: int) -> float:
    """Give the relative error of rounding to so many digits, as a rule.

    A mantissa is off by a quarter of its last place at the median; on a logarithmic
    scale it is sqrt(10) at the median.
    """
    return 0.25 / (math.sqrt(10.0) * 10 ** (digits - 1))


def _side(side: dict[str, Any], place: str) -> None:
    admit(side["encoding"], ENCODINGS, f"{place}.encoding", "encoding")
    most = ENCODINGS[side["encoding"]].most_digits
    if side["digits"] > most:
        raise InputError(
            f"{place}.digits: {side['digits']} is too many; "
            f"{side['encoding']} takes 1 to {most}"
        )
