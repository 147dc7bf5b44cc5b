"""Times, sizes and names in the settings of a cluster, as sites write them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from mathprobe.errors import InputError

MINUTES = {"d": 24 * 60, "h": 60, "m": 1}
TIME = re.compile(r"(\d+) *(d|h|m)(ays?|ours?|in|inutes?)?")
SLURM_TIME = re.compile(r"(\d+-)?(\d+)(:\d+)?(:\d+)?")
MEGABYTES = {"K": 1e-3, "M": 1, "G": 1e3, "T": 1e6}
SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGT])i?B?", re.IGNORECASE)
# Snakemake evaluates resources of a profile as Python, with these names.
VARIABLES = {"attempt", "input", "shutil", "threads", "wildcards"}
BUILTINS = set(dir(builtins)) - {"None"}


def minutes(value: int | str) -> int:
    """Return a time, such as 1440, "24h" or "1d 12h", in minutes.

    Raises ValueError for anything else.
    """
    text = str(value).strip()
    found = [(int(number), unit) for number, unit, _ in TIME.findall(text)]
    if text.isdecimal():
        total = int(text)
    elif re.fullmatch(rf"({TIME.pattern} *)+", text):
        total = sum(number * MINUTES[unit] for number, unit in found)
    else:
        total = 0
    if total < 1:
        meant = _slurm_minutes(text)
        hint = f", or here {meant} (it is in the format of Slurm)" if meant else ""
        raise ValueError(
            f"{value!r} is not a time; write minutes, such as 1440, or units, such as "
            f"24h or 1d{hint}"
        )
    return total


def _slurm_minutes(text: str) -> int | None:
    """Return the minutes of a time in the format of Slurm, rounded up, or None.

    Without days, Slurm reads two numbers as minutes and seconds.
    """
    if text.isdecimal() or not (found := SLURM_TIME.fullmatch(text)):
        return None
    days, *rest = (part and int(part.strip("-:")) for part in found.groups())
    numbers = [part or 0 for part in rest]
    if days is None and rest[2] is None:
        numbers = [0, *numbers[:2]]
    hours, minute, seconds = numbers
    return ((days or 0) * 24 + hours) * 60 + minute + (seconds > 0)


def megabytes(text: str) -> int | None:
    """Return a size such as 16G in megabytes, or None for anything else."""
    found = SIZE.fullmatch(text.strip())
    return round(float(found[1]) * MEGABYTES[found[2].upper()]) if found else None


def profiles(arguments: list[str], folder: Path) -> list[Path]:
    """Return the profiles that Snakemake, started in a folder, reads for arguments."""
    from snakemake.cli import parse_args

    with chdir(folder), redirect_stderr(StringIO()):  # it prints a line about profiles
        parser, _ = parse_args(arguments)
    return [folder / path for path in parser._default_config_files]


def check_settings(settings: Any) -> None:
    """Raise InputError for a resource that a profile or the command line sets wrongly.

    `settings` are the resource settings of a Snakemake workflow.
    """
    check_resources("default-resources", settings.default_resources or {})
    for rule, resources in settings.overwrite_resources.items():
        check_resources(f"set-resources: {rule}", resources)


def check_resources(place: str, resources: Mapping[str, object]) -> None:
    """Raise InputError for a resource that Snakemake would misread or fail on.

    `resources` are those of a profile or of the command line, by name.
    """
    for name, value in resources.items():
        written = str(getattr(value, "raw", value))
        text = written.strip("'\" ")
        here = f"{place}: {name}"
        if name == "runtime" and _slurm_minutes(text):
            try:
                minutes(text)
            except ValueError as error:
                raise InputError(f"{here}: {error}") from error
        if name.endswith("_mb") and (size := megabytes(text)):
            unsuffixed = name.removesuffix("_mb")
            raise InputError(
                f"{here}: {text!r} is not a whole number of megabytes; write "
                f"{name}: {size}, or {unsuffixed}: {text}"
            )
        is_builtin = (
            re.fullmatch(r"[\w.]+", written) and written.split(".")[0] in BUILTINS
        )
        if is_builtin or written in VARIABLES:
            raise InputError(
                f"{here}: Snakemake reads {text} as a name of Python; write it under "
                "`cluster` in config/config.yaml, or in two pairs of quotes: "
                f"\"'{text}'\""
            )
