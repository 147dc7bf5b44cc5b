"""What a training that is done keeps in its folder of states, to find it again.

Snakemake deletes the outputs of a job before it runs it, even if another job made them
meanwhile.  They have second names here, which cost no disk, and a training that would
make the same, to the bit, puts them back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.commands import Arguments
from mathprobe.spec import ArithModel, Model

OUTPUTS = ("model", "curve", "run")  # the last says that the others are there
DONE, NEW = "done", "new"  # folders, beside the states
SUMS = "sums.json"
DECIDING = ("code", "device", "threads")  # of an attempt's bits


@contextmanager
def whole(state: Path) -> Iterator[Path]:
    """Open a folder for the outputs; they are kept once all are written."""
    new = state / NEW
    shutil.rmtree(new, ignore_errors=True)
    yield new
    files.write_json(new / SUMS, _sums(new))
    new.rename(state / DONE)


def _sums(folder: Path) -> dict[str, str]:
    return {name: files.checksum(folder / name) for name in OUTPUTS}


def show(args: Arguments) -> None:
    """Give what is kept the names of the outputs."""
    for name in OUTPUTS:
        files.link(args.state / DONE / name, getattr(args, name))


def clear(state: Path, *left: str) -> None:
    """Empty a folder of states, but for its lock and what is left.

    What is kept goes last: states without it are those of a training under way.
    """
    for path in sorted(state.iterdir(), key=lambda path: path.name == DONE):
        if path.is_dir() and path.name not in left:
            shutil.rmtree(path)
        elif path.name not in (files.LOCK, *left):
            path.unlink()


def put_back(args: Arguments, spec: Model | ArithModel, origin: dict[str, Any]) -> bool:
    """Put lost outputs back if they are what this training makes; else drop them."""
    there = args.state / DONE
    if not there.exists():
        return False
    lost = not all(getattr(args, name).exists() for name in OUTPUTS)
    same = lost and _is_same(there, spec, origin)
    if same:
        show(args)
        print(
            f"{args.run}: trained before, put back from {there}; to train anew, "
            f"remove {args.state} and run again",
            flush=True,
        )
    elif lost:
        print(
            f"{there}: damaged, or of other settings, code or machine; training anew",
            flush=True,
        )
    clear(args.state, *([DONE] if same else []))
    return same


def _is_same(kept: Path, spec: Model | ArithModel, origin: dict[str, Any]) -> bool:
    """Tell whether what is kept is whole, and the bits that a training makes here."""
    try:
        if files.read_json(kept / SUMS) != _sums(kept):
            return False
    except (files.DamagedFile, FileNotFoundError):
        return False
    run = files.read_json(kept / "run")
    here = {key: origin[key] for key in DECIDING}
    return (
        not spec.differences(run["spec"])
        and run.get("parent") == origin.get("parent")
        and all(
            here == {key: attempt.get(key) for key in DECIDING}
            for attempt in run["history"]
        )
    )
