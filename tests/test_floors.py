"""The house's floors: a module imports only from lower ones, or its own package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path("src/mathprobe")
FLOORS = (
    {"errors", "registry", "lazy", "seeds", "files", "provenance", "gpus", "intervals"},
    {"spec", "linalg", "arith"},
    {"nets", "learner", "training", "decoding", "checkpoint", "catalog"}
    | {"flops", "objectives"},
    {"progress", "interp"},
    {"studies", "paper", "status", "estimates", "plan", "archive"},
    {"cli"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FLOOR |= {"__init__": 0, "__main__": len(FLOORS)}
DOMAINS = {"linalg", "arith"}
MODULES = sorted(SOURCE.rglob("*.py"))


def room(module):
    """Name the part of the house: a package, or a module at the top."""
    return module.relative_to(SOURCE).with_suffix("").parts[0]


def imported(module):
    """List what a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            if node.module == "mathprobe":
                yield from (f"mathprobe.{alias.name}" for alias in node.names)
            else:
                yield node.module


def own(module):
    names = (name.split(".") for name in imported(module))
    return {parts[1] for parts in names if parts[0] == "mathprobe" and len(parts) > 1}


def runs_without_torch(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; sys.exit('torch' in sys.modules)"]
    )
    return done.returncode == 0


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_lower_floors(module):
    here = room(module)
    for other in own(module) - {here}:
        low_enough = FLOOR[other] <= FLOOR[here]
        assert low_enough, f"{module} ({here}) imports {other}"
        assert {here, other} != DOMAINS, "the domains are strangers"
        assert not (here in DOMAINS and other == "nets"), "a domain knows no network"
        assert not (here == "nets" and other in DOMAINS), "a network knows no matrix"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_paper_never_imports_torch(module):
    if room(module) == "paper":
        assert "torch" not in {name.split(".")[0] for name in imported(module)}


def test_what_the_snakefile_imports_loads_no_torch():
    books = "from mathprobe import catalog; catalog.load('config/config.yaml')"
    assert runs_without_torch(f"import mathprobe.paper.tex, mathprobe.cli; {books}")


def test_typesetting_needs_little():
    """Numpy and msgspec are all that `envs/tex.yaml` has beside the engine."""
    code = (
        "import sys; import mathprobe.cli, mathprobe.paper.tex;"
        "tops = {name.split('.')[0] for name in sys.modules};"
        "sys.exit(bool(tops & {'torch', 'scipy', 'pandas', 'yaml', 'jinja2', 'tqdm'}))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_room_is_on_a_floor():
    assert {room(module) for module in MODULES} <= set(FLOOR)


def test_training_needs_nothing_of_the_workflow():
    """`train`, `predict` and `score` run where only torch, numpy and scipy are."""
    allowed = {"mathprobe", "torch", "numpy", "scipy", "safetensors", "tqdm", "yaml"}
    names = ("studies.linalg.training", "studies.linalg.scoring", "progress", "cli")
    code = f"""
import sys
import {", ".join(f"mathprobe.{name}" for name in names)}
tops = {{name.split(".")[0] for name in sys.modules}}
unwanted = {{"snakemake", "papermill", "pandas", "matplotlib", "jinja2"}}
print(sorted(tops & unwanted))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(ast.literal_eval(done.stdout.strip())) - allowed
    assert loaded <= {"jinja2"}, "torch itself loads jinja2"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_opens_with_what_it_is(module):
    if module.name != "__main__.py":
        assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_public_name_says_what_it_does(module):
    tree = ast.parse(module.read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in tree.body:
        if (
            isinstance(node, kinds)
            and not node.name.startswith("_")
            and (module.name != "__main__.py")
        ):
            assert ast.get_docstring(node), f"{module}: {node.name}"
