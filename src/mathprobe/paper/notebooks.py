"""Execute notebooks reproducibly: equal input gives bitwise identical output."""

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
from ipykernel.kernelspec import write_kernel_spec
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from mathprobe import files
from mathprobe.errors import InputError

KERNEL = "python3"
SOCKET_PATH = 100  # bytes that every system allows for the path of a socket
SOCKET_NAME = "/ipc-99999"

VOLATILE = (  # differs between runs with equal results
    (re.compile(r" at 0x[0-9a-f]+"), ""),
    (re.compile(r"/[^\s\"]*/ipykernel_\d+/\d+\.py"), "cell"),
)
ABSOLUTE = re.compile(r'"(/[^"]*)/')  # folder of an absolute path in JSON
STYLED = re.compile(r"\bT_[0-9a-f]{5}(?=[_\" ])")  # pandas' random name of a table


class Executed(NamedTuple):
    """An executed notebook in two formats, as text."""

    ipynb: str
    html: str


def execute(
    source: Path, template: Path, parameters: Mapping[str, Any], failed: Path
) -> Executed:
    """Execute a notebook in percent format in the current folder.

    If a cell fails, write the notebook with its outputs so far to `failed`.  Raise
    InputError if a cell fails, or if the parameters differ from the declared ones.
    """
    notebook = jupytext.read(source)
    given, known = set(parameters), set(papermill.inspect_notebook(notebook))
    # Defaults are those of one scale, so missing parameters are refused as well.
    for kind, names in {"unknown": given - known, "missing": known - given}.items():
        if names:
            raise InputError(
                f"{source}: {kind} parameters {', '.join(sorted(names))}; "
                f"known ones are {', '.join(sorted(known)) or 'none'}"
            )
    # Makes matplotlib's cache, if it is missing, because this prints a warning.
    import matplotlib.font_manager  # noqa: F401

    with (
        tempfile.TemporaryDirectory(prefix="mathprobe-") as folder,
        mock.patch.dict(os.environ, _variables(Path(folder))),
    ):
        done, failure = _run(notebook, parameters, Path(folder))
        own = ABSOLUTE.findall(json.dumps(dict(parameters)))
        text = _normal(done, [str(Path.cwd()), folder, *own])
        if failure:
            files.write_text(failed, text)
            raise InputError(f"{source}: {failure}; the outputs so far are in {failed}")
        return Executed(text, html(nbformat.reads(text, as_version=4), template))


def _variables(folder: Path) -> dict[str, str]:
    """Return variables that hide the kernels, templates and settings of the user."""
    write_kernel_spec(folder / "jupyter" / "kernels" / KERNEL)  # of this interpreter
    packages = [str(Path(files.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # to packages of the user
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, packages)),
        "PYTHONSTARTUP": "",
    }


def _run(
    notebook: NotebookNode, parameters: Mapping[str, Any], folder: Path
) -> tuple[NotebookNode, str]:
    """Execute in a new kernel; return the notebook and the reason of a failure."""
    after, failure = folder / "executed.ipynb", ""
    nbformat.write(notebook, after)
    try:
        papermill.execute_notebook(
            notebook,
            after,
            dict(parameters),
            kernel_name=KERNEL,
            progress_bar=False,
            cwd=Path.cwd(),
            config=_transport(folder),
            coalesce_streams=True,  # the places of splits are random
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
    """Return the kernel's transport: sockets in `folder`, TCP if its path is long."""
    if len(f"{folder}{SOCKET_NAME}") > SOCKET_PATH:
        return Config()
    return Config(KernelManager={"transport": "ipc", "ip": f"{folder}/ipc"})


def _normal(notebook: NotebookNode, hidden: Iterable[str]) -> str:
    """Return a notebook as JSON without paths, times and process numbers."""
    keep = ("kernelspec", "language_info")
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in keep}
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
    """Return an executed notebook as a page; default parameters are left out."""
    defaults = {"enabled": True, "remove_cell_tags": {"parameters"}}
    exporter = HTMLExporter(
        config=Config(TagRemovePreprocessor=defaults),
        template_name="basic",
        template_file=str(template.absolute()),
    )
    page, _ = exporter.from_notebook_node(notebook)
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"
