"""Commands about the results of a scale: status, cost, provenance and archives."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathprobe.cli.app import (
    CONFIG,
    USER,
    Config,
    Device,
    Out,
    Results,
    Threads,
    command,
)
from mathprobe.cli.device import set_up_torch
from mathprobe.errors import InputError, check_choice

if TYPE_CHECKING:
    from mathprobe.plan import Rate
    from mathprobe.status import TrainingStatus

PUBLISHED = Path("paper/published")
RECORD = Path("paper/record")
RESULTS = Path("results")
WATCH_SECONDS = 2.0  # between two readings of the files
SHOWN_CELLS = 5


@command(USER)
def status(results: Results, /, *, watch: bool = False, config: Config = ()) -> None:
    """Print the status of all trainings of a scale, also of those made on demand.

    Parameters
    ----------
    watch
        Refresh the table until all trainings are done or Ctrl-C, unfinished ones first.
    """
    from mathprobe import status
    from mathprobe.catalog import Catalog

    catalog = Catalog.load(CONFIG, *config)
    if results == Path(results.name):  # not results/SCALE, which may be empty
        _check_folder(results)
    if watch:
        _watch(lambda: status.read_all(catalog, results))
    else:
        trainings = status.read_all(catalog, results)
        print(status.format_table(trainings), status.count_states(trainings), sep="\n")


def _watch(read: Callable[[], list[TrainingStatus]]) -> None:
    """Show a live table of trainings; one that exceeds the terminal is cut."""
    from rich.live import Live
    from rich.text import Text

    from mathprobe import status

    with Live(auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while True:
            trainings = sorted(read(), key=lambda one: status.STATES.index(one.state))
            text = f"{status.count_states(trainings)}\n{status.format_table(trainings)}"
            live.update(Text(text, no_wrap=True), refresh=True)
            if all(one.state == "done" for one in trainings):
                return
            time.sleep(WATCH_SECONDS)


def _check_folder(results: Path) -> None:
    """Raise InputError if a folder of results does not exist."""
    if not results.is_dir():
        raise InputError(
            f"{results}: no such folder; results of a scale are in {RESULTS}/SCALE"
        )


@command(USER)
def plan(
    target: Path,
    /,
    *,
    config: Config = (),
    published: Path = PUBLISHED,
    flops_per_second: float | None = None,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Estimate the cost of a scale's paper: examples, FLOP, hours, memory and disk.

    Parameters
    ----------
    target
        Paper of the scale: results/SCALE/paper.pdf.
    published
        Folder of published numbers.
    flops_per_second
        Training rate of another device.
        Default: a few updates of each kind of model are timed on this machine.
    """
    from mathprobe import plan
    from mathprobe.catalog import Catalog
    from mathprobe.paper.published import read_folder

    catalog, numbers = Catalog.load(CONFIG, *config), read_folder(published)
    rate: Rate
    if flops_per_second is not None:
        if not 0 < flops_per_second < math.inf:
            raise InputError(
                f"--flops-per-second: {flops_per_second} is not a rate; write a "
                "positive number, such as 2.0e+13"
            )
        rate, origin = lambda _: flops_per_second, f"{flops_per_second:.2e} FLOP/s"
    else:
        from mathprobe.studies.timing import measured_rates

        rate = measured_rates(set_up_torch(device, threads))
        origin = "rates measured here, with a few updates of each kind of model"
    costs = plan.estimate_costs(catalog, target, numbers, rate)
    print(plan.format_costs(costs, origin))


@command(USER)
def where(results: Results, /, *text: str, config: Config = ()) -> None:
    """Find the source of a number in the paper: its row, files, run and command.

    Parameters
    ----------
    text
        A number, or the name of a macro; further words (laplace, accuracy) of the row.
    """
    from mathprobe import where
    from mathprobe.catalog import RECORD, Catalog

    words = [where.IGNORED.sub("", word) for word in text]
    macros, cells = where.read_macros(results), where.find_cells(results, words)
    named = {name: macros[name] for name in words if name in macros}
    for name, value in named.items():
        cells += where.find_cells_of_macro(results, name, value)
    having = {name: value for name, value in macros.items() if value in words}
    for name, value in (named | having).items():
        print(f"macro {name} = {value}")
    if not (cells or named or having):
        raise InputError(
            f"{results}: no macro and no row of a table has {' '.join(text)}"
        )
    if not cells:
        print(
            "no row has this value: it is a setting, or is computed from several rows"
        )
    recorded = results.name == RECORD
    models = Catalog.load(CONFIG, *config).record if recorded else results
    for cell in cells[:SHOWN_CELLS]:
        print(*where.describe(cell, models, PUBLISHED, recorded), sep="\n")
    if cells[SHOWN_CELLS:]:
        print(f"{len(cells) - SHOWN_CELLS} more; add words of the row to find fewer")


@command(USER)
def digests(scale: str, out: Out, /, *, config: Config = ()) -> None:
    """Write digests of the training data of a scale, to compare two machines.

    Parameters
    ----------
    scale
        Name of the scale.
    """
    from mathprobe import files
    from mathprobe.catalog import Catalog
    from mathprobe.studies import data_digests

    rows = data_digests.table(Catalog.load(CONFIG, *config), scale)
    files.write_csv(out, rows, data_digests.COLUMNS)


@command(USER)
def doctor(scale: str | None = None, /, *, config: Config = ()) -> None:
    """Check the machine and the project; `snakemake` does the same at its start.

    Parameters
    ----------
    scale
        Name of the scale.  Default: the default scale of the configuration.
    """
    from mathprobe import doctor
    from mathprobe.catalog import Catalog
    from mathprobe.paper import tex

    catalog = Catalog.load(CONFIG, *config)
    chosen = scale or catalog.default_scale
    check_choice(chosen, catalog.all_scales, "doctor", "scale")
    models = doctor.untrained(catalog, chosen, Path.cwd())
    findings = doctor.examine(Path.cwd(), tex.find(), models)
    for finding in findings:
        print(finding)
    if any(finding.level == "error" for finding in findings):
        sys.exit(1)


@command(USER)
def stale(results: Path = RESULTS, /) -> None:
    """List models and test sets of another version of the code, or of the parent.

    Nothing is retrained automatically.  To retrain a model, remove its folder.

    Parameters
    ----------
    results
        Results of one scale or of all.
    """
    from mathprobe import provenance

    _check_folder(results)
    runs = sorted(results.rglob("run.json"))
    tests = sorted(results.glob("**/testsets/**/*.npz"))
    models = [
        path.parent
        for path in runs
        if provenance.is_stale(path) or provenance.has_other_parent(path)
    ]
    testsets = [path for path in tests if provenance.is_stale_testset(path)]
    for path in (*models, *testsets):
        print(path)
    counts = f"{len(models)} of {len(runs)} models, {len(testsets)} of {len(tests)}"
    print(f"{counts} test sets are of another version", file=sys.stderr)


@command(USER)
def settings() -> None:
    """Print all settings of the configuration with their types, bounds and meanings."""
    from mathprobe import settings

    print(settings.documentation(), end="")


@command(USER)
def archive(
    results: Results, out: Path, /, *, weights: bool = False, config: Config = ()
) -> None:
    """Archive the metrics of a scale, to rebuild its tables, figures and PDF.

    Parameters
    ----------
    out
        Output file: NAME.tar.zst.
    weights
        Include the weights of the models.
    """
    from mathprobe import archive
    from mathprobe.catalog import Catalog

    catalog = Catalog.load(CONFIG, *config)
    archive.check_settings(results, results.name, catalog)
    tables = {scale: catalog.arith(scale).file for scale in catalog.scales}
    manifest = archive.pack(results, out, catalog.config, tables, weights)
    print(f"{out}: {_contents(manifest)}, {out.stat().st_size:,} bytes")


@command(USER)
def unpack(archive: Path, folder: Path, /) -> None:
    """Unpack and verify an archive.

    Parameters
    ----------
    archive
        Archive: NAME.tar.zst.
    folder
        Output folder.  An existing folder is replaced after verification.
    """
    from mathprobe import provenance
    from mathprobe.archive import unpack

    manifest = unpack(archive, folder)
    print(f"{folder}: {_contents(manifest)}, verified")
    if manifest["code"] != provenance.code_digests():
        print("Its models were trained with another version of the code.")


def _contents(manifest: dict[str, Any]) -> str:
    models, scales = len(manifest["models"]), ", ".join(manifest["scales"])
    return f"{models} models of scale {scales}, {len(manifest['files'])} files"


@command(USER)
def record(
    results: Results,
    /,
    *,
    record: Path = RECORD,
    unfinished: bool = False,
    config: Config = (),
) -> None:
    """Copy the metrics of the finished models of a scale to a record.

    Parameters
    ----------
    record
        Folder of the record.
    unfinished
        Also copy the learning curves of models that are still trained.
    """
    from mathprobe import archive, catalog

    known = catalog.Catalog.load(CONFIG, *config)
    archive.check_settings(results, results.name, known, unfinished)
    archive.check_settings(record, catalog.RECORD, known)
    check_choice(results.name, known.recorded_scales, "record.scales", "scale")
    for folder in archive.add_to_record(results, record, known, unfinished):
        print(folder)
    print("mathprobe readme updates the findings in README.md")


@command(USER)
def readme(path: Path = Path("README.md"), /, *, config: Config = ()) -> None:
    """Write the findings of the record into README.md.

    Parameters
    ----------
    path
        Markdown file with the marks between which the findings are.
    """
    from mathprobe import files, record
    from mathprobe.catalog import Catalog

    catalog = Catalog.load(CONFIG, *config)
    text = record.readme(path.read_text("utf-8"), catalog, PUBLISHED)
    files.write_text(path, text)
