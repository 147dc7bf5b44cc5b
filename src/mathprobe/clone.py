"""Checks of the folder of the project.

`make` runs this module before the environment exists, so it needs only Python itself.
"""

import sys
import unicodedata
from pathlib import Path

from mathprobe.errors import InputError

ROOT = Path(__file__).parents[2]
# Quotes, braces and variables of shells, of Snakemake and of TeX; separators in PATH
# and TEXINPUTS.
FORBIDDEN = '"$`\\{},:;'


def check_path(root: Path = ROOT) -> None:
    """Raise InputError if the path has a character that some tool cannot handle."""
    for character in str(root):
        # Cc: control characters, such as newlines.  Cs: bytes that are not UTF-8.
        if character in FORBIDDEN or unicodedata.category(character) in ("Cc", "Cs"):
            raise InputError(
                f"{str(root)!r}: the path of the clone contains {character!r}; some of "
                "the shell, pip, Snakemake and TeX cannot handle control characters "
                f"and the characters {' '.join(FORBIDDEN)}; move the clone to a folder "
                "without them"
            )


def check_working_directory(root: Path, here: Path) -> None:
    """Raise InputError if Snakemake does not work in the folder of the project."""
    if root.resolve() != here.resolve():
        raise InputError(
            f"Snakemake works in {here}, but must work in {root}: start it there, "
            "without --directory; to store results elsewhere, make `results` a link "
            "(docs/cluster.md)"
        )


def check_python(executable: str) -> None:
    """Raise InputError if the command `python` is not the interpreter of Snakemake.

    Rules call `python` in the folder of this interpreter.
    """
    python = Path(executable).with_name("python")
    if not (python.exists() and python.samefile(executable)):
        raise InputError(
            f"Snakemake runs on {executable}, but jobs would run on {python}; start "
            "Snakemake from a virtual environment (`make env`)"
        )


def check(root: Path) -> None:
    """Raise InputError if Snakemake cannot run in its folder, or jobs cannot."""
    check_path(root)
    check_working_directory(root, Path.cwd())
    check_python(sys.executable)


if __name__ == "__main__":
    try:
        check_path()
    except InputError as error:
        sys.exit(str(error))
