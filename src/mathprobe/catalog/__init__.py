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
from mathprobe.catalog.linalg import BASE, LinalgCatalog, models, parse_size
from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.distributions import DISTRIBUTIONS, components, is_positive
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.tasks import TASKS
from mathprobe.settings import Compute, Config, DecoderRow, TableEntry, merge, read_yaml
from mathprobe.spec import (
    ArithModel,
    EncodedTestSet,
    Evidence,
    Model,
    OracleTests,
    TestSet,
)
from mathprobe.structs import flatten

__all__ = ["BASE", "parse_size"]

REFERENCE = "paper"  # the scale that is the paper itself
RECORD = "record"  # shows what is kept of another scale's trainings, and trains nothing
NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a scale or recipe
AMBIGUOUS_SETTINGS = (  # settings in which text and code differ: neither is a smaller study
    "linalg.distributions",
    "arith.enrichment.batches",
    "arith.grokfast.keep_average",
    "arith.insert.complete",
    "arith.circuits.first_layer_means",
)


class _Scale(NamedTuple):
    linalg: LinalgCatalog
    arith: ArithCatalog
    compute: Compute


class Catalog:
    """Every experiment that the configuration describes, by name."""

    def __init__(self, config: dict[str, Any], root: Path = Path()) -> None:
        """Check a configuration; files that it names stand below `root`."""
        settings = Config.from_dict(config, "config")
        _check_names(settings)
        self.config = config
        self.default_scale = settings.default_scale
        self.scales = list(settings.scales)  # at which models are trained
        self.all_scales = [*self.scales, RECORD]
        self.recipes = list(settings.linalg.recipes)  # every scale has the same
        self.recorded_scale = settings.record.scale
        self.record = Path(settings.record.folder)
        LinalgCatalog(config["linalg"], "config.linalg")  # names faults of all scales
        self._scales: dict[str, _Scale] = {}
        for scale, changes in settings.scales.items():
            place = f"config.scales.{scale}"
            values = merge(config["linalg"], changes.linalg)
            linalg = LinalgCatalog(values, f"{place}.linalg")
            for name in linalg.settings.recipes:
                here = f"{place}.linalg.recipes"
                check_choice(name, self.recipes, here, "recipe of config.linalg")
            values = merge(config["arith"], changes.arith)
            arith = ArithCatalog(values, f"{place}.arith", root)
            self._scales[scale] = _Scale(linalg, arith, settings.compute[scale])
        self._scales[RECORD] = self._scales[self.recorded_scale]

    @classmethod
    def load(cls, path: Path | str) -> Catalog:
        """Read a configuration file `config/NAME.yaml` of a project."""
        return cls(read_yaml(path), Path(path).parents[1])

    def linalg(self, scale: str) -> LinalgCatalog:
        """Return the first study at a scale."""
        return self._at(scale, self.all_scales).linalg

    def arith(self, scale: str) -> ArithCatalog:
        """Return the second study at a scale."""
        return self._at(scale, self.all_scales).arith

    def compute(self, scale: str) -> Compute:
        """Return what jobs need at a scale; it changes no result."""
        return self._at(scale, self.all_scales).compute

    def models(self, entry: TableEntry) -> list[dict[str, Any]]:
        """Return the names of an entry's models."""
        return models(entry)

    def all_models(self, scale: str) -> list[dict[str, Any]]:
        """Return the names of all models that a scale's paper shows, once."""
        return self.linalg(scale).all_models()

    def testset(
        self, scale: str, task: str, distribution: str, n: int | str
    ) -> TestSet:
        """Describe a test set."""
        return self._at(scale, self.scales).linalg.testset(task, distribution, n)

    def model(
        self, scale: str, task: str, distribution: str, n: int | str, recipe: str
    ) -> Model:
        """Describe a network and its training."""
        return self._at(scale, self.scales).linalg.model(task, distribution, n, recipe)

    def arith_model(self, scale: str, name: str) -> ArithModel:
        """Describe a decoder of the second study and its training."""
        return self._at(scale, self.scales).arith.model(name)

    def _at(self, scale: str, known: list[str]) -> _Scale:
        check_choice(scale, known, "scale", "scale")
        return self._scales[scale]

    @property
    def distributions(self) -> list[str]:
        """Return the distributions, in the order of the tables."""
        return distributions_for("eigenvalues")

    @property
    def decoders(self) -> dict[str, DecoderRow]:
        """Return the models of the second study, of all scales."""
        studies = map(self.arith, self.scales)
        return {name: row for study in studies for name, row in study.rows.items()}

    @property
    def names(self) -> dict[str, list[str]]:
        """Return the names that parts of a path may have, by the part."""
        return {
            "scale": self.all_scales,
            "task": list(TASKS),
            "distribution": list(DISTRIBUTIONS),
            "recipe": self.recipes,
            "model": list(self.decoders),
        }

    def test_distributions(self, task: str, distribution: str) -> list[str]:
        """Return the distributions that a model is tested on: its task's and its own."""
        return list(
            dict.fromkeys(
                [*distributions_for(TASKS.check(task)), *components(distribution)]
            )
        )

    def facts(self, scale: str) -> dict[str, Any]:
        """Return what a paper at a scale says about its settings, as plain values."""
        return {
            "scale": scale,
            "recorded": scale == RECORD,
            "settings_of": self.recorded_scale if scale == RECORD else scale,
            "models": len(self.linalg(scale).all_models()),
            "full": self._is_full(scale),
            "distributions": self.distributions,
            "positive": [
                distribution
                for distribution in self.distributions
                if is_positive(distribution)
            ],
            "study": self.linalg(scale).to_dict(),
            "reference": self.linalg(REFERENCE).to_dict(),
            "arith": self.arith(scale).facts(),
        }

    def _is_full(self, scale: str) -> bool:
        """Return whether both studies differ from the papers' by readings alone."""
        ours, papers = (
            flatten(
                {"linalg": self.linalg(s).to_dict(), "arith": self.arith(s).to_dict()}
            )
            for s in (scale, REFERENCE)
        )
        return all(
            key.startswith(AMBIGUOUS_SETTINGS) or ours.get(key) == papers.get(key)
            for key in ours.keys() | papers.keys()
        )

    def _encoded(
        self, task: str, distribution: str, n: int | str, recipe: str
    ) -> EncodedTestSet:
        """Describe a test of the paper as the encodings of a recipe show it."""
        test = self.testset(REFERENCE, task, distribution, n)
        sides = self.linalg(REFERENCE).recipe(task, recipe)
        return EncodedTestSet(test.data, test.examples, sides.input, sides.output)

    def oracle_tests(self) -> OracleTests:
        """Describe every test that the paper's tables show, once, at its full size."""
        study = self.linalg(REFERENCE)
        asked = {}
        for table, entries in study.entries.items():
            for entry in entries:
                # Only the comparison of distributions tests a model on others than its own.
                own = [name["distribution"] for name in models(entry)]
                for distribution in (
                    own if table == "failures" else distributions_for(entry.task)
                ):
                    test = self._encoded(
                        entry.task, distribution, entry.n, entry.recipe
                    )
                    asked[test.to_json()] = test
        return OracleTests(list(asked.values()), study.settings.tests.tolerances)

    def evidence(self) -> Evidence:
        """Describe the samples that the paper's statements are held against."""
        study = self.linalg(REFERENCE)
        epoch = study.recipe("eigenvalues", BASE).schedule.curve_every
        section_3 = "inverse", "uniform_coefficients", 5
        inverse = self._encoded(*section_3, BASE)
        return Evidence(study.condition_numbers(), inverse, epoch)


def alternation(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names."""
    return "|".join(map(re.escape, names))


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
