"""The application that every command belongs to."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TypeVar

from cyclopts import App, Group, Parameter

Command = TypeVar("Command", bound=Callable[..., None])

PEOPLE = Group("For people", sort_key=0)
RULES = Group("For the rules of the workflow", sort_key=1)

app = App(
    name="mathprobe",
    help="Reproduce, check and extend studies of transformers that do mathematics.",
    version=lambda: metadata.version("mathprobe"),
    default_parameter=Parameter(consume_multiple=True, negative=()),
    name_transform=lambda name: name,
    help_format="plaintext",
    result_action="return_value",
)
app["--help"].group = app["--version"].group = Group("Options", sort_key=2)


def command(group: Group) -> Callable[[Command], Command]:
    """Return a decorator that registers a command under its function's name."""

    def register(function: Command) -> Command:
        app.command(function, group=group)
        return function

    return register
