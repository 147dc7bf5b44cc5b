"""Checks of the machine and the project before anything is computed."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from mathprobe import estimates, files, git, plan
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.paper import published, tex
from mathprobe.paths import ARITH, MODEL, RUN
from mathprobe.spec import ArithModel, Model

PACKAGES = ("snakemake", "torch", "numpy", "pandas", "papermill", "ipykernel")
GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """The result of a check.  After an error, nothing can be computed."""

    subject: str
    text: str
    level: Literal["fine", "warning", "error"] = "fine"

    def __str__(self) -> str:
        """Return the finding in one line."""
        mark = "" if self.level == "fine" else f"{self.level}: "
        return f"{self.subject}: {mark}{self.text}"


def examine(
    root: Path, engine: tex.Engine, models: Sequence[Model | ArithModel] = ()
) -> list[Finding]:
    """Return the findings in a clone of the project; takes milliseconds.

    `engine` is the result of `tex.find`.  `models` will be trained, so there must be
    disk space for them.
    """
    return [
        _check("packages", packages),
        _revision(root),
        _check("results", partial(results_folder, root / "results", models)),
        _check("published numbers", partial(published_numbers, root)),
        _tex(engine),
    ]


def _check(subject: str, check: Callable[[], str]) -> Finding:
    """Return the text of a check, or its InputError as an error."""
    try:
        return Finding(subject, check())
    except InputError as error:
        return Finding(subject, str(error), "error")


def packages() -> str:
    """Return the versions of the main packages; raise InputError if one is missing."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            raise InputError(f"{name} is not installed; run `make env`") from None
    return ", ".join(versions)


def _revision(root: Path) -> Finding:
    found = git.revision(root)
    if found.commit is None:
        text = f"unknown, so results cannot be recorded: {found.problem}"
        return Finding("revision", text, "warning")
    changes = "" if found.clean else ", with changes that are not committed"
    return Finding("revision", f"{found.commit[:10]}{changes}")


def untrained(catalog: Catalog, scale: str, root: Path) -> list[Model | ArithModel]:
    """Return the models of a scale that are not trained yet."""
    if scale not in catalog.scales:  # `record` trains nothing
        return []
    specs: dict[str, Model | ArithModel] = {
        MODEL.format(scale=scale, **name): catalog.model(scale, **name)
        for name in catalog.all_models(scale)
    }
    for name in catalog.arith(scale).rows:
        specs[ARITH.format(scale=scale, model=name)] = catalog.arith_model(scale, name)
    return [
        spec for folder, spec in specs.items() if not (root / folder / RUN).exists()
    ]


def needed_bytes(models: Sequence[Model | ArithModel], parallel: int) -> int:
    """Return the disk space of all weights, and of checkpoints while models train.

    At most `parallel` models are trained at once; the largest ones count.
    """
    sizes = sorted(map(estimates.parameter_count, models), reverse=True)
    checkpoints = plan.CHECKPOINTS * plan.CHECKPOINT_BYTES * sum(sizes[:parallel])
    return plan.WEIGHT_BYTES * sum(sizes) + checkpoints


def results_folder(
    folder: Path, models: Sequence[Model | ArithModel] = (), parallel: int = 1
) -> str:
    """Return the free disk space of the folder of results.

    Raises InputError if the folder cannot be written, has no locks, or has too little
    space for the training of `models`, at most `parallel` at once.
    """
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile("w", dir=place, encoding="utf-8") as file:
            files.lock_file(file, fcntl.LOCK_NB)
    except OSError as error:
        raise InputError(
            f"{place} cannot be written ({error.strerror}): make `results` a link to a "
            "folder that can"
        ) from error
    free, needed = shutil.disk_usage(place).free, needed_bytes(models, parallel)
    text = f"{place}: {free / GIGABYTE:,.1f} GB free"
    if free < needed:
        raise InputError(
            f"{text}, but weights and checkpoints of the models to train "
            f"({len(models):,}) need {needed / GIGABYTE:,.1f} GB: make `results` a "
            "link to a larger disk"
        )
    return text


def published_numbers(root: Path) -> str:
    """Return the number of published rows; raise InputError if a file is invalid."""
    rows = 0
    for name in published.FILES:
        path = root / "paper" / "published" / f"{name}.csv"
        try:
            rows += len(published.read_all([path])[name])
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path}: a column is missing or invalid: {error}"
            ) from error
    return f"{rows} rows in {len(published.FILES)} tables"


def _tex(engine: tex.Engine) -> Finding:
    level: Literal["fine", "warning"] = "warning" if engine.kind == "none" else "fine"
    return Finding("TeX", engine.message.removeprefix("TeX: "), level)
