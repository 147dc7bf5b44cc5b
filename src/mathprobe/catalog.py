"""From configuration and wildcards to frozen specifications.

The configuration is the paper's; a scale is laid over it, and a recipe over the recipe
`base`.  This module imports no torch: the Snakefile reads it on every call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from mathprobe.errors import InputError
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.laws import COEFFICIENTS, LAWS, base_of, is_positive
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import Conditions, Draw, Model, TestSet

SCHEMA = Path("workflow/schemas/config.schema.yaml")
BASE = "base"
REFERENCE = "paper"  # the scale that is the paper itself
TABLES = {  # kinds of tidy tables, and the entries in the configuration they are for
    "ood": "out_of_distribution",
    "tolerances": "out_of_distribution",
    "curves": "out_of_distribution",
    "learning_speed": "learning_speed",
}


def merged(under: Any, over: Any) -> Any:
    """Lay one nested mapping over another; lists and values are replaced whole."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {
        key: merged(under[key], value) if key in under else value
        for key, value in over.items()
    }


def read(path: Path | str) -> dict[str, Any]:
    """Read a YAML file."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error


class Catalog:
    """Every experiment that the configuration describes, by name."""

    def __init__(self, config: dict[str, Any], schema: dict[str, Any]) -> None:
        self._schema = schema
        _hold(config, schema, "config")
        self.config = config
        self.default_scale: str = config["default_scale"]
        self.scales: list[str] = list(config["scales"])
        _known(self.default_scale, self.scales, "config.default_scale", "scale")
        _same(config["compute"], self.scales)
        self._linalg = {scale: self._study(scale) for scale in self.scales}
        for scale in self.scales:
            self._check(scale)

    def _part(self, name: str) -> dict[str, Any]:
        return {"$defs": self._schema["$defs"], "$ref": f"#/$defs/{name}"}

    def _study(self, scale: str) -> dict[str, Any]:
        place = f"config.scales.{scale}.linalg"
        over = self.config["scales"][scale].get("linalg", {})
        # Only what exists can be changed, so that a mistyped key is found.
        _hold(over, _partial(self._part("linalg")), place)
        study = merged(self.config["linalg"], over)
        _hold(study, self._part("linalg"), place)
        base = study["recipes"][BASE]
        recipes = {name: merged(base, r) for name, r in study["recipes"].items()}
        for name, recipe in recipes.items():
            _known(name, self.recipes, f"{place}.recipes", "recipe of config.linalg")
            _hold(recipe, self._part("recipe"), f"{place}.recipes.{name}")
        return {**study, "recipes": recipes}

    def _check(self, scale: str) -> None:
        study, place = self._linalg[scale], f"config.scales.{scale}.linalg"
        _law_settings(study["laws"], f"{place}.laws")
        for name, recipe in study["recipes"].items():
            _recipe(recipe, f"{place}.recipes.{name}")
        for table in dict.fromkeys(TABLES.values()):
            for entry in study["tables"][table]:
                here = f"{place}.tables.{table}"
                _known(entry["task"], TASKS, here, "task")
                _known(entry["recipe"], study["recipes"], here, "recipe")

    @property
    def laws(self) -> list[str]:
        """Give the laws, in the order of the tables."""
        return list(LAWS)

    @property
    def tasks(self) -> list[str]:
        """Give the tasks."""
        return list(TASKS)

    @property
    def recipes(self) -> list[str]:
        """Give the recipes: every scale has the same."""
        return list(self.config["linalg"]["recipes"])

    def linalg(self, scale: str) -> dict[str, Any]:
        """Give the settings of the first study at a scale."""
        _known(scale, self.scales, "scale", "scale")
        return self._linalg[scale]

    def compute(self, scale: str, kind: str) -> dict[str, Any]:
        """Give what a kind of job needs at a scale; it changes no result."""
        return self.config["compute"][scale][kind]

    def facts(self, scale: str) -> dict[str, Any]:
        """Give what a paper at a scale says about its settings, beside the paper's."""
        study, reference = self.linalg(scale), self.linalg(REFERENCE)
        return {
            "scale": scale,
            # Another reading of the laws is no smaller one.
            "full": {**study, "laws": {}} == {**reference, "laws": {}},
            "laws": self.laws,
            "positive": [law for law in self.laws if is_positive(law)],
            "study": study,
            "reference": reference,
        }

    def _draw(self, scale: str, task: str, law: str, n: int) -> Draw:
        return Draw(
            TASKS.known(task),
            LAWS.known(law),
            int(n),
            self.linalg(scale)["laws"].get(law, {}),
        )

    def testset(self, scale: str, task: str, law: str, n: int) -> TestSet:
        """Describe a test set."""
        count = self.linalg(scale)["tests"]["examples"]
        return TestSet(self._draw(scale, task, law, n), count)

    def model(self, scale: str, task: str, law: str, n: int, recipe: str) -> Model:
        """Describe a network and its training."""
        recipes = self.linalg(scale)["recipes"]
        _known(recipe, recipes, f"config.scales.{scale}.linalg.recipes", "recipe")
        draw = self._draw(scale, task, law, n).plain()
        curve, laws = recipes[recipe]["curve"], self.linalg(scale)["laws"]
        settings = {test: laws.get(test, {}) for test in curve["tests"]}
        curve = {**curve, "law_settings": settings}
        return Model.of({**recipes[recipe], "data": draw, "curve": curve})

    def conditions(self, scale: str) -> Conditions:
        """Describe the sample behind the table of condition numbers."""
        study = self.linalg(scale)
        return Conditions(
            **study["tables"]["condition_numbers"], law_settings=study["laws"]
        )

    def entries(self, scale: str, kind: str) -> list[dict[str, Any]]:
        """Give what tables of a kind are made for at a scale."""
        return self.linalg(scale)["tables"][TABLES[kind]]

    def shown(self, scale: str, kind: str, task: str, n: int) -> list[dict[str, Any]]:
        """Give a table's entries for a task and size; without any, the first, moved."""
        entries = self.entries(scale, kind)
        named = [e for e in entries if (e["task"], e["n"]) == (task, int(n))]
        return named or [{**entries[0], "task": task, "n": int(n)}]


def load(config: Path | str, schema: Path | str = SCHEMA) -> Catalog:
    """Read a catalog from a configuration file."""
    return Catalog(read(config), read(schema))


def _hold(values: Any, schema: dict[str, Any], place: str) -> None:
    """Hold values against a schema; the first fault is named with its place."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    fault = best_match(Draft202012Validator(schema).iter_errors(values))
    if fault is not None:
        where = ".".join([place, *map(str, fault.absolute_path)])
        kinds = str(fault.schema.get("type"))
        numeric = isinstance(fault.instance, str) and "number" in kinds
        hint = " (YAML reads 1e-4 as text: write 1.0e-4)" if numeric else ""
        raise InputError(f"{where}: {fault.message}{hint}")


def _partial(schema: dict[str, Any]) -> dict[str, Any]:
    """Make nothing required: what lies over a whole may be a part of it."""
    if isinstance(schema, dict):
        return {k: _partial(v) for k, v in schema.items() if k != "required"}
    return schema


def _known(name: str, names: Iterable[str], place: str, kind: str) -> None:
    if name not in names:
        known = ", ".join(names)
        raise InputError(f"{place}: unknown {kind} {name!r}; known names are {known}")


def _same(compute: dict[str, Any], scales: list[str]) -> None:
    odd = sorted(set(compute) ^ set(scales))
    if odd:
        raise InputError(
            f"config.compute: must have the scales of config.scales; {', '.join(odd)} "
            "is in one of them only"
        )


def _law_settings(laws: dict[str, Any], place: str) -> None:
    for law, settings in laws.items():
        _known(law, LAWS, place, "law")
        allowed = [field.name for field in fields(base_of(law))]
        for name in settings:
            _known(name, allowed, f"{place}.{law}", "setting")
        if "coefficients" in settings:
            here = f"{place}.{law}.coefficients"
            _known(settings["coefficients"], COEFFICIENTS, here, COEFFICIENTS.kind)


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
        _known(law, LAWS, f"{place}.curve.tests", "law")


def _side(side: dict[str, Any], place: str) -> None:
    _known(side["encoding"], ENCODINGS, f"{place}.encoding", "encoding")
    most = ENCODINGS[side["encoding"]].most_digits
    if side["digits"] > most:
        raise InputError(
            f"{place}.digits: {side['digits']} is too many; "
            f"{side['encoding']} takes 1 to {most}"
        )


def either(names: Iterable[str]) -> str:
    """Give a wildcard constraint that admits exactly these names."""
    return "|".join(names)
