"""From configuration and wildcards to frozen specifications.

The configuration is the paper's; a scale is laid over it, and a recipe over the recipe
`base`.  This module imports no torch: the Snakefile reads it on every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mathprobe.catalog.arith import ArithCatalog
from mathprobe.catalog.linalg import BASE, LinalgCatalog, models, size
from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.draws import laws_for
from mathprobe.linalg.laws import LAWS, is_positive, parts
from mathprobe.linalg.tasks import TASKS
from mathprobe.settings import Compute, Config, DecoderRow, TableEntry, overlay, read
from mathprobe.spec import ArithModel, Ceilings, EncodedTest, Evidence, Model, TestSet
from mathprobe.structs import flat

__all__ = ["BASE", "read", "size"]

REFERENCE = "paper"  # the scale that is the paper itself
RECORD = "record"  # shows what is kept of another scale's trainings, and trains nothing
NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a scale or recipe
READINGS = (  # settings in which text and code differ: neither is a smaller study
    "linalg.laws",
    "arith.enrichment.batches",
    "arith.grokfast.keeps",
    "arith.insert.complete",
    "arith.circuits.first_layer",
)


class _Scale(NamedTuple):
    linalg: LinalgCatalog
    arith: ArithCatalog
    compute: Compute


class Catalog:
    """Every experiment that the configuration describes, by name."""

    def __init__(self, config: dict[str, Any], root: Path = Path()) -> None:
        """Check a configuration; files that it names stand below `root`."""
        settings = Config.of(config, "config")
        _check_names(settings)
        self.config = config
        self.default_scale = settings.default_scale
        self.scales = list(settings.scales)  # at which models are trained
        self.shown_scales = [*self.scales, RECORD]
        self.recipes = list(settings.linalg.recipes)  # every scale has the same
        self.recorded_scale = settings.record.scale
        self.record = Path(settings.record.folder)
        LinalgCatalog(config["linalg"], "config.linalg")  # names faults of all scales
        self._scales: dict[str, _Scale] = {}
        for scale, changes in settings.scales.items():
            place = f"config.scales.{scale}"
            values = overlay(config["linalg"], changes.linalg)
            linalg = LinalgCatalog(values, f"{place}.linalg")
            for name in linalg.settings.recipes:
                here = f"{place}.linalg.recipes"
                check_choice(name, self.recipes, here, "recipe of config.linalg")
            values = overlay(config["arith"], changes.arith)
            arith = ArithCatalog(values, f"{place}.arith", root)
            self._scales[scale] = _Scale(linalg, arith, settings.compute[scale])
        self._scales[RECORD] = self._scales[self.recorded_scale]

    def linalg(self, scale: str) -> LinalgCatalog:
        """Return the first study at a scale."""
        return self._at(scale, self.shown_scales).linalg

    def arith(self, scale: str) -> ArithCatalog:
        """Return the second study at a scale."""
        return self._at(scale, self.shown_scales).arith

    def compute(self, scale: str) -> Compute:
        """Return what jobs need at a scale; it changes no result."""
        return self._at(scale, self.shown_scales).compute

    def models(self, entry: TableEntry) -> list[dict[str, Any]]:
        """Return the names of an entry's models."""
        return models(entry)

    def all_models(self, scale: str) -> list[dict[str, Any]]:
        """Return the names of all models that a scale's paper shows, once."""
        return self.linalg(scale).all_models()

    def testset(self, scale: str, task: str, law: str, n: int | str) -> TestSet:
        """Describe a test set."""
        return self._at(scale, self.scales).linalg.testset(task, law, n)

    def model(
        self, scale: str, task: str, law: str, n: int | str, recipe: str
    ) -> Model:
        """Describe a network and its training."""
        return self._at(scale, self.scales).linalg.model(task, law, n, recipe)

    def arith_model(self, scale: str, name: str) -> ArithModel:
        """Describe a decoder of the second study and its training."""
        return self._at(scale, self.scales).arith.model(name)

    def _at(self, scale: str, known: list[str]) -> _Scale:
        check_choice(scale, known, "scale", "scale")
        return self._scales[scale]

    @property
    def laws(self) -> list[str]:
        """Return the laws, in the order of the tables."""
        return laws_for("eigenvalues")

    @property
    def decoders(self) -> dict[str, DecoderRow]:
        """Return the models of the second study, of all scales."""
        studies = map(self.arith, self.scales)
        return {name: row for study in studies for name, row in study.rows.items()}

    @property
    def names(self) -> dict[str, list[str]]:
        """Return the names that parts of a path may have, by the part."""
        return {
            "scale": self.shown_scales,
            "task": list(TASKS),
            "law": list(LAWS),
            "recipe": self.recipes,
            "model": list(self.decoders),
        }

    def tests(self, task: str, law: str) -> list[str]:
        """Return the laws that a model is tested on: its task's and its own."""
        return list(dict.fromkeys([*laws_for(TASKS.known(task)), *parts(law)]))

    def facts(self, scale: str) -> dict[str, Any]:
        """Return what a paper at a scale says about its settings, as plain values."""
        return {
            "scale": scale,
            "recorded": scale == RECORD,
            "settings_of": self.recorded_scale if scale == RECORD else scale,
            "models": len(self.linalg(scale).all_models()),
            "full": self._is_full(scale),
            "laws": self.laws,
            "positive": [law for law in self.laws if is_positive(law)],
            "study": self.linalg(scale).plain(),
            "reference": self.linalg(REFERENCE).plain(),
            "arith": self.arith(scale).facts(),
        }

    def _is_full(self, scale: str) -> bool:
        """Return whether both studies differ from the papers' by readings alone."""
        ours, papers = (
            flat({"linalg": self.linalg(s).plain(), "arith": self.arith(s).plain()})
            for s in (scale, REFERENCE)
        )
        return all(
            key.startswith(READINGS) or ours.get(key) == papers.get(key)
            for key in ours.keys() | papers.keys()
        )

    def _encoded(self, task: str, law: str, n: int | str, recipe: str) -> EncodedTest:
        """Describe a test of the paper as the encodings of a recipe show it."""
        test = self.testset(REFERENCE, task, law, n)
        sides = self.linalg(REFERENCE).recipe(task, recipe)
        return EncodedTest(test.data, test.examples, sides.input, sides.output)

    def ceilings(self) -> Ceilings:
        """Describe every test that the paper's tables show, once, at its full size."""
        study = self.linalg(REFERENCE)
        asked = {}
        for table, entries in study.entries.items():
            for entry in entries:
                # Only the comparison of laws tests a model on others than its own.
                own = [name["law"] for name in models(entry)]
                for law in own if table == "failures" else laws_for(entry.task):
                    test = self._encoded(entry.task, law, entry.n, entry.recipe)
                    asked[test.json()] = test
        return Ceilings(list(asked.values()), study.settings.tests.tolerances)

    def evidence(self) -> Evidence:
        """Describe the samples that the paper's statements are held against."""
        study = self.linalg(REFERENCE)
        epoch = study.recipe("eigenvalues", BASE).schedule.curve_every
        section_3 = "inverse", "uniform_coefficients", 5
        inverse = self._encoded(*section_3, BASE)
        return Evidence(study.conditions(), inverse, epoch)


def alternation(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names."""
    return "|".join(map(re.escape, names))


def load(config: Path | str) -> Catalog:
    """Read a catalog from a configuration file; it names others from its project."""
    return Catalog(read(config), Path(config).parents[1])


def _check_names(settings: Config) -> None:
    """Check the names of scales and recipes."""
    scales = list(settings.scales)
    for name in [*scales, *settings.linalg.recipes]:
        if not NAME.fullmatch(name) or name == RECORD:
            raise InputError(
                f"config: {name!r} is no name of a scale or recipe: they have small "
                f"letters, digits and _, but not {RECORD!r}"
            )
    check_choice(REFERENCE, scales, "config.scales", "scale")
    shown = [*scales, RECORD]
    check_choice(settings.default_scale, shown, "config.default_scale", "scale")
    check_choice(settings.record.scale, scales, "config.record.scale", "scale")
    if odd := sorted(settings.compute.keys() ^ settings.scales.keys()):
        raise InputError(
            f"config.compute: must have the scales of config.scales; {', '.join(odd)} "
            "is in one of them only"
        )
