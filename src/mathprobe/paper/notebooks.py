"""Execute notebooks: equal sources and equal data give equal bytes."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jupytext
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

import mathprobe
from mathprobe import files
from mathprobe.errors import InputError

KERNEL = "python3"
SOCKET_PATH = 100  # bytes, on every system; a socket's file adds NAME to its folder
SOCKET_NAME = "/ipc-99999"

VOLATILE = (  # differs from run to run without a difference in the result
    (re.compile(r" at 0x[0-9a-f]+"), ""),
    (re.compile(r"/[^\s\"]*/ipykernel_\d+/\d+\.py"), "cell"),
)
ABSOLUTE = re.compile(r'"(/[^"]*)/')  # the folder of a path in JSON
STYLED = re.compile(r"\bT_[0-9a-f]{5}(?=[_\" ])")  # pandas' random name of a table


class NotebookError(InputError):
    """A notebook that cannot be executed; the message names the cell and the reason."""


class Executed(NamedTuple):
    """A notebook with its outputs: as a notebook, and as one self-contained page."""

    ipynb: str
    html: str


def execute(
    source: Path, template: Path, parameters: Mapping[str, Any], kept: Path
) -> Executed:
    """Execute a percent-format notebook in the current folder and fill its page.

    If a cell fails, write the notebook with the outputs so far to `kept` and raise
    NotebookError.  Raise InputError if the parameters are not those that it declares.
    """
    notebook = jupytext.read(source)
    _check(source, set(parameters), set(papermill.inspect_notebook(notebook)))
    # The kernel's sockets lie in this folder, so its path must be short.
    with tempfile.TemporaryDirectory(prefix="mathprobe-") as folder:
        done, failure = _run(notebook, parameters, Path(folder))
        own = ABSOLUTE.findall(json.dumps(dict(parameters)))
        text = _normal(done, [str(Path.cwd()), folder, *own])
    if failure:
        files.write_text(kept, text)
        raise NotebookError(f"{source}: {failure}; executed as far as {kept} shows")
    return Executed(text, html(nbformat.reads(text, as_version=4), template))


def _check(source: Path, given: set[str], known: set[str]) -> None:
    """Refuse unknown parameters, and missing ones, whose defaults are of the demo."""
    for what, names in {"unknown": given - known, "missing": known - given}.items():
        if names:
            raise InputError(
                f"{source}: {what} parameters {', '.join(sorted(names))}; "
                f"known ones are {', '.join(sorted(known)) or 'none'}"
            )


def _run(
    notebook: NotebookNode, parameters: Mapping[str, Any], folder: Path
) -> tuple[NotebookNode, str]:
    """Execute in a new kernel; return the notebook, and the reason if it failed."""
    after, failure = folder / "executed.ipynb", ""
    nbformat.write(notebook, after)
    try:
        with mock.patch.dict(os.environ, _environment(folder)):
            papermill.execute_notebook(
                notebook,
                after,
                dict(parameters),
                kernel_name=KERNEL,
                progress_bar=False,
                cwd=Path.cwd(),
                config=_transport(folder),
                coalesce_streams=True,  # where a stream breaks is chance
                shutdown_kernel="immediate",
            )
    except PapermillExecutionError as error:
        line = next(iter(error.source.strip().splitlines()), "")
        reason = " ".join(f"{error.ename}: {error.evalue}".split())
        failure = f"cell In [{error.exec_count}], `{line}`: {reason}"
    except DeadKernelError as error:
        failure = f"the kernel died: {error}"
    return nbformat.read(after, as_version=4), failure


def _transport(folder: Path) -> Config:
    """Return the kernel's transport: files if their paths are short enough, or TCP."""
    if len(f"{folder}{SOCKET_NAME}") > SOCKET_PATH:
        return Config()
    return Config(KernelManager={"transport": "ipc", "ip": f"{folder}/ipc"})


def _environment(folder: Path) -> dict[str, str]:
    """Return variables that give the kernel our packages and no user's settings."""
    packages = [str(Path(mathprobe.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, packages)),
    }


def _normal(notebook: NotebookNode, hidden: Iterable[str]) -> str:
    """Write a notebook without its place, its time and its process."""
    kept = ("kernelspec", "language_info")
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in kept}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03}"
        cell.metadata = {"tags": cell.metadata.get("tags", [])}
    text = nbformat.writes(notebook) + "\n"
    for path in sorted({f"{path}/" for path in hidden} - {"//"}, key=len, reverse=True):
        text = text.replace(path, "")
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    for number, name in enumerate(dict.fromkeys(STYLED.findall(text))):
        text = text.replace(name, f"T_{number:03}")
    return text


def html(notebook: NotebookNode, template: Path) -> str:
    """Show an executed notebook as one page, with the parameters that were used."""
    defaults = {"enabled": True, "remove_cell_tags": {"parameters"}}
    exporter = HTMLExporter(
        config=Config(TagRemovePreprocessor=defaults),
        template_name="basic",
        template_file=str(template.absolute()),
    )
    page, _ = exporter.from_notebook_node(notebook)
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"
