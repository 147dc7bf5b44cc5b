"""Where a result comes from: code, versions, machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
_ENGINE = ("seeds.py", "spec.py", "decoding.py", "objectives.py", "learner.py")
_ENGINE += ("training.py", "nets/layers.py")
DECIDING = {  # the modules that decide a training's result, by study
    "linalg": (
        *_ENGINE,
        *("linalg/laws.py", "linalg/encodings.py", "linalg/codec.py"),
        *("linalg/tasks.py", "linalg/draws.py", "linalg/scores.py"),
        "nets/seq2seq.py",
        *(f"studies/linalg/{name}.py" for name in ("__init__", "data", "codecs")),
        *(f"studies/linalg/{name}.py" for name in ("models", "training")),
    ),
    "arith": (
        *_ENGINE,
        *("arith/tokens.py", "arith/questions.py", "nets/decoder.py"),
        *("nets/taps.py", "nets/insertion.py"),
        *(f"studies/arith/{name}.py" for name in ("__init__", "models", "training")),
    ),
}
VERSIONS = ("mathprobe", "torch", "numpy", "scipy")


def code_digest(study: str) -> str:
    """Hash what decides a study: what older code made has another digest."""
    total = hashlib.sha256()
    for module in DECIDING[study]:
        total.update(f"{module}\n".encode() + (PACKAGE / module).read_bytes())
    return total.hexdigest()


def code_digests() -> dict[str, str]:
    """Hash what decides each study."""
    return {study: code_digest(study) for study in DECIDING}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # not a checkout: stated as unknown
    return done.stdout.strip()


def revision() -> dict[str, Any]:
    """Give the git revision, and whether the tree was clean; None where unknown."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "revision": _git("rev-parse", "HEAD"),
        "clean": None if changes is None else not changes,
    }


def cpu() -> str:
    """Name the processor."""
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


def stamp(study: str) -> dict[str, Any]:
    """Say which code of a study runs where, and since when."""
    return {
        "study": study,
        "code": code_digest(study),
        **revision(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
        "machine": platform.node(),
        "cpu": cpu(),
        "started": now(),
    }


def now() -> str:
    """Give the time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
