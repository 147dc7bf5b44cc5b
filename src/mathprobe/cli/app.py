"""The command-line application, and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from cyclopts import App, Group, Parameter

Command = TypeVar("Command", bound=Callable[..., None])

USER = Group("Commands for users", sort_key=0)
WORKFLOW = Group("Commands run by the workflow", sort_key=1)

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


Config = Annotated[
    tuple[Path, ...],
    Parameter(help="Files that override config/config.yaml, as with --configfile."),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Parameter(help="Device of torch; auto: a GPU if there is one, else the CPU."),
]
Errata = Annotated[list[Path], Parameter(help="YAML files of errata.")]
Facts = Annotated[Path, Parameter(help="Settings of the scale, written by `facts`.")]
Out = Annotated[Path, Parameter(help="Output file.")]
Published = Annotated[list[Path], Parameter(help="Files of published numbers.")]
Results = Annotated[Path, Parameter(help="Results of a scale: results/SCALE.")]
Spec = Annotated[str, Parameter(help="Specification, as JSON.")]
Tables = Annotated[list[Path], Parameter(help="Tidy tables (CSV).")]
Template = Annotated[Path, Parameter(help="Jinja template.")]
Tests = Annotated[list[Path], Parameter(help="Test sets (NPZ).")]
Threads = Annotated[int, Parameter(help="Number of CPU threads.")]
Weights = Annotated[Path, Parameter(help="Weights of the model (safetensors).")]

CONFIG = Path("config/config.yaml")


def command(group: Group) -> Callable[[Command], Command]:
    """Return a decorator that registers a function as a command of the same name."""

    def register(function: Command) -> Command:
        app.command(function, group=group)
        return function

    return register
