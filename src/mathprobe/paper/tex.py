"""Which TeX there is, how to come by one, and the PDF that it makes."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mathprobe.errors import InputError

CACHE = Path(".cache/tex")
SCRIPT = Path("envs/get_tex.sh")
PACKAGES = (
    *("amsmath", "amssymb", "array", "booktabs", "caption", "colortbl", "etoolbox"),
    *("float", "geometry", "graphicx", "hyperref", "lmodern", "mathptmx", "microtype"),
    *("natbib", "subcaption", "url", "xcolor"),
)
PASSES = 5
OVERFULL = 5.0  # pt; what sticks out less is not seen in print

LATEX_ERROR = re.compile(r"\S.*?:\d+: |! ")
UNDEFINED = re.compile(
    r".*Package mathprobe Error.*|.* Warning: (Reference|Citation) .* undefined.*"
    r"|.* There were undefined (references|citations)\."
)
RERUN = re.compile(r"Rerun (to get|LaTeX)")
TOO_WIDE = re.compile(r"Overfull \\[hv]box \((\d+\.?\d*)pt too .*")


class TypesetError(InputError):
    """The paper does not compile; the message holds the first lines that say why."""


@dataclass(frozen=True)
class Engine:
    """What typesets the paper, or what stands in its place."""

    kind: Literal["pdflatex", "tectonic", "private", "possible", "none"]
    command: str = ""
    note: str = ""  # possible: the folder to be made; none: why the last attempt failed

    @property
    def usable(self) -> bool:
        """Return whether there is a program that typesets."""
        return self.command != ""

    @property
    def message(self) -> str:
        """Say in one line what was decided."""
        if self.usable:
            name = "a private one" if self.kind == "private" else self.kind
            return f"TeX: {name} at {self.command}"
        if self.kind == "possible":
            return (
                "TeX: no complete one here yet; a private one will be unpacked "
                f"into {self.note} (about 60 MB to fetch)"
            )
        why = f" ({self.note.splitlines()[-1]})" if self.note else ""
        return f"TeX: none{why}; the PDF is skipped"


def failed_marker(cache: Path) -> Path:
    """Name the file that says why `cache` could not be made."""
    return cache.with_name(cache.name + ".failed")


def _complete(pdflatex: str) -> bool:
    """Tell whether a TeX on PATH has its helpers and every package of the paper."""
    here = str(Path(pdflatex).parent)
    kpsewhich = shutil.which("kpsewhich", path=here)
    if not kpsewhich or not shutil.which("bibtex", path=here):
        return False
    names = [f"{name}.sty" for name in PACKAGES]
    found = subprocess.run([kpsewhich, *names], capture_output=True, text=True)
    return len(found.stdout.splitlines()) == len(names)


def find(cache: Path = CACHE, path: str | None = None) -> Engine:
    """Look for a TeX, best first; `path` stands in for PATH."""
    pdflatex = shutil.which("pdflatex", path=path)
    if pdflatex and _complete(pdflatex):
        return Engine("pdflatex", pdflatex)
    if tectonic := shutil.which("tectonic", path=path):
        return Engine("tectonic", tectonic)
    private = cache / "bin" / "pdflatex"
    if private.exists():
        return Engine("private", str(private.absolute()))
    marker = failed_marker(cache)
    if marker.exists():
        return Engine("none", note=marker.read_text().strip() or "no reason recorded")
    if all(shutil.which(name, path=path) for name in ("apt-get", "dpkg")):
        return Engine("possible", note=str(cache))
    return Engine("none")


def find_or_unpack(cache: Path = CACHE, script: Path = SCRIPT) -> Engine:
    """Find a TeX; unpack the private one where that is the way to have one.

    Other runs are told that it failed; asking here tries again.
    """
    failed_marker(cache).unlink(missing_ok=True)
    engine = find(cache)
    if engine.kind != "possible":
        return engine
    # Snakemake makes the folders of an output before its job runs; TeX comes whole.
    if cache.is_dir() and not any(path.is_file() for path in cache.rglob("*")):
        shutil.rmtree(cache)
    fetch = f"TeX: unpacking a private one into {cache} (about 60 MB to fetch)"
    print(fetch, flush=True)  # before the wait, in a log file too
    done = subprocess.run(["bash", script, cache], capture_output=True, text=True)
    if done.returncode:
        marker = failed_marker(cache)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(done.stderr or f"{script} ended with {done.returncode}\n")
    return find(cache)


def skipped_message(reason: str = "") -> str:
    """Frame what a person needs to know when there is no PDF."""
    why = reason.strip().splitlines()[-3:] or ["no pdflatex, tectonic or apt-get here"]
    text = [
        "The PDF of the paper is skipped: there is no TeX. All else is made.",
        *(textwrap.shorten(line, 76) for line in why),
        "",
        "Any one of these, then the same command again, gives the PDF:",
        "  module load texlive        (the name may differ on your cluster)",
        "  conda install -c conda-forge tectonic",
        "  apt-get install --no-install-recommends texlive-latex-recommended \\",
        "      texlive-fonts-recommended lmodern",
    ]
    if reason:
        text.append("  make tex        (tries the private one again)")
    rule = "+" + "-" * 78 + "+"
    return "\n".join([rule, *(f"| {line:<76} |" for line in text), rule])


def _explain(log: str, output: str) -> str:
    """Pick the errors, each with the three lines after it, out of a log."""
    lines = log.splitlines()
    at = [i for i, line in enumerate(lines) if LATEX_ERROR.match(line)][:3]
    keep = sorted({j for i in at for j in range(i, min(i + 4, len(lines)))})
    return "\n".join([lines[j] for j in keep] or output.splitlines()[-8:])


def _call(command: list[str], here: Path, env: dict[str, str], log: Path) -> str:
    """Run one program of TeX and return its log."""
    done = subprocess.run(
        command,
        cwd=here,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    if done.returncode:
        name = Path(command[0]).name
        raise TypesetError(f"{name} failed:\n{_explain(text, done.stdout)}")
    return text


def _latex(source: Path, folder: Path, command: str, env: dict[str, str]) -> str:
    """Repeat pdflatex until the log no longer asks for it; return the last log."""
    flags = ["-interaction=nonstopmode", "-halt-on-error", "-file-line-error"]
    flags += [f"-jobname={source.stem}", f"-output-directory={folder}"]
    # The PDF's trailer would hold a hash of the build folder's path.
    latex = [command, *flags, rf"\pdftrailerid{{}}\input{{{source.name}}}"]
    bibtex = [str(Path(command).with_name("bibtex")), source.stem]
    log = folder / f"{source.stem}.log"
    for attempt in range(PASSES):
        text = _call(latex, source.parent, env, log)
        if attempt == 0 and r"\bibdata" in log.with_suffix(".aux").read_text("latin-1"):
            _call(bibtex, folder, env, log.with_suffix(".blg"))
        elif not RERUN.search(text):
            break
    return text


def typeset(source: Path, folder: Path, engine: Engine, epoch: int = 0) -> bytes:
    """Compile `source` into `folder` and return the PDF.

    Paths in the source are relative to the source; what else it names may lie in
    `folder`.  Equal sources give equal bytes: `epoch` is the date in the PDF.
    """
    source, folder = source.absolute(), folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".aux", ".bbl", ".out", ".toc", ".log", ".pdf"):
        (folder / source.stem).with_suffix(suffix).unlink(missing_ok=True)
    search = f"{source.parent}:{folder}:"  # the empty end stands for TeX's own folders
    env = os.environ | {
        "SOURCE_DATE_EPOCH": str(epoch),
        "FORCE_SOURCE_DATE": "1",  # \today as well
        "max_print_line": "10000",  # a broken line hides an error from a search
        **dict.fromkeys(("TEXINPUTS", "BIBINPUTS", "BSTINPUTS"), search),
    }
    if engine.kind == "tectonic":
        flags = ["-X", "compile", "--keep-logs", "--outdir", str(folder)]
        flags += ["-Z", f"search-path={folder}"]
        command = [engine.command, *flags, source.name]
        log = _call(command, source.parent, env, folder / f"{source.stem}.log")
    else:
        log = _latex(source, folder, engine.command, env)
    lines = log.splitlines()
    if wrong := list(dict.fromkeys(filter(UNDEFINED.fullmatch, lines))):
        raise TypesetError("\n".join(wrong[:10]))
    for line in lines:
        if (wide := TOO_WIDE.match(line)) and float(wide[1]) > OVERFULL:
            print(line, file=sys.stderr)
    return (folder / f"{source.stem}.pdf").read_bytes()
