"""Modules that are imported when commands and the Snakefile start."""

import ast
import subprocess
import sys


def runs_without_torch(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; sys.exit('torch' in sys.modules)"]
    )
    return done.returncode == 0


def test_the_imports_of_the_snakefile_do_not_load_torch():
    modules = "catalog, cli, dependencies, estimates, inputs"
    used = "inputs.Inputs(catalog.Catalog.load('config/config.yaml'))"
    code = f"from mathprobe import {modules}; from mathprobe.paper import latex, tex"
    assert runs_without_torch(f"{code}; {used}")


def test_typesetting_needs_few_packages():
    """Besides the TeX engine, `envs/tex.yaml` has only numpy, msgspec and cyclopts."""
    code = (
        "import sys; import mathprobe.cli, mathprobe.paper.tex;"
        "tops = {name.split('.')[0] for name in sys.modules};"
        "sys.exit(bool(tops & {'torch', 'scipy', 'pandas', 'yaml', 'jinja2', 'tqdm'}))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_training_needs_no_package_of_the_workflow():
    """`train`, `predict` and `score` need only torch, numpy and scipy."""
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
