"""Command line: each command reads inputs, calls one function and writes outputs.

Expensive imports are inside the commands, so that each command loads only what it uses.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from mathprobe import surroundings
from mathprobe.cli import arith, circuits, drawing, linalg, paper, results, training
from mathprobe.cli.app import app
from mathprobe.errors import InputError

# Modules that register their commands when they are imported.
COMMANDS = (arith, circuits, drawing, linalg, paper, results, training)


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exit with an error message, not a traceback, for bad input."""
    tokens = sys.argv[1:] if arguments is None else arguments
    name = next(iter(tokens), "")
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack characters
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ |= surroundings.variables(Path.cwd())
    try:
        app(tokens)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has ended, for instance `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (InputError, OSError) as error:
        sys.exit(f"mathprobe {name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"mathprobe {name}: interrupted")
