"""Commands about results as a whole: where they stand, what they cost, what is kept."""

from __future__ import annotations

import sys
from pathlib import Path

from mathprobe import files, provenance
from mathprobe.cli.commands import Arguments, Parser, command

PUBLISHED = Path("paper/published")
SHARE_REACHED = 0.8  # of matrix products, by training at n = 5: benchmarks/README.md


def _config(parser: Parser) -> None:
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))


def _is_stale(path: Path, now: dict[str, str]) -> bool:
    """Tell whether other code than that of now made a model, in any attempt."""
    run = files.read_json(path)
    codes = {attempt["code"] for attempt in run["history"]}
    return codes != {now.get(run.get("study"))}  # older ones name no study


def _stale(parser: Parser) -> None:
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))


@command(_stale)
def stale(args: Arguments) -> None:
    """List the models that code older than this made; nothing retrains by itself."""
    now = provenance.code_digests()
    runs = sorted(args.results.rglob("run.json"))
    old = [path for path in runs if _is_stale(path, now)]
    for path in old:
        print(path.parent)
    print(f"{len(old)} of {len(runs)} models were made by other code", file=sys.stderr)


def _status(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results/{scale}")
    _config(parser)


@command(_status)
def status(args: Arguments) -> None:
    """Show where every training of a scale is; `watch` keeps it live."""
    from mathprobe import catalog, status

    print(status.text(status.survey(catalog.load(args.config), args.results)))


def _plan(parser: Parser) -> None:
    parser.add_argument("target", type=Path, help="results/{scale}/paper.pdf")
    _config(parser)
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="folder")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--flops-per-second", type=float, help="of one device, training")
    first = "of the first table's models, all seeds together"
    rate.add_argument("--examples-per-second", type=float, help=first)
    parser.add_argument(
        "--share",
        type=float,
        default=SHARE_REACHED,
        help="of the measured rate of matrix products that training reaches "
        "(%(default)s, as measured on a processor; less on a GPU with small batches)",
    )


@command(_plan)
def plan(args: Arguments) -> None:
    """Say what a scale's paper costs: examples, FLOP, hours, memory, disk."""
    from mathprobe import catalog, plan
    from mathprobe.paper import published

    books, scale = catalog.load(args.config), args.target.parent.name
    printed = published.read_all(sorted(args.published.glob("*.csv")))
    costs = plan.survey(books, args.target, printed)
    if args.flops_per_second:
        rate = plan.Rate(args.flops_per_second, "as given")
    elif args.examples_per_second:
        rate = plan.from_examples(books, scale, args.examples_per_second)
    else:
        rate = plan.measured(books, scale, args.share)
    print(plan.text(costs, rate))


def _costs(parser: Parser) -> None:
    parser.add_argument("--logs", type=Path, required=True, help="logs/results/{scale}")
    parser.add_argument("--models", type=Path, nargs="*", required=True, help="folders")
    parser.add_argument("--flops-per-second", type=float, required=True, help="assumed")
    for table in ("--rules", "--trainings"):
        parser.add_argument(table, type=Path, required=True)


@command(_costs)
def costs(args: Arguments) -> None:
    """Say what every rule took, and every training beside what was foreseen."""
    from mathprobe import costs

    rows = {
        "rules": costs.rules(args.logs),
        "trainings": costs.trainings(args.models, args.flops_per_second),
    }
    for table, columns in costs.COLUMNS.items():
        files.write_csv(getattr(args, table), rows[table], columns)


def _record(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results/{scale}")
    parser.add_argument("--record", type=Path, default=Path("paper/record"))
    _config(parser)


@command(_record)
def record(args: Arguments) -> None:
    """Keep the metrics of all finished models of a scale, and where they are from."""
    from mathprobe import archive, catalog

    kept = archive.keep(args.results, args.record, catalog.read(args.config))
    for folder in kept:
        print(folder)


def _archive(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results/{scale}")
    parser.add_argument("out", type=Path, help="OUT.tar.zst")
    parser.add_argument("--weights", action="store_true", help="pack them as well")
    _config(parser)


@command(_archive)
def archive(args: Arguments) -> None:
    """Pack what rebuilds every table, figure and the PDF of a scale."""
    from mathprobe import archive, catalog

    books = catalog.load(args.config)
    tables = {scale: books.arith(scale).file for scale in books.scales}
    told = archive.pack(args.results, args.out, books.config, tables, args.weights)
    print(f"{args.out}: {_told(told)}, {args.out.stat().st_size:,} bytes")


def _unpack(parser: Parser) -> None:
    parser.add_argument("archive", type=Path, help="OUT.tar.zst")
    parser.add_argument("folder", type=Path, help="a record, replaced if it is there")


@command(_unpack)
def unpack(args: Arguments) -> None:
    """Unpack an archive and hold it against its manifest."""
    from mathprobe import archive

    told = archive.unpack(args.archive, args.folder)
    print(f"{args.folder}: {_told(told)}, verified")
    if told["code"] != provenance.code_digests():
        print("Its models were trained by other code than this.")


def _told(manifest: dict) -> str:
    count = len(manifest["models"])
    return (
        f"{count} models of scale {manifest['scale']}, {len(manifest['files'])} files"
    )
