"""A copy of the project in which tests run the workflow, and what Snakemake says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config", "envs", "paper", "slurm", "src", "workflow")
TEX = Path(".cache/tex")


class Workflow:
    """The workflow in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for part in PARTS:
            source, target = PROJECT / part, folder / part
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif source.is_dir():
                shutil.copytree(
                    source, target, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copyfile(source, target)

    @classmethod
    def at(cls, folder: Path) -> "Workflow":
        """Take a folder that holds a copy already."""
        made = cls.__new__(cls)
        made.folder = folder
        return made

    def link_tex(self) -> None:
        """Use the project's private TeX, if it has one."""
        if (PROJECT / TEX).exists():
            (self.folder / TEX).parent.mkdir()
            (self.folder / TEX).symlink_to(PROJECT / TEX)

    def start(self, *arguments, path=None, **options) -> subprocess.Popen:
        """Start Snakemake; its standard error stands in its output."""
        # The environment need not be activated.
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
        """Run Snakemake to its end."""
        process = self.start(*arguments, path=path)
        said = process.communicate()[0]
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def planned_jobs(self, *arguments, path=None) -> dict[str, int]:
        """Give how many jobs of each rule a dry run plans."""
        done = self.snakemake(*arguments, "-n", "--quiet", "host", path=path)
        assert done.returncode == 0, done.stdout
        found = re.findall(r"^([a-z_]+) +(\d+)$", done.stdout, re.M)
        jobs = {rule: int(count) for rule, count in found if rule != "total"}
        assert jobs or "Nothing to be done" in done.stdout, done.stdout
        return jobs

    def configure(self, old: str, new: str) -> None:
        """Replace the one place of a text in the configuration."""
        path = self.folder / "config/config.yaml"
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        path.write_text(text.replace(old, new))
