"""Notebooks, executed: equal sources and equal data give equal bytes."""

from __future__ import annotations

import ast
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

import mathprobe
from mathprobe import files
from mathprobe.errors import InputError

KERNEL = "python3"
PARAMETERS = "parameters"  # papermill's tag
INJECTED = "injected-parameters"
SOCKET_PATH = 100  # bytes, on every system; a socket's file adds NAME to its folder
SOCKET_NAME = "/ipc-99999"

# What differs from run to run without a difference in the result.
VOLATILE = (
    (re.compile(r" at 0x[0-9a-f]+"), ""),
    (re.compile(r"/[^\s\"]*/ipykernel_\d+/\d+\.py"), "cell"),
)
STYLED = re.compile(r"\bT_[0-9a-f]{5}(?=[_\" ])")  # pandas' random name of a table


class NotebookError(InputError):
    """A notebook that cannot be executed; the message names the cell and the reason."""


class Executed(NamedTuple):
    """A notebook with its outputs: as a notebook, and as one self-contained page."""

    ipynb: str
    html: str


def execute(source: Path, parameters: Mapping[str, str], kept: Path) -> Executed:
    """Execute a percent-format notebook, in the current folder, with parameters.

    If a cell fails, the notebook is kept as far as it came in `kept`.
    """
    notebook = jupytext.read(source)
    _check(source, notebook, parameters)
    # Sockets live here; their paths must be short.
    with tempfile.TemporaryDirectory(prefix="mathprobe-") as folder:
        hidden = _local(parameters, Path(folder))
        done, failure = _run(notebook, parameters, Path(folder))
    text = _normal(done, hidden)
    if failure:
        files.write_text(kept, text)
        raise NotebookError(f"{source}: {failure}; executed as far as {kept} shows")
    return Executed(text, html(nbformat.reads(text, as_version=4)))


def _tagged(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", ())


def _check(source: Path, notebook: NotebookNode, parameters: Mapping[str, str]) -> None:
    """Refuse what papermill would add silently: names that the notebook never reads."""
    known = {
        target.id
        for cell in notebook.cells
        if _tagged(cell, PARAMETERS)
        for line in ast.parse(cell.source).body
        if isinstance(line, ast.Assign)
        for target in line.targets
        if isinstance(target, ast.Name)
    }
    if unknown := sorted(set(parameters) - known):
        names = ", ".join(sorted(known)) or "none"
        raise InputError(
            f"{source}: unknown parameters {', '.join(unknown)}; known ones are {names}"
        )


def _local(parameters: Mapping[str, str], folder: Path) -> list[str]:
    """List what makes a path of this machine, longest first."""
    words = " ".join(parameters.values()).split()  # a value may be several paths
    parents = {Path(word).parent for word in words if "/" in word}
    absolute = [path for path in parents if path.is_absolute()]
    local = [Path.cwd(), folder, *absolute]
    return sorted({f"{path}/" for path in local} - {"//"}, key=len, reverse=True)


def _run(
    notebook: NotebookNode, parameters: Mapping[str, str], folder: Path
) -> tuple[NotebookNode, str]:
    """Execute in a fresh kernel; give the notebook, and why it failed or nothing."""
    before, after = folder / "source.ipynb", folder / "executed.ipynb"
    nbformat.write(notebook, before)
    failure = ""
    try:
        with _environment(folder):
            papermill.execute_notebook(
                before,
                after,
                dict(parameters),
                kernel_name=KERNEL,
                progress_bar=False,
                cwd=Path.cwd(),
                config=_transport(folder),
                shutdown_kernel="immediate",  # it has nothing left to say
            )
    except PapermillExecutionError as error:
        line = next(iter(error.source.strip().splitlines()), "")
        reason = " ".join(f"{error.ename}: {error.evalue}".split())
        failure = f"cell In [{error.exec_count}], `{line}`: {reason}"
    except DeadKernelError as error:
        failure = f"the kernel died: {error}"
    return nbformat.read(after if after.exists() else before, as_version=4), failure


def _transport(folder: Path) -> Config:
    """Talk to the kernel through files where their paths can be, else through TCP."""
    if len(f"{folder}{SOCKET_NAME}") > SOCKET_PATH:
        return Config()
    return Config(KernelManager={"transport": "ipc", "ip": f"{folder}/ipc"})


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Give the kernel this interpreter's packages, and nobody's habits."""
    before = dict(os.environ)
    packages = [str(Path(mathprobe.__file__).parents[1]), before.get("PYTHONPATH")]
    os.environ |= {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, packages)),
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _normal(notebook: NotebookNode, hidden: list[str]) -> str:
    """Write a notebook without what says where, when and in which process it ran."""
    notebook.metadata = {
        key: notebook.metadata[key]
        for key in ("kernelspec", "language_info")
        if key in notebook.metadata
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03}"
        cell.metadata = {"tags": cell.metadata.get("tags", [])}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    text = nbformat.writes(notebook) + "\n"
    for path in hidden:
        text = text.replace(path, "")
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    for number, name in enumerate(dict.fromkeys(STYLED.findall(text))):
        text = text.replace(name, f"T_{number:03}")
    return text


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what a stream wrote in several pieces; where it breaks is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        stream = output.output_type == "stream"
        if stream and last and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def html(notebook: NotebookNode) -> str:
    """Show an executed notebook as one page that loads nothing and runs nothing."""
    cells = notebook.cells
    if any(_tagged(cell, INJECTED) for cell in cells):
        cells = [cell for cell in cells if not _tagged(cell, PARAMETERS)]
    shown = notebook.copy()
    shown.cells = cells
    exporter = HTMLExporter(template_name="basic", raw_template=PAGE)
    page, _ = exporter.from_notebook_node(shown, {"look": LOOK + _code_colours()})
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"


def _code_colours() -> str:
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight")
        for style in ("default", "github-dark")
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


PAGE = """\
{%- extends 'basic/index.html.j2' -%}
{%- block header -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<base target="_blank">
<title>{{ resources.title }}</title>
<style>
{{ resources.look }}
</style>
</head>
<body>
<main>
{%- endblock header -%}
{%- block in_prompt %}{% endblock -%}
{%- block empty_in_prompt %}{% endblock -%}
{%- block output_area_prompt %}{% endblock -%}
{%- block input_group -%}
<details><summary>code</summary>{{ super() }}</details>
{%- endblock input_group -%}
{%- block footer -%}
</main>
</body>
</html>
{%- endblock footer -%}
"""
LOOK = """\
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --pale: #f4f5f7;
  --line: #d8dce1; --quiet: #5b6470; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ea; --paper: #15181c;
  --pale: #1e2227; --line: #343a42; --quiet: #9aa4b0; --link: #7db7f5; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2rem; }
a { color: var(--link); } .anchor-link { display: none; }
img { max-width: 100%; background: #fff; border-radius: 6px; }
.output_svg img { width: 100%; }
.output_area { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; } tr > :first-child { text-align: left; }
summary { color: var(--quiet); font-size: .8rem; cursor: pointer; }
pre { margin: 0; padding: .6rem .8rem; overflow-x: auto; font-size: .8rem;
  background: var(--pale); border-radius: 6px; }
code { font-family: ui-monospace, monospace; }
.highlight { background: none; }
"""
