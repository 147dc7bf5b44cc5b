"""Provenance of results: code, versions and machine."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mathprobe import dependencies, files, git, gpus
from mathprobe.lazy import torch

TRAINING_COMMANDS = {"linalg": "train", "arith": "arith_train"}  # by study
TESTSET_COMMAND = "testset"
VERSIONS = ("mathprobe", "torch", "numpy", "scipy")
# Keys of the provenance of a training whose values may change the bits of its result.
# The name of the CPU is one, because LAPACK chooses its kernels by it, and the CPU
# draws the data of every device.  The driver is not: torch contains its kernels.
REPRODUCIBILITY_KEYS = (
    *("code", "device", "threads", "cuda", "lapack", "cpu", "cpu_capability"),
)
_LAPACK = re.compile(r"LAPACK_INFO=(\w+)")
_LAPACK_VERSION = re.compile(r"(?:Math Kernel Library Version|OpenBLAS) (\d[\d.]*)")
SHOWN_CHARACTERS = 12  # of the digest of code


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


def has_other_parent(run: Path) -> bool:
    """Return whether a decoder was trained from other weights of its parent.

    `run` is the path of its run.json.  The parent is in a folder beside its folder.
    """
    facts = files.read_json(run)
    insertion = facts["spec"].get("insertion")
    if not insertion:
        return False
    parent = run.parent.parent / insertion["parent"]["name"] / "model.safetensors"
    return parent.exists() and files.checksum(parent) != facts.get("parent")


def is_stale_testset(path: Path) -> bool:
    """Return whether a test set was made by other code than the present one."""
    return str(files.load_arrays(path).get("code")) != dependencies.digest(
        TESTSET_COMMAND
    )


def revision() -> dict[str, Any]:
    """Return the git revision, whether the tree is clean, and why they are unknown.

    Unknown values are None; `revision_problem` is empty if both are known.
    """
    found = git.revision()
    return {
        "revision": found.commit,
        "clean": found.clean,
        "revision_problem": found.problem,
    }


def cpu_name() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def lapack(config: str) -> str:
    """Return the vendor and version of LAPACK in the text `torch.__config__.show()`.

    Some builds do not state the version.
    """
    found = (_LAPACK.search(config), _LAPACK_VERSION.search(config))
    return " ".join(match[1] for match in found if match) or "unknown"


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
        "cuda": torch.version.cuda,
        "driver": gpus.driver_version(),
        "lapack": lapack(torch.__config__.show()),
        "machine": platform.node(),
        "cpu": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "started": utc_now(),
    }


def reproducibility(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a training that may change the bits of its result.

    `origin` is the result of `collect` with the keys `device` and `threads`.
    """
    facts = {key: origin[key] for key in REPRODUCIBILITY_KEYS}
    return {**facts, "torch": origin["versions"]["torch"]}


def differences(
    attempt: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, str]:
    """Describe the facts of `reproducibility` that differ in an earlier attempt.

    The keys are those of `reproducibility`.  Facts that an older version of this
    program did not record are left out.
    """
    return {
        key: f"{key} {_shown(key, attempt[key])} (now {_shown(key, value)})"
        for key, value in reproducibility(origin).items()
        if key in attempt and attempt[key] != value
    }


def _shown(key: str, value: Any) -> str:
    return str(value)[:SHOWN_CHARACTERS] if key == "code" else str(value)


def utc_now() -> str:
    """Return the current time in UTC, in ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
