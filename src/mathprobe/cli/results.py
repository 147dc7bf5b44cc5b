"""The commands about results as a whole: state, cost, provenance, archives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mathprobe.cli.app import CONFIG, PEOPLE, Config, Results, command

PUBLISHED = Path("paper/published")
RECORD = Path("paper/record")
SHARE_REACHED = 0.8  # of matrix products, by training at n = 5: benchmarks/README.md


@command(PEOPLE)
def status(results: Results, /, *, config: Config = CONFIG) -> None:
    """Show the state of every training of a scale; `watch` keeps it live."""
    from mathprobe import catalog, status

    print(status.text(status.survey(catalog.load(config), results)))


@command(PEOPLE)
def plan(
    target: Path,
    /,
    *,
    config: Config = CONFIG,
    published: Path = PUBLISHED,
    flops_per_second: float | None = None,
    share: float = SHARE_REACHED,
) -> None:
    """Print what a scale's paper costs: examples, FLOP, hours, memory, disk.

    Parameters
    ----------
    target
        The paper: results/SCALE/paper.pdf.
    published
        Folder of published numbers.
    flops_per_second
        Rate of training on one device; left out, matrix products are measured here.
    share
        Share of the measured rate that training reaches: 0.8 was measured on a
        processor; a GPU with small batches reaches less.
    """
    from mathprobe import catalog, plan
    from mathprobe.paper.published import read_folder

    books, scale = catalog.load(config), target.parent.name
    costs = plan.survey(books, target, read_folder(published))
    if flops_per_second:
        rate = plan.Rate(flops_per_second, "as given")
    else:
        rate = plan.measured(books, scale, share)
    print(plan.text(costs, rate))


@command(PEOPLE)
def stale(results: Path = Path("results"), /) -> None:
    """List the models and test sets that other code made; nothing retrains by itself.

    Parameters
    ----------
    results
        Folder of results.
    """
    from mathprobe import provenance

    runs = sorted(results.rglob("run.json"))
    tests = sorted(results.glob("**/testsets/**/*.npz"))
    models = [path.parent for path in runs if provenance.is_stale(path)]
    sets = [path for path in tests if provenance.is_stale_testset(path)]
    for path in (*models, *sets):
        print(path)
    counts = f"{len(models)} of {len(runs)} models, {len(sets)} of {len(tests)}"
    print(f"{counts} test sets were made by other code", file=sys.stderr)


@command(PEOPLE)
def settings() -> None:
    """List every setting of the configuration: its type, bounds and meaning."""
    from mathprobe import settings

    print(settings.documentation(), end="")


@command(PEOPLE)
def archive(
    results: Results, out: Path, /, *, weights: bool = False, config: Config = CONFIG
) -> None:
    """Pack what rebuilds every table, figure and the PDF of a scale.

    Parameters
    ----------
    out
        Where the archive is written: NAME.tar.zst.
    weights
        Pack the weights too.
    """
    from mathprobe import archive, catalog

    books = catalog.load(config)
    tables = {scale: books.arith(scale).file for scale in books.scales}
    manifest = archive.pack(results, out, books.config, tables, weights)
    print(f"{out}: {_contents(manifest)}, {out.stat().st_size:,} bytes")


@command(PEOPLE)
def unpack(archive: Path, folder: Path, /) -> None:
    """Unpack an archive and check it against its manifest.

    Parameters
    ----------
    archive
        Archive: NAME.tar.zst.
    folder
        Folder of the record; replaced if it is there.
    """
    from mathprobe import provenance
    from mathprobe.archive import unpack

    manifest = unpack(archive, folder)
    print(f"{folder}: {_contents(manifest)}, verified")
    if manifest["code"] != provenance.code_digests():
        print("Its models were trained by other code than this.")


def _contents(manifest: dict[str, Any]) -> str:
    models, scale = len(manifest["models"]), manifest["scale"]
    return f"{models} models of scale {scale}, {len(manifest['files'])} files"


@command(PEOPLE)
def record(
    results: Results, /, *, record: Path = RECORD, config: Config = CONFIG
) -> None:
    """Copy the metrics of all finished models of a scale, with their provenance.

    Parameters
    ----------
    record
        Folder of the record.
    """
    from mathprobe import archive, catalog

    for folder in archive.keep(results, record, catalog.read(config)):
        print(folder)
