"""A run in hostile surroundings gives the same results as a plain one, bit by bit.

It needs the smoke scale of the tests of the workflow, so it runs with them.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow import SMOKE, Workflow

# Programs of POSIX and bash; no flock, nproc, readlink or realpath, and no sed, awk,
# grep or xargs, whose options differ between systems.
PROGRAMS = (
    *("bash", "cat", "chmod", "cp", "date", "env", "find", "git", "ln", "ls", "mkdir"),
    *("mv", "rm", "sh", "sleep", "tee", "touch", "uname", "which"),
)
FEW = [
    "results/smoke/linalg/inverse/uniform_coefficients/n2/half/curve.csv",
    "results/smoke/notebooks/addition_circuit.html",
    "results/smoke/tables/condition_numbers.tex",
]
ALL = list(SMOKE)
# Files with times, and figures of every format but SVG and data.
COMPARED = ("*.csv", "*.html", "*.npz", "*.safetensors", "*.svg", "*.tex")
TIMED = ("costs.csv", "costs.tex", "runs.csv", "runs.tex", "numbers.tex")
TIMED += ("overview.html",)
# Of the plain run only: there is no LaTeX here, and another test makes the report.
PLAIN = (".tex", "report.html")


def run(workflow, targets, environment):
    """Run the installed program; its environment is not activated."""
    program = Path(sys.executable).with_name("snakemake")
    done = subprocess.run(
        [program, "--cores", "1", "--show-failed-logs", *targets],
        cwd=workflow.folder,
        env=environment,
        umask=0o077,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout


def hostile(folder: Path) -> dict[str, str]:
    """Return variables that would each break or change a run."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))
    (programs / "python").write_text("#!/bin/sh\nexit 7\n")
    (programs / "python").chmod(0o755)
    style = folder / "matplotlibrc"
    style.write_text("savefig.bbox: tight\nfont.size: 30\nsavefig.dpi: 30\n")
    kernel = folder / "jupyter/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    command = {"argv": ["false"], "display_name": "x", "language": "python"}
    kernel.write_text(json.dumps(command))
    package = folder / "packages/mathprobe/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise RuntimeError('another mathprobe')\n")
    startup = folder / "startup.sh"
    startup.write_text("cd /\npython() { return 8; }\n")
    return {
        "BASH_ENV": str(startup),
        "GIT_DIR": str(folder / "no repository"),
        "HOME": f"{os.devnull}/nowhere",
        "JUPYTER_PATH": str(folder / "jupyter"),
        "LC_ALL": "C",
        "MATPLOTLIBRC": str(style),
        "PATH": str(programs),
        "PIP_USER": "1",
        "PYTHONPATH": str(folder / "packages"),
        "PYTHONWARNINGS": "error",
        "TZ": "Asia/Kathmandu",
        # Without HOME, Snakemake needs it before it reads the Snakefile.
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def results(workflow: Workflow) -> dict[str, bytes]:
    """Return the results that do not contain times, by path."""
    folder = workflow.folder / "results/smoke"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in COMPARED
        for path in folder.rglob(pattern)
        if path.name not in TIMED and "state" not in path.parts
    }


@pytest.mark.parametrize(
    "targets", [FEW, pytest.param(ALL, marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_hostile_surroundings_do_not_change_results(smoke, tmp_path, targets):
    odd = Workflow(tmp_path / "it's a copy" / "of mathprobe")
    (tmp_path / "scratch").mkdir()
    (odd.folder / "results").symlink_to(tmp_path / "scratch")
    run(odd, targets, hostile(tmp_path / "hostile"))
    expected, found = results(smoke), results(odd)
    assert len(found) > 10
    whole = {name for name in expected if not name.endswith(PLAIN)}
    assert targets == FEW or whole == found.keys()
    assert [name for name in found if found[name] != expected[name]] == []
