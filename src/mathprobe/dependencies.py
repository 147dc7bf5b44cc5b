"""Source files that the result of a command depends on.

A command is a public function in a module of `mathprobe.cli`.  Its result depends on
this module and on all modules that it imports, directly or indirectly.  grimp reads the
imports from the source, including those inside functions; no code is executed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mathprobe.registry import UnknownName

if TYPE_CHECKING:
    from grimp import ImportGraph

PACKAGE = Path(__file__).parent
CLI = f"{PACKAGE.name}.cli"


@cache
def import_graph() -> ImportGraph:
    """Return the imports of this package, except imports for type checking only."""
    import grimp

    return grimp.build_graph(
        PACKAGE.name, exclude_type_checking_imports=True, cache_dir=None
    )


def source_path(module: str) -> Path:
    """Return the path of a module's file, relative to the folder of the package."""
    path = Path(*module.split(".")[1:])
    is_package = (PACKAGE / path / "__init__.py").exists()
    return path / "__init__.py" if is_package else path.with_suffix(".py")


@cache
def commands() -> dict[str, tuple[str, range]]:
    """Return the module and the line numbers of each command, by name."""
    found = {}
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and _is_command(node):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                found[node.name] = f"{CLI}.{path.stem}", lines
    return found


def _is_command(node: ast.FunctionDef) -> bool:
    """Return whether a function has the decorator `command`."""
    names = (ast.unparse(decorator) for decorator in node.decorator_list)
    return any(name.startswith("command(") for name in names)


@cache
def modules(command: str) -> tuple[str, ...]:
    """Return the sorted names of the modules that a command depends on.

    Imports inside other commands of the same module do not count.  Raises UnknownName
    for an unknown command.
    """
    if command not in commands():
        known = ", ".join(commands())
        raise UnknownName(f"unknown command {command!r}; known names are {known}")
    module, _ = commands()[command]
    graph, found = import_graph(), {module}
    for imported in _imported(command):
        found |= {imported, *graph.find_upstream_modules(imported)}
    return tuple(sorted(found))


def _imported(command: str) -> Iterator[str]:
    """Yield the direct imports of a command's module, except inside other commands."""
    module, _ = commands()[command]
    others = [
        lines
        for name, (where, lines) in commands().items()
        if where == module and name != command
    ]
    graph = import_graph()
    for imported in graph.find_modules_directly_imported_by(module):
        details = graph.get_import_details(importer=module, imported=imported)
        lines = [detail["line_number"] for detail in details]
        if any(not any(line in other for other in others) for line in lines):
            yield imported


def imported_by(script: Path) -> set[str]:
    """Return the modules of this package that a script depends on."""
    graph = import_graph()
    found: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            module = name if name in graph.modules else name.rpartition(".")[0]
            if module in graph.modules:
                found |= {module, *graph.find_upstream_modules(module)}
    return found


@cache
def digest(command: str, script: Path | None = None) -> str:
    """Return the SHA-256 of the modules that a command, and a script, depend on.

    The hash covers the names and the contents of the modules.
    """
    found = {*modules(command), *(imported_by(script) if script else ())}
    total = hashlib.sha256()
    for module in sorted(found):
        total.update(
            f"{module}\n".encode() + (PACKAGE / source_path(module)).read_bytes()
        )
    return total.hexdigest()
