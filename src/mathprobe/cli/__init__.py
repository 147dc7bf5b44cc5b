"""The command line: each command reads its inputs, calls one function, writes outputs.

Heavy imports stand inside the commands, so that each costs only what it uses.
"""

from __future__ import annotations

import sys

from mathprobe.cli import arith, linalg, paper, results, training
from mathprobe.cli.app import app
from mathprobe.cli.training import STOPPED
from mathprobe.errors import InputError

__all__ = ["STOPPED", "app", "arith", "linalg", "main", "paper", "results", "training"]


def main(arguments: list[str] | None = None) -> None:
    """Run one command; print what is wrong with its input in one line, and exit."""
    tokens = sys.argv[1:] if arguments is None else arguments
    name = next(iter(tokens), "")
    try:
        app(tokens)
    except (InputError, OSError) as error:
        sys.exit(f"mathprobe {name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"mathprobe {name}: interrupted")
