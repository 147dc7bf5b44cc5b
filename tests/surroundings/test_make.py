"""`make` in unusual surroundings, with programs that only record their calls."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow import PROJECT, Workflow

# All that `make` and the workflow may use: programs of POSIX, bash, git and make.
POSIX = (
    "bash",
    "cat",
    "echo",
    "env",
    "find",
    "git",
    "make",
    "mkdir",
    "mv",
    "rm",
    "sh",
    "tee",
    "touch",
)
# Like the real ones, `python -m venv` makes a folder, and everything else succeeds.
FAKE = """#!/bin/sh
{{ echo "$0 $*"; env; }} >> "{log}"
case "$*" in
"-m venv "*) mkdir -p "$3/bin"
    for name in python snakemake; do cp "{here}/python3" "$3/bin/$name"; done ;;
-c*fcntl*|*mathprobe.clone) exec "{python}" "$@" ;;
esac
"""


class Make:
    """A copy of the project, and the programs that its Makefile calls."""

    def __init__(self, folder: Path) -> None:
        self.workflow = Workflow(folder / "a copy")
        self.folder, self.log = self.workflow.folder, folder / "log"
        for name in ("Makefile", "pyproject.toml"):
            shutil.copyfile(PROJECT / name, self.folder / name)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in (*POSIX, "cp"):
            (self.bin / name).symlink_to(shutil.which(name))
        python = self.bin / "python3"
        python.write_text(
            FAKE.format(log=self.log, here=self.bin, python=sys.executable)
        )
        python.chmod(0o755)

    def __call__(self, *arguments, **variables) -> str:
        """Run make, and return the calls of programs with their variables."""
        self.log.write_text("")
        environment = {"PATH": str(self.bin), **variables}
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output, self.status = done.stdout, done.returncode
        return self.log.read_text()


@pytest.fixture
def make(tmp_path):
    return Make(tmp_path)


def test_make_needs_only_posix_programs(make):
    calls = make("SCALE=smoke", "all", "from-archive")
    assert make.status == 0, make.output
    assert "snakemake --cores all" in calls
    assert "snakemake --report results/smoke/report.html" in calls
    assert "not found" not in make.output
    assert not (make.folder / ".cache/running").exists()


def test_a_second_make_is_refused(make):
    (make.folder / ".cache").mkdir()
    with (make.folder / ".cache/run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "snakemake" not in make("all")
    assert make.status != 0
    assert "Another make, or a process that it started, is running" in make.output


def test_the_report_is_made_again_only_after_a_change(make):
    make("report", "SCALE=smoke")
    report = make.folder / "results/smoke/report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    assert "--report" not in make("report", "SCALE=smoke")
    newer = report.stat().st_mtime + 10
    table = report.with_name("table.csv")
    table.touch()
    os.utime(table, (newer, newer))
    assert "--report" in make("report", "SCALE=smoke")


HARMFUL = {
    "PIP_USER": "1",
    "PIP_TARGET": "/nowhere",
    "PIP_NO_DEPS": "1",
    "PIP_CONSTRAINT": "/nowhere/constraints.txt",
    "PYTHONPATH": "/nowhere/packages",
    "PYTHONHOME": "/nowhere",
    "PYTHONOPTIMIZE": "2",
}
USEFUL = {
    "PIP_INDEX_URL": "https://mirror.example/simple",
    "PIP_CERT": "/etc/ssl/site.pem",
    "PIP_CACHE_DIR": "/scratch/pip",
    "HTTPS_PROXY": "http://proxy.example:3128",
}


def test_make_ignores_variables_that_change_what_is_installed(make):
    calls = make("env", **HARMFUL, **USEFUL)
    assert make.status == 0, make.output
    assert "-m pip install" in calls
    lines = set(calls.splitlines())
    assert not {f"{name}={value}" for name, value in HARMFUL.items()} & lines
    assert {f"{name}={value}" for name, value in USEFUL.items()} <= lines
    assert "PIP_USER=0" in lines  # stronger than a file pip.conf


def test_an_environment_without_its_packages_is_not_ready(make):
    python = make.bin / "python3"
    failing = '*"import mathprobe"*) exit 1 ;;\nesac'
    python.write_text(python.read_text().replace("esac", failing))
    make("env")
    assert make.status != 0
    assert not (make.folder / ".venv/.ready").exists()


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_moved_or_copied_environment_is_made_again(make, tmp_path, how):
    assert "-m venv" in make("env")
    assert "-m venv" not in make("env")
    other = tmp_path / "other (copy) #2"
    shutil.move(make.folder, other) if how == "move" else shutil.copytree(
        make.folder, other, symlinks=True
    )
    stale = other / ".venv/stale"
    stale.touch()
    make.folder = other
    assert "-m venv" in make("env")
    assert not stale.exists()
    assert "-m venv" not in make("env")


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "{", "}", ",", ":", "\n"])
def test_make_refuses_a_path_that_tools_cannot_handle(make, tmp_path, character):
    other = tmp_path / f"a{character}HOME"
    shutil.move(make.folder, other)
    make.folder = other
    assert "-m venv" not in make("env")
    assert make.status != 0
    assert f"the path of the clone contains {character!r}" in make.output
    assert "move the clone to a folder without" in make.output
