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
# Settings that choose models.  The recorded scales may differ only in these.
MODEL_SETTINGS = ("linalg.tables.", "arith.models.", "arith.example_models.")


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
        self.recorded_scales = settings.record.scales
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
        self._scales[RECORD] = self._merge_recorded()

    def _merge_recorded(self) -> _Scale:
        """Return the first recorded scale, with the models of all recorded scales."""
        name, *others = self.recorded_scales
        first = self._scales[name]
        linalg, arith = first.linalg, first.arith
        for other in others:
            differing = [
                key
                for key in self._differing_settings(other, name)
                if not key.startswith(MODEL_SETTINGS)
            ]
            if differing:
                raise InputError(
                    f"config.record.scales: {name} and {other} differ in "
                    f"{', '.join(sorted(differing)[:3])}, so models of the same name "
                    "are different; record the scales in separate folders"
                )
            linalg = linalg.with_tables(self._scales[other].linalg)
            arith = arith.with_models(self._scales[other].arith)
        return _Scale(linalg, arith, first.compute)

    @classmethod
    def load(cls, path: Path | str, *overrides: Path) -> Catalog:
        """Read the configuration `PROJECT/config/NAME.yaml`.

        Further files override it in their order, as files of `snakemake --configfile`.
        """
        values = map(_read, (path, *overrides))
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
        scales = self.recorded_scales if scale == RECORD else [scale]
        return {
            "scale": scale,
            "recorded": scale == RECORD,
            "models": len(self.linalg(scale).all_models()),
            "full": all(map(self._is_full, scales)),
            "distributions": self.distributions,
            "positive": [one for one in self.distributions if is_positive(one)],
            "study": self.linalg(scale).facts(),
            "reference": self.linalg(REFERENCE).facts(),
            "arith": self.arith(scale).facts(),
        }

    def _is_full(self, scale: str) -> bool:
        """Return whether only ambiguous settings differ from the papers."""
        return all(
            any(fnmatchcase(key, pattern) for pattern in AMBIGUOUS_SETTINGS)
            for key in self._differing_settings(scale, REFERENCE)
        )

    def _differing_settings(self, *scales: str) -> list[str]:
        """Return the settings in which two scales differ."""
        one, other = (
            flatten({"linalg": scale.linalg.to_dict(), "arith": scale.arith.to_dict()})
            for scale in map(self._scales.__getitem__, scales)
        )
        keys = one.keys() | other.keys()
        return [key for key in keys if one.get(key) != other.get(key)]

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


def _read(path: Path | str) -> dict[str, Any]:
    """Read a file of settings; raise InputError if it has none."""
    values = strict_yaml.read(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: no settings; write some, as in config/config.yaml")
    return values


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
    for scale in settings.record.scales:
        check_choice(scale, scales, "config.record.scales", "scale")
    if different := sorted(settings.compute.keys() ^ settings.scales.keys()):
        raise InputError(
            "config.compute: must have the same scales as config.scales; "
            f"only in one of them: {', '.join(different)}"
        )
