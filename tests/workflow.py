"""A copy of the project in which tests run the workflow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config", "envs", "paper", "slurm", "src", "workflow")
TEX = Path(".cache/tex")
SMOKE = ("--config", "default_scale=smoke")


class Workflow:
    """A copy of the project in a folder, in which Snakemake runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for part in PARTS:
            source, target = PROJECT / part, folder / part
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif source.is_dir():
                # With compiled files, but none that is just being written.
                unfinished = shutil.ignore_patterns("*.pyc.*")
                shutil.copytree(source, target, ignore=unfinished)
            else:
                shutil.copyfile(source, target)

    @classmethod
    def at(cls, folder: Path) -> "Workflow":
        """Return the workflow of an existing copy."""
        workflow = cls.__new__(cls)
        workflow.folder = folder
        return workflow

    def link_tex(self) -> None:
        """Link the private LaTeX of the project, if it has one."""
        if (PROJECT / TEX).exists():
            (self.folder / TEX).parent.mkdir()
            (self.folder / TEX).symlink_to(PROJECT / TEX)

    def start(self, *arguments, path=None, **options) -> subprocess.Popen:
        """Start Snakemake; its standard error is part of its output."""
        # PATH lacks the virtual environment, which users need not activate.
        path = path or os.environ["PATH"].replace(str(Path(sys.executable).parent), "")
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            stderr=subprocess.STDOUT,
            text=True,
            **{"stdout": subprocess.PIPE, **options},
        )

    def snakemake(self, *arguments, path=None) -> subprocess.CompletedProcess:
        """Run Snakemake until it ends."""
        process = self.start(*arguments, path=path)
        output = process.communicate()[0]
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def planned_jobs(self, *arguments, path=None) -> dict[str, int]:
        """Return the number of jobs of each rule in a dry run."""
        done = self.snakemake(*arguments, "-n", "--quiet", "host", path=path)
        assert done.returncode == 0, done.stdout
        return count_jobs(done.stdout)

    def configure(self, old: str, new: str) -> None:
        """Replace a text that occurs once in the configuration."""
        path = self.folder / "config/config.yaml"
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        path.write_text(text.replace(old, new))


def count_jobs(output: str) -> dict[str, int]:
    """Return the number of jobs of each rule in the output of a dry run."""
    found = re.findall(r"^([a-z_]+) +(\d+)$", output, re.M)
    jobs = {rule: int(count) for rule, count in found if rule != "total"}
    assert jobs or "Nothing to be done" in output, output
    return jobs
