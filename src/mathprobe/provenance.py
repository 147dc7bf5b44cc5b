"""Provenance of results: code, versions and machine."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mathprobe import dependencies, files

PACKAGE = Path(__file__).parent
TRAINING_COMMANDS = {"linalg": "train", "arith": "arith_train"}  # by study
TESTSET_COMMAND = "testset"
VERSIONS = ("mathprobe", "torch", "numpy", "scipy")


def code_digests() -> dict[str, str]:
    """Return the digest of the code that affects a training, by study."""
    return {
        study: dependencies.digest(command)
        for study, command in TRAINING_COMMANDS.items()
    }


def is_stale(run: Path) -> bool:
    """Return whether any attempt of a training used other code than the present one.

    `run` is the path of its run.json.
    """
    facts = files.read_json(run)
    codes = {attempt["code"] for attempt in facts["history"]}
    return codes != {code_digests().get(facts.get("study"))}  # old files have no study


def is_stale_testset(path: Path) -> bool:
    """Return whether a test set was made by other code than the present one."""
    return str(files.load_arrays(path).get("code")) != dependencies.digest(
        TESTSET_COMMAND
    )


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # not a checkout, or no git
    return done.stdout.strip()


def revision() -> dict[str, Any]:
    """Return the git revision and whether the tree is clean; None if unknown."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "revision": _git("rev-parse", "HEAD"),
        "clean": None if changes is None else not changes,
    }


def cpu_name() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def collect(study: str) -> dict[str, Any]:
    """Return the code digest, versions, machine and current time, for a job."""
    return {
        "study": study,
        "code": dependencies.digest(TRAINING_COMMANDS[study]),
        **revision(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
        "machine": platform.node(),
        "cpu": cpu_name(),
        "started": utc_now(),
    }


def utc_now() -> str:
    """Return the current time in UTC, in ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
