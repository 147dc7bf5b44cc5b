"""The files that jobs read, by scale and experiment.

Paths are relative to the project.  Models of a record lie in its folder; what it lacks
is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mathprobe import paths
from mathprobe.catalog import RECORD, Catalog
from mathprobe.catalog.arith import MAP_FILES, TABLE_SOURCES
from mathprobe.linalg.distributions import components
from mathprobe.paper import published
from mathprobe.paper.tables import KINDS, kinds_by_template
from mathprobe.settings import TableEntry

Names = Iterable[dict[str, Any]]  # of models: the parts of their paths
Wildcards = Any  # of a job

PRINTED = "paper/published"
FIRST = ("spectral_properties", "verifiers", "generalization", "learning_speed")
ERRATA = [f"{PRINTED}/errata.yaml", f"{PRINTED}/arith_errata.yaml"]


class Inputs:
    """Input files of the jobs of a catalog's experiments."""

    def __init__(self, catalog: Catalog, root: Path = Path()) -> None:
        """Take the catalog of experiments, and the folder of the project."""
        self.catalog = catalog
        self.by_size = [name for name, kind in KINDS.items() if kind.config_table]
        self.notebooks = sorted(p.stem for p in (root / "paper/notebooks").glob("*.py"))
        self.published = _printed(*published.FILES)
        arith = sorted(path.stem for path in (root / PRINTED).glob("arith_*.csv"))
        self.arith_published = [*_printed(*arith), f"{PRINTED}/quirke2024.yaml"]

    def check(self, targets: Iterable[str]) -> None:
        """Raise InputError, with what was probably meant, for a misspelt result."""
        tables = {
            Path(path).name for path in self.all_tables(self.catalog.default_scale)
        }
        tables |= {
            "facts.json",
            "numbers.tex",
            *(f"{name}.tex" for name in kinds_by_template()),
        }
        known = {"kind": self.by_size, "table": sorted(tables)}
        for target in targets:
            paths.parse(target.rstrip("/"), {**self.catalog.names, **known})

    def testsets(self, w: Wildcards) -> list[str]:
        """Return the test sets of a model."""
        return self._testsets(
            w, self.catalog.test_distributions(w.task, w.distribution)
        )

    def own_testsets(self, w: Wildcards) -> list[str]:
        """Return the test sets of the distributions that a model is trained on."""
        return self._testsets(w, components(w.distribution))

    def _testsets(self, w: Wildcards, distributions: Iterable[str]) -> list[str]:
        name = {"scale": w.scale, "task": w.task, "n": w.n}
        return [
            paths.TESTSET.format(**name, distribution=distribution)
            for distribution in distributions
        ]

    def folders(
        self, scale: str, names: Names, pattern: str = paths.MODEL
    ) -> list[str]:
        """Return the folders of models, each once."""
        recorded = scale == RECORD
        if recorded:
            pattern = paths.in_record(pattern, str(self.catalog.record))
        found = dict.fromkeys(pattern.format(scale=scale, **name) for name in names)
        return [one for one in found if not recorded or Path(one, "run.json").exists()]

    def decoders(self, scale: str, names: Iterable[str]) -> list[str]:
        """Return the folders of decoders."""
        return self.folders(scale, ({"model": name} for name in names), paths.ARITH)

    def table(self, w: Wildcards) -> list[str]:
        """Return the files of models that a table of the first study is made from."""
        kind = KINDS[w.get("kind", "runs")]
        names = ["run.json", kind.model_file] if kind.model_file else ["run.json"]
        folders = self.folders(w.scale, self.shown(w))
        return [f"{folder}/{name}" for folder in folders for name in names]

    def shown(self, w: Wildcards) -> list[dict[str, Any]]:
        """Return the names of the models that a table shows."""
        if not w.get("task"):
            return self.catalog.all_models(w.scale)
        return [
            name for entry in self._entries(w) for name in self.catalog.models(entry)
        ]

    def _entries(self, w: Wildcards) -> list[TableEntry]:
        table = KINDS[w.kind].config_table
        assert table, f"{w.kind} has no task and size"
        return self.catalog.linalg(w.scale).table_entries(table, w.task, w.n)

    def missing(self, w: Wildcards) -> list[str]:
        """Return the models of a table that a record does not have."""
        return [
            paths.LINALG_NAME.format(**name)
            for name in self.shown(w)
            if not self.folders(w.scale, [name])
        ]

    def targets(self, w: Wildcards) -> list[str]:
        """Return MODEL=ACCURACY of the models of a table of learning speeds."""
        if w.kind != "learning_speed":
            return []
        return self.catalog.linalg(w.scale).target_accuracies(w.task, w.n)

    def arith_table(self, w: Wildcards) -> list[str]:
        """Return the files of decoders that a table of the second study is made from.

        Only decoders with a parent use inserted nodes again.
        """
        rows = self.catalog.arith(w.scale).rows
        names = [name for name, row in rows.items() if row.parent or w.kind != "reuse"]
        folders, files = self.decoders(w.scale, names), TABLE_SOURCES[w.kind]
        return [f"{folder}/{name}" for folder in folders for name in files]

    def parent(self, w: Wildcards, file: str) -> list[str]:
        """Return a file of the decoder whose weights another begins with, if any."""
        parent = self.catalog.arith(w.scale).row(w.model).parent
        folders = self.decoders(w.scale, [parent]) if parent else []
        return [f"{folder}/{file}" for folder in folders]

    def tables(self, scale: str, kind: str) -> list[str]:
        """Return the tables of a kind."""
        if not (table := KINDS[kind].config_table):
            return [f"{paths.TABLES.format(scale=scale)}/{kind}.csv"]
        entries = self.catalog.linalg(scale).entries[table]
        names = [{"kind": kind, "task": one.task, "n": one.n} for one in entries]
        found = [paths.TABLE.format(scale=scale, **name) for name in names]
        return list(dict.fromkeys(found))

    def content(self, w: Wildcards) -> list[str]:
        """Return the tables that a LaTeX file shows."""
        kinds = kinds_by_template()[w.content]
        return [path for kind in kinds for path in self.tables(w.scale, kind)]

    def all_tables(self, scale: str) -> list[str]:
        """Return all tables of a scale."""
        return [path for kind in KINDS for path in self.tables(scale, kind)]

    def circuit_pages(self, scale: str) -> list[str]:
        """Return the pages of single decoders, which a record does not have."""
        names = [] if scale == RECORD else self.catalog.arith(scale).rows
        return [f"{one}/circuit/circuit.html" for one in self.decoders(scale, names)]

    def notebook(self, w: Wildcards) -> dict[str, Any]:
        """Return what a notebook reads, by the names of its parameters.

        `beside` is no parameter: it is found beside another file.
        """
        every = {kind: self.tables(w.scale, kind) for kind in KINDS}
        one = {kind: found[0] for kind, found in every.items() if found}
        entries = self.catalog.linalg(w.scale).entries["failures"]
        names = [name for entry in entries for name in self.catalog.models(entry)]
        predictions = [f"{one}/home.npz" for one in self.folders(w.scale, names)]
        inputs: dict[str, dict[str, Any]] = {
            "overview": {
                "facts": f"{paths.TABLES.format(scale=w.scale)}/facts.json",
                "ood": every["ood"],
                "verifiers": every["verifiers"],
                "errata": ERRATA,
                "evidence": [one["evidence"], one["arith_evidence"]],
                "conditions": one["condition_numbers"],
                "ceilings": one["ceilings"],
                "accuracy": one["arith_accuracy"],
                "claims": one["arith_claims"],
                "runs": one["runs"],
            },
            "spectral_properties": {
                "failures": every["failures"],
                "predictions": predictions,
                "published": _printed("failures", "labels"),
            },
            "verifiers": {
                "verifiers": every["verifiers"],
                "roc": every["roc"],
                "predictions": predictions,
            },
            "generalization": {
                "ood": every["ood"],
                "tolerances": every["tolerances"],
                "published": _printed("accuracy", "labels"),
            },
            "learning_speed": {
                "speeds": every["learning_speed"],
                "curves": every["curves"],
                "published": _printed("learning_speed", "labels"),
            },
            "decoders": {
                name: one[f"arith_{name}"]
                for name in ("accuracy", "curves", "circuits")
            },
            **self._circuits(w.scale, one["arith_accuracy"]),
        }
        return inputs[w.notebook]

    def _circuits(self, scale: str, accuracy: str) -> dict[str, dict[str, Any]]:
        """Return what the notebooks on the decoders that the paper shows read."""
        known = self.catalog.arith(scale)
        shown = known.settings.example_models

        def of(names: Iterable[str], *files: str) -> list[str]:
            return [
                f"{one}/{file}" for one in self.decoders(scale, names) for file in files
            ]

        beside = [f"facts/{file}" for file in MAP_FILES]
        maps = {
            notebook: {
                "nodes": of([name], "facts/nodes.csv"),
                "beside": of([name], *beside),
            }
            for notebook, name in (
                ("addition_circuit", shown.addition),
                ("subtraction_circuit", shown.mixed),
            )
        }
        children = [shown.mixed] if known.row(shown.mixed).parent else []
        curves = of(known.comparison_models(shown.mixed), "curve.csv")
        transfer = {"accuracy": accuracy, "curves": curves}
        return {
            **maps,
            "parameter_transfer": {**transfer, "reuse": of(children, "reuse.csv")},
        }


def _printed(*names: str) -> list[str]:
    return [f"{PRINTED}/{name}.csv" for name in names]
