"""The application that every command belongs to."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import App, Group, Parameter

Command = TypeVar("Command", bound=Callable[..., None])

USER = Group("For people", sort_key=0)
WORKFLOW = Group("For the rules of the workflow", sort_key=1)

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


# Arguments and options that several commands have.
Config = Annotated[Path, Parameter(help="Configuration file.")]
Errata = Annotated[list[Path], Parameter(help="YAML files of errata.")]
Facts = Annotated[Path, Parameter(help="Settings of the scale, written by `facts`.")]
Out = Annotated[Path, Parameter(help="Where the result is written.")]
Published = Annotated[list[Path], Parameter(help="Files of published numbers.")]
Results = Annotated[Path, Parameter(help="Folder of a scale: results/SCALE.")]
Spec = Annotated[str, Parameter(help="Specification, as JSON.")]
Tables = Annotated[list[Path], Parameter(help="Tidy tables that are shown.")]
Template = Annotated[Path, Parameter(help="Template of the page.")]
Tests = Annotated[list[Path], Parameter(help="Test sets.")]
Threads = Annotated[int, Parameter(help="Number of CPU threads.")]
Weights = Annotated[Path, Parameter(help="Weights of the model.")]

CONFIG = Path("config/config.yaml")


def command(group: Group) -> Callable[[Command], Command]:
    """Return a decorator that registers a command under its function's name."""

    def register(function: Command) -> Command:
        app.command(function, group=group)
        return function

    return register
