"""Catalog of all experiments: specifications from a configuration and wildcards.

The configuration has the settings of the papers.  A scale overrides some of them, and a
recipe overrides the recipe `base`.  This module must not import torch, because the
Snakefile imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from mathprobe import strict_yaml
from mathprobe.catalog.arith import ArithCatalog
from mathprobe.catalog.linalg import BASE, LinalgCatalog, entry_models, parse_size
from mathprobe.errors import InputError, check_choice
from mathprobe.linalg.distributions import DISTRIBUTIONS, components, is_positive
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.tasks import TASKS
from mathprobe.settings import Compute, Config, DecoderRow, merge
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

REFERENCE = "paper"  # scale with the settings of the papers
RECORD = "record"  # scale that typesets stored results and trains nothing
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # of a scale or recipe
# Patterns of settings in which the text of a paper differs from its code.  They do not
# affect whether a scale has the full size of the paper.
AMBIGUOUS_SETTINGS = (
    "linalg.distributions*",
    "linalg.tests.zero_answers",
    "linalg.tests.exact_answers",
    "linalg.recipes.*.eigenvalue_order",
    "linalg.recipes.*.schedule.restart_factor",
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
    """All experiments that a configuration describes."""

    def __init__(self, config: dict[str, Any], root: Path = Path()) -> None:
        """Validate a configuration; its paths are relative to `root`.

        Raises InputError with the location of an invalid setting.
        """
        settings = Config.from_dict(config, "config")
        _check_names(settings)
        self.config = config
        self.default_scale = settings.default_scale
        self.scales = list(settings.scales)  # without `record`
        self.all_scales = [*self.scales, RECORD]
        self.recipes = list(settings.linalg.recipes)  # the same at all scales
        self.recorded_scale = settings.record.scale
        self.cluster = settings.cluster
        self.record = Path(settings.record.folder)
        LinalgCatalog(config["linalg"], "config.linalg")  # for the location of errors
        self._scales: dict[str, _Scale] = {}
        for scale, overrides in settings.scales.items():
            place = f"config.scales.{scale}"
            values = merge(config["linalg"], overrides.linalg)
            linalg = LinalgCatalog(values, f"{place}.linalg")
            for name in linalg.settings.recipes:
                here = f"{place}.linalg.recipes"
                check_choice(name, self.recipes, here, "recipe of config.linalg")
            values = merge(config["arith"], overrides.arith)
            arith = ArithCatalog(values, f"{place}.arith", root)
            self._scales[scale] = _Scale(linalg, arith, settings.compute[scale])
        self._scales[RECORD] = self._scales[self.recorded_scale]

    @classmethod
    def load(cls, path: Path | str, *overrides: Path) -> Catalog:
        """Read the configuration `PROJECT/config/NAME.yaml`.

        Further files override it in their order, as files of `snakemake --configfile`.
        """
        values = map(strict_yaml.read, (path, *overrides))
        return cls(reduce(merge, values), Path(path).absolute().parents[1])

    def linalg(self, scale: str) -> LinalgCatalog:
        """Return the first study at a scale."""
        return self._at(scale, self.all_scales).linalg

    def arith(self, scale: str) -> ArithCatalog:
        """Return the second study at a scale."""
        return self._at(scale, self.all_scales).arith

    def compute(self, scale: str) -> Compute:
        """Return the resources of the jobs of a scale."""
        return self._at(scale, self.all_scales).compute

    def all_models(self, scale: str) -> list[dict[str, Any]]:
        """Return the models of all tables of the first study, as wildcards."""
        return self.linalg(scale).all_models()

    def testset(
        self, scale: str, task: str, distribution: str, n: int | str
    ) -> TestSet:
        """Return the specification of a test set."""
        return self._at(scale, self.scales).linalg.testset(task, distribution, n)

    def model(
        self, scale: str, task: str, distribution: str, n: int | str, recipe: str
    ) -> Model:
        """Return the specification of a model of the first study."""
        return self._at(scale, self.scales).linalg.model(task, distribution, n, recipe)

    def arith_model(self, scale: str, name: str) -> ArithModel:
        """Return the specification of a decoder of the second study."""
        return self._at(scale, self.scales).arith.model(name)

    def _at(self, scale: str, known: list[str]) -> _Scale:
        check_choice(scale, known, "scale", "scale")
        return self._scales[scale]

    @property
    def distributions(self) -> list[str]:
        """Return the distributions of tables of eigenvalues, in the order of rows."""
        return distributions_for("eigenvalues")

    @property
    def decoders(self) -> dict[str, DecoderRow]:
        """Return the decoders of all scales, by name."""
        studies = map(self.arith, self.scales)
        return {name: row for study in studies for name, row in study.rows.items()}

    @property
    def names(self) -> dict[str, list[str]]:
        """Return the values that wildcards of paths may have, by wildcard."""
        return {
            "scale": self.all_scales,
            "task": list(TASKS),
            "distribution": list(DISTRIBUTIONS),
            "recipe": self.recipes,
            "model": list(self.decoders),
        }

    def test_distributions(self, task: str, distribution: str) -> list[str]:
        """Return the distributions of the task and of the training, for tests."""
        of_task = distributions_for(TASKS.check(task))
        return list(dict.fromkeys([*of_task, *components(distribution)]))

    def facts(self, scale: str) -> dict[str, Any]:
        """Return the settings of a scale that tables and text mention.

        `full` is whether the scale has the size of the papers, and `positive` lists the
        distributions of positive definite matrices.
        """
        return {
            "scale": scale,
            "recorded": scale == RECORD,
            "settings_of": self.recorded_scale if scale == RECORD else scale,
            "models": len(self.linalg(scale).all_models()),
            "full": self._is_full(scale),
            "distributions": self.distributions,
            "positive": [one for one in self.distributions if is_positive(one)],
            "study": self.linalg(scale).to_dict(),
            "reference": self.linalg(REFERENCE).to_dict(),
            "arith": self.arith(scale).facts(),
        }

    def _is_full(self, scale: str) -> bool:
        """Return whether only ambiguous settings differ from the papers."""
        ours, papers = (
            flatten({"linalg": one.linalg.to_dict(), "arith": one.arith.to_dict()})
            for one in (self._scales[scale], self._scales[REFERENCE])
        )
        different = [
            key
            for key in ours.keys() | papers.keys()
            if ours.get(key) != papers.get(key)
        ]
        return all(
            any(fnmatchcase(key, pattern) for pattern in AMBIGUOUS_SETTINGS)
            for key in different
        )

    def _encoded(
        self, task: str, distribution: str, n: int | str, recipe: str
    ) -> EncodedTestSet:
        """Return a test set at full size, with the encodings of a recipe."""
        test = self.testset(REFERENCE, task, distribution, n)
        encodings = self.linalg(REFERENCE).recipe(task, recipe)
        return EncodedTestSet(
            test.data, test.examples, encodings.input, encodings.output
        )

    def oracle_tests(self) -> OracleTests:
        """Return the tests of all tables of the first paper, at full size."""
        study = self.linalg(REFERENCE)
        tests = {}
        for table, entries in study.entries.items():
            for entry in entries:
                names = distributions_for(entry.task)
                if table == "failures":  # analysed in-distribution only
                    names = [one["distribution"] for one in entry_models(entry)]
                for name in names:
                    test = self._encoded(entry.task, name, entry.n, entry.recipe)
                    tests[test.to_json()] = test
        return OracleTests(list(tests.values()), study.settings.tests.tolerances)

    def evidence(self) -> Evidence:
        """Return the samples that check statements of Charton 2022."""
        study = self.linalg(REFERENCE)
        epoch = study.recipe("eigenvalues", BASE).schedule.curve_every
        inverse = self._encoded("inverse", "uniform_coefficients", 5, BASE)  # section 3
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
                f"config: {name!r} is not a valid name of a scale or recipe; use "
                f"at most 64 lower-case letters, digits and _, and not {RECORD!r}"
            )
    check_choice(REFERENCE, scales, "config.scales", "scale")
    known = [*scales, RECORD]
    check_choice(settings.default_scale, known, "config.default_scale", "scale")
    check_choice(settings.record.scale, scales, "config.record.scale", "scale")
    if different := sorted(settings.compute.keys() ^ settings.scales.keys()):
        raise InputError(
            "config.compute: must have the same scales as config.scales; "
            f"only in one of them: {', '.join(different)}"
        )
