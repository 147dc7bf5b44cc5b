"""The git revision of the project."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Revision:
    """A commit, and whether the tracked files equal it.  Unknown values are None."""

    commit: str | None
    clean: bool | None
    problem: str = ""  # why they are unknown


def revision(root: Path = ROOT) -> Revision:
    """Return the revision of the project in a folder.

    It is unknown if the folder is not the top level of a repository: a copy of the
    project inside another repository must not be given the revision of the other one.
    """
    try:
        top = Path(run(root, "rev-parse", "--show-toplevel"))
        if top.resolve() != root.resolve():
            return Revision(None, None, f"{root} is only a subfolder of {top}")
        changes = run(root, "status", "--porcelain", "--untracked-files=no")
        return Revision(run(root, "rev-parse", "HEAD"), not changes)
    except OSError as error:
        return Revision(None, None, f"git cannot be started: {error.strerror}")
    except subprocess.CalledProcessError as error:
        return Revision(None, None, error.stderr.strip())


def run(root: Path, *arguments: str) -> str:
    """Return the output of git in a folder; raise CalledProcessError if it fails."""
    # Variables such as GIT_DIR would select another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=environment,
    )
    return done.stdout.strip()
