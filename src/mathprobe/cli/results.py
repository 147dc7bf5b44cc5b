"""The commands about results as a whole: state, cost, provenance, archives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mathprobe.cli.app import CONFIG, USER, Config, Results, command

PUBLISHED = Path("paper/published")
RECORD = Path("paper/record")
SHARE_REACHED = 0.8  # of matrix products, by training at n = 5: benchmarks/README.md


@command(USER)
def status(results: Results, /, *, config: Config = CONFIG) -> None:
    """Show the state of every training of a scale; `watch` keeps it live."""
    from mathprobe import status
    from mathprobe.catalog import Catalog

    print(status.format_table(status.read_all(Catalog.load(config), results)))


@command(USER)
def plan(
    target: Path,
    /,
    *,
    config: Config = CONFIG,
    published: Path = PUBLISHED,
    flops_per_second: float | None = None,
    utilization: float = SHARE_REACHED,
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
    utilization
        Share of the measured rate that training reaches: 0.8 was measured on a
        processor; a GPU with small batches reaches less.
    """
    from mathprobe import plan
    from mathprobe.catalog import Catalog
    from mathprobe.paper.published import read_folder

    catalog, scale = Catalog.load(config), target.parent.name
    costs = plan.estimate_costs(catalog, target, read_folder(published))
    if flops_per_second:
        rate = plan.Rate(flops_per_second, "as given")
    else:
        rate = plan.measure_rate(catalog, scale, utilization)
    print(plan.format_costs(costs, rate))


@command(USER)
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


@command(USER)
def settings() -> None:
    """List every setting of the configuration: its type, bounds and meaning."""
    from mathprobe import settings

    print(settings.documentation(), end="")


@command(USER)
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
    from mathprobe import archive
    from mathprobe.catalog import Catalog

    catalog = Catalog.load(config)
    tables = {scale: catalog.arith(scale).file for scale in catalog.scales}
    manifest = archive.pack(results, out, catalog.config, tables, weights)
    print(f"{out}: {_contents(manifest)}, {out.stat().st_size:,} bytes")


@command(USER)
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


@command(USER)
def record(
    results: Results, /, *, record: Path = RECORD, config: Config = CONFIG
) -> None:
    """Copy the metrics of all finished models of a scale, with their provenance.

    Parameters
    ----------
    record
        Folder of the record.
    """
    from mathprobe import archive
    from mathprobe.settings import read_yaml

    for folder in archive.add_to_record(results, record, read_yaml(config)):
        print(folder)
