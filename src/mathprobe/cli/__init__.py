"""The door: every command that the rules call.

Each command reads what it is given, calls one function, and writes its outputs whole.
Heavy imports stand inside the commands, so that each costs only what it uses.
"""

from __future__ import annotations

import sys

from mathprobe.cli import arith, circuits, linalg, paper, results
from mathprobe.cli.commands import COMMANDS, Parser
from mathprobe.cli.training import STOPPED
from mathprobe.errors import InputError

__all__ = [
    "COMMANDS",
    "STOPPED",
    "arith",
    "circuits",
    "linalg",
    "main",
    "paper",
    "results",
]


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what is wrong with its input is said in one line."""
    parser = Parser(
        prog="mathprobe", description="What the rules of the workflow call."
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (prepare, function) in COMMANDS.items():
        prepare(verbs.add_parser(name, help=function.__doc__))
    args = parser.parse_args(arguments)
    try:
        COMMANDS[args.command][1](args)
    except (InputError, OSError) as error:
        sys.exit(f"mathprobe {args.command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"mathprobe {args.command}: interrupted")
