"""Measurements of a device, stored in `measured/{device}.json`.

A file has the name of the device, and measurements by section and name.  Each has an
origin: the revision of the code, the versions and the date.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mathprobe import files, git, provenance

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks/measured"
CONFIG = ROOT / "config/config.yaml"
# A measurement depends on these files, and not on documents or other measurements.
CODE = ("src", "config", "workflow", "benchmarks/*.py")
SCALE = "paper"  # its models are measured
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def argument_parser(text: str) -> argparse.ArgumentParser:
    """Return a parser with the option `--folder`; `text` is a script's docstring."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the JSON file")
    return parser


def device_name(device: str = DEVICE) -> str:
    """Return the name of the GPU, or of the CPU with its number of threads."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{provenance.cpu_name()}, {torch.get_num_threads()} threads"


def process_memory() -> float:
    """Return the peak memory of this process in MB, on CUDA that of the device."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage: its maximum is inherited from the parent process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1.024e-3 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def slug(name: str) -> str:
    """Return a name in lower case, with hyphens instead of other characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def code_revision() -> str:
    """Return the last revision that changed the code, with `+` if it is modified."""
    modified = git.run(
        ROOT, "status", "--porcelain", "--untracked-files=no", "--", *CODE
    )
    revision = git.run(ROOT, "log", "-1", "--format=%h", "--abbrev=9", "--", *CODE)
    return revision + ("+" if modified else "")


def origin() -> dict[str, Any]:
    """Return the origin of a measurement that is made now."""
    facts = provenance.collect("linalg")
    return {
        "revision": code_revision(),
        "python": facts["python"],
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "driver": facts.get("driver"),
        "cpu": facts["cpu"],
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).date().isoformat(),
    }


class Measurements:
    """The measurements of a device; each is written to its file when it is made."""

    def __init__(self, path: Path, device: str) -> None:
        """Read the file, if it exists.  `device` is the name of the device."""
        empty = {"device": device, "sections": {}}
        self.path, self.origin = path, origin()
        self.content = files.read_json(path) if path.exists() else empty

    @classmethod
    def of_device(cls, folder: Path = FOLDER, device: str = DEVICE) -> Measurements:
        """Return the measurements of a device of this machine, `cuda` or `cpu`."""
        name = device_name(device)
        return cls(folder / f"{slug(name)}.json", name)

    def section(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the measurements of a section, by name."""
        return self.content["sections"].get(name, {})

    def is_current(self, section: str, name: str) -> bool:
        """Return whether a measurement exists that was made with the present code.

        Modified code has no revision, so such a measurement is never current.
        """
        row = self.section(section).get(name)
        if row is None or self.origin["revision"].endswith("+"):
            return False
        return {**row["origin"], "date": None} == {**self.origin, "date": None}

    def add(self, section: str, name: str, row: dict[str, Any]) -> None:
        """Store a measurement and write the file."""
        rows = self.content["sections"].setdefault(section, {})
        rows[name] = {**row, "origin": dict(self.origin)}
        files.write_json(self.path, self.content)

    def measure(
        self, section: str, planned: dict[str, Callable[[], dict[str, Any]]]
    ) -> None:
        """Make all planned measurements, by name, that are not current."""
        for name, make in planned.items():
            if self.is_current(section, name):
                print(f"{name}: measured before", flush=True)
                continue
            print(f"{name} ...", flush=True)
            self.add(section, name, make())
