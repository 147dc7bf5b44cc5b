"""Input files of jobs, as functions of the wildcards of their outputs.

Paths are relative to the project.  At the scale `record`, the files of models are in
the folder of the record, and models that are missing there are omitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from mathprobe import paths
from mathprobe.archive import MANIFEST
from mathprobe.catalog import RECORD, Catalog
from mathprobe.catalog.arith import MAP_FILES, TABLE_SOURCES
from mathprobe.catalog.linalg import unique_models
from mathprobe.errors import InputError
from mathprobe.linalg.distributions import components
from mathprobe.paper import findings, published
from mathprobe.paper.tables import KINDS
from mathprobe.registry import check_name
from mathprobe.settings import TableEntry

Wildcards = Any  # snakemake.io.Wildcards of a job

PUBLISHED = "paper/published"
ERRATA = [f"{PUBLISHED}/errata.yaml", f"{PUBLISHED}/arith_errata.yaml"]


class Inputs:
    """Input files of the jobs for the experiments of a catalog."""

    def __init__(self, catalog: Catalog, root: Path = Path()) -> None:
        """Store a catalog, and find notebooks and published numbers below `root`."""
        self.catalog = catalog
        self.by_size = [name for name, kind in KINDS.items() if kind.config_table]
        self.notebooks = _names("notebook", root / "paper/notebooks", ".py")
        self.templates = _names("template", root / "paper/templates", ".tex.j2")
        self.published = _published(*published.FILES)
        arith = sorted(path.stem for path in (root / PUBLISHED).glob("arith_*.csv"))
        self.arith_published = [*_published(*arith), f"{PUBLISHED}/quirke2024.yaml"]

    def check(self, targets: Iterable[str]) -> None:
        """Raise InputError for a target that no rule makes, or of an invalid model."""
        scale = self.catalog.default_scale
        tables = {Path(path).name for path in self.all_tables(scale)}
        tables |= {f"{template}.tex" for template in self.templates}
        tables |= {"facts.json", "numbers.tex"}
        known = {"kind": self.by_size, "table": sorted(tables)}
        for target in targets:
            if Path(target).is_absolute():
                raise InputError(
                    f"{target}: targets are relative to the folder of the Snakefile; "
                    f"use {paths.RESULTS.format(scale=scale)}/..."
                )
            pattern, w = paths.parse(
                target.rstrip("/"), {**self.catalog.names, **known}
            )
            if w.get("scale") != RECORD:
                self._check_model(target, pattern, w)

    def _check_model(self, target: str, pattern: str, w: dict[str, str]) -> None:
        try:
            if pattern.startswith(paths.MODEL):
                keys = ("scale", "task", "distribution", "n", "recipe")
                self.catalog.model(**{key: w[key] for key in keys})
            elif pattern.startswith(paths.ARITH):
                self.catalog.arith_model(w["scale"], w["model"])
        except InputError as error:
            raise InputError(f"{target}: {error}") from None

    def testsets(self, w: Wildcards) -> list[str]:
        """Return all test sets of a model."""
        return self._testsets(
            w, self.catalog.test_distributions(w.task, w.distribution)
        )

    def in_distribution_testsets(self, w: Wildcards) -> list[str]:
        """Return the test sets of the training distributions of a model."""
        return self._testsets(w, components(w.distribution))

    def _testsets(self, w: Wildcards, distributions: Iterable[str]) -> list[str]:
        same = {"scale": w.scale, "task": w.task, "n": w.n}
        return [paths.TESTSET.format(**same, distribution=one) for one in distributions]

    def model_folders(
        self,
        scale: str,
        models: Iterable[dict[str, Any]],
        pattern: str = paths.MODEL,
        files: Iterable[str | None] = (),
        unfinished: bool = False,
    ) -> list[str]:
        """Return the folders of models, without duplicates.

        `models` are the wildcards of their paths.  Of a record, return only those that
        have these files, without or with models that are not finished.
        """
        if scale == RECORD:
            pattern = paths.in_record(pattern, str(self.catalog.record))
        folders = dict.fromkeys(pattern.format(scale=scale, **name) for name in models)
        if scale != RECORD:
            return list(folders)
        runs, needed = [paths.RUN, paths.UNFINISHED][: 1 + unfinished], list(files)
        return [
            folder
            for folder in folders
            if any(Path(folder, name).exists() for name in runs)
            and all(Path(folder, name).exists() for name in filter(None, needed))
        ]

    def table_inputs(self, w: Wildcards) -> list[str]:
        """Return the files of models that a table of the first study needs."""
        kind, models = KINDS[w.get("kind", "runs")], self.table_models(w)
        found = []
        for folder in self.model_folders(
            w.scale, models, files=[kind.model_file], unfinished=kind.unfinished
        ):
            found.append(str(paths.run_file(Path(folder))))
            if kind.model_file:
                found.append(f"{folder}/{kind.model_file}")
        return found

    def cost_inputs(self, w: Wildcards) -> list[str]:
        """Return the run.json, or unfinished.json, of all models of both studies."""
        decoders = [{"model": name} for name in self.catalog.arith(w.scale).rows]
        models = self.catalog.all_models(w.scale)
        folders = [
            *self.model_folders(w.scale, models, unfinished=True),
            *self.model_folders(w.scale, decoders, paths.ARITH, unfinished=True),
        ]
        return [str(paths.run_file(Path(folder))) for folder in folders]

    def table_models(self, w: Wildcards) -> list[dict[str, Any]]:
        """Return the models of a table of the first study, as wildcards."""
        if not w.get("task"):
            return self.catalog.all_models(w.scale)
        return unique_models(self._entries(w))

    def _entries(self, w: Wildcards) -> list[TableEntry]:
        table = KINDS[w.kind].config_table
        assert table, f"table {w.kind!r} has no task and size"
        return self.catalog.linalg(w.scale).table_entries(table, w.task, w.n)

    def missing(self, w: Wildcards) -> list[str]:
        """Return the models of a table that are missing from the record."""
        kind = KINDS[w.kind]
        find = partial(
            self.model_folders, files=[kind.model_file], unfinished=kind.unfinished
        )
        return [
            paths.LINALG_NAME.format(**name)
            for name in self.table_models(w)
            if not find(w.scale, [name])
        ]

    def target_accuracies(self, w: Wildcards) -> list[str]:
        """Return MODEL=ACCURACY for each model of a table of learning speeds."""
        if w.kind != "learning_speed":
            return []
        return self.catalog.linalg(w.scale).target_accuracies(w.task, w.n)

    def arith_table_inputs(self, w: Wildcards) -> list[str]:
        """Return the files of decoders that a table of the second study needs.

        The table `reuse` has only decoders with a parent.
        """
        rows = self.catalog.arith(w.scale).rows
        names = [name for name, row in rows.items() if row.parent or w.kind != "reuse"]
        return self._decoder_files(w.scale, names, *TABLE_SOURCES[w.kind])

    def parent_file(self, w: Wildcards, file: str) -> list[str]:
        """Return a file of a decoder's parent, or an empty list if it has no parent."""
        parent = self.catalog.arith(w.scale).row(w.model).parent
        return self._decoder_files(w.scale, [parent] if parent else [], file)

    def _decoder_files(
        self, scale: str, names: Iterable[str], *files: str
    ) -> list[str]:
        models = ({"model": name} for name in names)
        folders = self.model_folders(scale, models, paths.ARITH, files)
        return [f"{folder}/{file}" for folder in folders for file in files]

    def tables(self, scale: str, kind: str) -> list[str]:
        """Return the tables of a kind; some kinds have one for each task and size."""
        if not (table := KINDS[kind].config_table):
            return [f"{paths.TABLES.format(scale=scale)}/{kind}.csv"]
        entries = self.catalog.linalg(scale).entries[table]
        same = {"scale": scale, "kind": kind}
        found = [paths.TABLE.format(**same, task=one.task, n=one.n) for one in entries]
        return list(dict.fromkeys(found))

    def _table(self, scale: str, kind: str) -> str:
        """Return the table of a kind that has only one."""
        (path,) = self.tables(scale, kind)
        return path

    def template_tables(self, w: Wildcards) -> list[str]:
        """Return the tables that a LaTeX template needs."""
        kinds = [name for name, kind in KINDS.items() if w.template in kind.templates]
        return [path for kind in kinds for path in self.tables(w.scale, kind)]

    def all_tables(self, scale: str) -> list[str]:
        """Return all tables of a scale."""
        return [path for kind in KINDS for path in self.tables(scale, kind)]

    def finding_tables(self, scale: str) -> list[str]:
        """Return the tables of this run from which the findings follow."""
        kinds = findings.TABLES
        return [path for kind in kinds for path in self.tables(scale, kind)]

    def record_manifest(self) -> list[str]:
        """Return the manifest of the record, which changes with it, if there is one."""
        path = self.catalog.record / MANIFEST
        return [str(path)] if path.exists() else []

    def circuit_pages(self, scale: str) -> list[str]:
        """Return the pages of all decoders; a record has none."""
        names = [] if scale == RECORD else self.catalog.arith(scale).rows
        return self._decoder_files(scale, names, "circuit/circuit.html")

    def notebook_inputs(self, w: Wildcards) -> dict[str, Any]:
        """Return the inputs of a notebook, by the names of its parameters.

        `map_files` is not a parameter: the notebook finds these files next to `nodes`.
        """
        inputs: dict[str, dict[str, Any]] = {
            "overview": self._overview(w.scale),
            "foreign_model": {},
            **self.linalg_notebooks(w.scale),
            **self._arith_notebooks(w.scale),
        }
        return inputs[w.notebook]

    def _overview(self, scale: str) -> dict[str, Any]:
        table = partial(self._table, scale)
        return {
            "facts": f"{paths.TABLES.format(scale=scale)}/facts.json",
            "findings": table("findings"),
            "errata": ERRATA,
            "evidence": [table("evidence"), table("arith_evidence")],
            "conditions": table("condition_numbers"),
            "oracle": table("oracle_accuracy"),
            "runs": table("runs"),
        }

    def linalg_notebooks(self, scale: str) -> dict[str, dict[str, Any]]:
        """Return the inputs of the notebooks of the first study."""
        tables = partial(self.tables, scale)
        entries = self.catalog.linalg(scale).entries
        names = unique_models(entries["failures"])
        shown = self.model_folders(scale, names, files=["in_distribution.npz"])
        predictions = [f"{folder}/in_distribution.npz" for folder in shown]
        main = unique_models(entries["out_of_distribution"])[:1]
        heads = ("ablations.csv", "attention.csv")
        folders = self.model_folders(scale, main, files=heads)
        return {
            "spectral_properties": {
                "failures": tables("failures"),
                "predictions": predictions,
                "ablations": [f"{folder}/ablations.csv" for folder in folders],
                "attention": [f"{folder}/attention.csv" for folder in folders],
                "published": _published("failures", "labels"),
            },
            "verifiers": {
                "verifiers": tables("verifiers"),
                "roc": tables("roc"),
                "predictions": predictions,
            },
            "generalization": {
                "ood": tables("ood"),
                "tolerances": tables("tolerances"),
                "published": _published("accuracy", "labels"),
            },
            "learning_speed": {
                "speeds": tables("learning_speed"),
                "curves": tables("curves"),
                "published": _published("learning_speed", "labels"),
            },
        }

    def notebook_settings(self, w: Wildcards) -> dict[str, Any]:
        """Return the parameters of a notebook that are not paths."""
        updates = self.catalog.arith(w.scale).settings.foreign_updates
        return {"updates": updates} if w.notebook == "foreign_model" else {}

    def _arith_notebooks(self, scale: str) -> dict[str, dict[str, Any]]:
        study, table = self.catalog.arith(scale), partial(self._table, scale)
        examples = study.settings.example_models
        files = partial(self._decoder_files, scale)
        maps = {
            notebook: {
                "nodes": files([name], "facts/nodes.csv"),
                "map_files": files([name], *(f"facts/{file}" for file in MAP_FILES)),
            }
            for notebook, name in (
                ("addition_circuit", examples.addition),
                ("subtraction_circuit", examples.mixed),
            )
        }
        children = [examples.mixed] if study.row(examples.mixed).parent else []
        facts = f"{paths.TABLES.format(scale=scale)}/facts.json"
        return {
            **maps,
            "parameter_transfer": {
                "facts": facts,
                "accuracy": table("arith_accuracy"),
                "curves": files(study.comparison_models(examples.mixed), "curve.csv"),
                "reuse": files(children, "reuse.csv"),
            },
            "decoders": {
                "facts": facts,
                **{
                    name: table(f"arith_{name}")
                    for name in ("accuracy", "curves", "circuits")
                },
            },
        }


def _names(kind: str, folder: Path, suffix: str) -> list[str]:
    """Return the checked names of files of a kind, without their suffix."""
    names = sorted(p.name.removesuffix(suffix) for p in folder.glob(f"*{suffix}"))
    for name in names:
        check_name(kind, name)
    return names


def _published(*names: str) -> list[str]:
    return [f"{PUBLISHED}/{name}.csv" for name in names]
