"""Find a TeX installation, or unpack a private one, and typeset the paper."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mathprobe.errors import InputError

CACHE = Path(".cache/tex")
SCRIPT = Path("envs/get_tex.sh")
SIZE = "about 60 MB to download"
PACKAGES = (
    *("amsmath", "amssymb", "array", "booktabs", "caption", "colortbl", "etoolbox"),
    *("float", "geometry", "graphicx", "hyperref", "lmodern", "mathptmx", "microtype"),
    *("natbib", "subcaption", "url", "xcolor"),
)
PASSES = 5
DECODED: Any = {"encoding": "utf-8", "errors": "replace"}  # output of programs
OVERFULL = 5.0  # pt; a smaller overfull box is invisible in print

LATEX_ERROR = re.compile(r"\S.*?:\d+: |! ")
UNDEFINED = re.compile(
    r".*Package mathprobe Error.*|.* Warning: (Reference|Citation) .* undefined.*"
    r"|.* There were undefined (references|citations)\."
    r"|Missing character: There is no .*"  # left out of the PDF
)
RERUN = re.compile(r"Rerun (to get|LaTeX)")
TOO_WIDE = re.compile(r"Overfull \\[hv]box \((\d+\.?\d*)pt too .*")


@dataclass(frozen=True)
class Engine:
    """The program that typesets the paper, if any."""

    kind: Literal["pdflatex", "tectonic", "private", "installable", "none"]
    command: str = ""
    note: str = ""  # installable: the folder; none: why the last attempt failed

    @property
    def usable(self) -> bool:
        """Return whether there is a program that typesets."""
        return self.command != ""

    @property
    def message(self) -> str:
        """Return the choice in one line."""
        if self.usable:
            return f"TeX: {self.kind} at {self.command}"
        if self.kind == "installable":
            return f"TeX: a private one will be unpacked into {self.note} ({SIZE})"
        reason = f" ({self.note.splitlines()[-1]})" if self.note else ""
        return f"TeX: none{reason}; the PDF is skipped"


def failed_marker(cache: Path) -> Path:
    """Return the file with the reason why `cache` could not be made."""
    return cache.with_name(cache.name + ".failed")


def _works(pdflatex: str) -> bool:
    """Return whether a TeX starts, and has its tools and every package of the paper."""
    here = str(Path(pdflatex).parent)
    kpsewhich = shutil.which("kpsewhich", path=here)
    if not kpsewhich or not shutil.which("bibtex", path=here):
        return False
    names = [f"{name}.sty" for name in PACKAGES]
    found = subprocess.run([kpsewhich, *names], capture_output=True, **DECODED)
    started = subprocess.run([pdflatex, "--version"], capture_output=True)
    return len(found.stdout.splitlines()) == len(names) and not started.returncode


def find(cache: Path = CACHE, path: str | None = None) -> Engine:
    """Return the first usable TeX on `path` (by default PATH), or what to do."""
    pdflatex = shutil.which("pdflatex", path=path)
    if pdflatex and _works(pdflatex):
        return Engine("pdflatex", pdflatex)
    if tectonic := shutil.which("tectonic", path=path):
        return Engine("tectonic", tectonic)
    private = shutil.which("pdflatex", path=cache.absolute() / "bin")
    if private and _works(private):
        return Engine("private", private)
    if (marker := failed_marker(cache)).exists():
        return Engine(
            "none", note=marker.read_text("utf-8").strip() or "no reason recorded"
        )
    if all(shutil.which(name, path=path) for name in ("apt-get", "dpkg")):
        return Engine("installable", note=str(cache))
    return Engine("none")


def find_or_unpack(cache: Path = CACHE, script: Path = SCRIPT) -> Engine:
    """Find a TeX, or unpack a private one; `find` reports the last failure to do so."""
    failed_marker(cache).unlink(missing_ok=True)
    engine = find(cache)
    if engine.kind != "installable":
        return engine
    if cache.is_symlink():
        cache.unlink()
    elif cache.exists():  # damaged; the script needs a free path
        shutil.rmtree(cache)
    print(f"TeX: unpacking into {cache} ({SIZE})", flush=True)
    done = subprocess.run(["bash", script, cache], capture_output=True, **DECODED)
    if done.returncode:
        marker = failed_marker(cache)
        marker.parent.mkdir(parents=True, exist_ok=True)
        reason = done.stderr or f"{script}: exit status {done.returncode}\n"
        marker.write_text(reason, "utf-8")
    return find(cache)


def skipped_message(reason: str = "") -> str:
    """Return a framed message that explains why there is no PDF."""
    reasons = reason.strip().splitlines()[-3:] or ["no pdflatex, tectonic or apt-get"]
    text = [
        "The PDF of the paper is skipped: there is no TeX. All else is made.",
        *(textwrap.shorten(line, 76) for line in reasons),
        "",
        "For the PDF, run one of these commands, then the same command again:",
        "  module load texlive        (the name may differ on your cluster)",
        "  conda install -c conda-forge tectonic",
        "  apt-get install --no-install-recommends texlive-latex-recommended \\",
        "      texlive-fonts-recommended lmodern",
    ]
    if reason:
        text.append("  make tex        (tries the private installation again)")
    rule = "+" + "-" * 78 + "+"
    return "\n".join([rule, *(f"| {line:<76} |" for line in text), rule])


def _call(command: list[str], here: Path, env: dict[str, str], log: Path) -> str:
    """Run a program of TeX and return its log; raise InputError if it fails."""
    done = subprocess.run(
        command,
        cwd=here,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **DECODED,
    )
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    if done.returncode:  # the first errors, each with the three lines after it
        lines = text.splitlines()
        at = [i for i, line in enumerate(lines) if LATEX_ERROR.match(line)][:3]
        shown = sorted({j for i in at for j in range(i, min(i + 4, len(lines)))})
        errors = "\n".join([lines[j] for j in shown] or done.stdout.splitlines()[-8:])
        raise InputError(f"{Path(command[0]).name} failed:\n{errors}")
    return text


def _latex(source: Path, folder: Path, command: str, env: dict[str, str]) -> str:
    """Run pdflatex until the log no longer asks for another run; return the log."""
    flags = ["-interaction=nonstopmode", "-halt-on-error", "-file-line-error"]
    flags += [f"-jobname={source.stem}", f"-output-directory={folder}"]
    # By default the trailer of the PDF contains a hash of the build folder's path.
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
    """Compile `source` in `folder` and return the PDF.

    Files that the source includes are searched next to it, then in `folder`.  `epoch`
    is the date in the PDF, so equal sources give a bitwise identical PDF.  Raise
    InputError if TeX fails or a reference is undefined.
    """
    source, folder = source.absolute(), folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".aux", ".bbl", ".out", ".toc", ".log", ".pdf"):
        (folder / source.stem).with_suffix(suffix).unlink(missing_ok=True)
    search = f"{source.parent}:{folder}:"  # the empty end means TeX's own folders
    env = os.environ | {
        "SOURCE_DATE_EPOCH": str(epoch),
        "FORCE_SOURCE_DATE": "1",  # \today as well
        "max_print_line": "10000",  # a wrapped line hides an error from the patterns
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
        raise InputError("\n".join(wrong[:10]))
    for line in lines:
        if (wide := TOO_WIDE.match(line)) and float(wide[1]) > OVERFULL:
            print(line, file=sys.stderr)
    return (folder / f"{source.stem}.pdf").read_bytes()
