"""Compare the processor time of the demo's trainings at two revisions of the code.

`python benchmarks/trainings.py OLD NEW` clones both revisions and runs Snakemake in the
clones alternately, so that other work on the machine affects both.  Each training is
run with many updates and with few; the difference leaves out the time to start.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import tables
from measurements import ROOT, Measurements, argument_parser

from mathprobe import git

FEW = 100
BATCH, THOUSAND = 64, 1000
# Names of the same training; the number of updates is part of the second target.
TARGETS = {
    "eigenvalues, n=2": "linalg/eigenvalues/laplace/n2/base",
    "addition of 3 digits, 2 layers": "arith/add_d3_l2_h3_t{thousands:g}K_s1",
}
# The demo's settings of the lengths of its trainings, by file.
LENGTHS = {
    "config/config.yaml": {"examples: 250000": "examples: {examples}"},
    "config/arith_models_demo.tsv": {"\t3000\t": "\t{updates}\t"},
}
DECODER_LENGTH = {"_t3K_": "_t{thousands:g}K_"}


def clone(revision: str, folder: Path) -> None:
    """Clone a revision of this repository into a new folder."""
    quiet = ("--quiet", "--shared")
    subprocess.run(["git", "clone", *quiet, str(ROOT), str(folder)], check=True)
    checkout = ["git", "-C", str(folder), "checkout", "--quiet", "--detach", revision]
    subprocess.run(checkout, check=True)


def set_updates(folder: Path, updates: int) -> None:
    """Change the length of the demo's trainings in a clone; undo earlier changes."""
    subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", "."], check=True)
    for name, lengths in LENGTHS.items():
        path = folder / name
        text = path.read_text("utf-8")
        for old, new in {**lengths, **DECODER_LENGTH}.items():
            if old not in text:
                raise ValueError(f"{path} does not contain {old!r}")
            text = text.replace(old, new.format(**_values(updates)))
        path.write_text(text, "utf-8")


def _values(updates: int) -> dict[str, float]:
    thousands = updates / THOUSAND
    return {"updates": updates, "examples": BATCH * updates, "thousands": thousands}


def processor_seconds(folder: Path, target: str, updates: int) -> float:
    """Train a model in a clone; return the processor time of Snakemake and its jobs."""
    set_updates(folder, updates)
    shutil.rmtree(folder / "results", ignore_errors=True)
    path = f"results/demo/{target.format(**_values(updates))}/model.safetensors"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--", path], cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not (folder / path).exists():
        raise FileNotFoundError(folder / path)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def update_milliseconds(folder: Path, target: str, many: int) -> float:
    """Return the processor time of an update, in milliseconds."""
    difference = processor_seconds(folder, target, many)
    difference -= processor_seconds(folder, target, FEW)
    return 1e3 * difference / (many - FEW)


def compare(
    clones: dict[str, Path], target: str, many: int, pairs: int
) -> dict[str, Any]:
    """Measure a training in two clones alternately.

    Returns the median of each clone and the median of the savings of the pairs.
    """
    measured: dict[str, list[float]] = {name: [] for name in clones}
    for _ in range(pairs):
        for name, folder in clones.items():
            measured[name].append(update_milliseconds(folder, target, many))
            print(f"  {name}: {measured[name][-1]:.2f} ms", flush=True)
    savings = [1.0 - new / old for old, new in zip(*measured.values(), strict=True)]
    medians = {name: median(values) for name, values in measured.items()}
    return {**medians, "saved": median(savings), "pairs": measured, "updates": many}


def measure(
    revisions: dict[str, str], measured: Measurements, many: int, pairs: int
) -> None:
    """Compare all trainings at two revisions, named `old` and `new`; store the result.

    The measurements must be those of the CPU.
    """
    with tempfile.TemporaryDirectory() as folder:
        clones = {name: Path(folder) / name for name in revisions}
        for name, revision in revisions.items():
            clone(revision, clones[name])
        for name, target in TARGETS.items():
            print(name, flush=True)
            row = compare(clones, target, many, pairs)
            names = {f"{side}_revision": rev for side, rev in revisions.items()}
            measured.add(tables.TRAININGS, name, {**row, **names})


def main() -> None:
    """Compare two revisions and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("old", help="revision, for example f6e63cf")
    parser.add_argument("new", help="revision, for example HEAD")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    measured = Measurements.of_device(args.folder, "cpu")
    revisions = {
        side: git.run(ROOT, "rev-parse", "--short=9", name)
        for side, name in (("old", args.old), ("new", args.new))
    }
    measure(revisions, measured, args.updates, args.pairs)
    section = measured.section(tables.TRAININGS)
    print(f"\n{tables.format_section(tables.TRAININGS, section)}")


if __name__ == "__main__":
    main()
