"""Choice and installation of TeX, and errors and warnings of typesetting."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mathprobe.errors import InputError
from mathprobe.paper import tex

PROJECT = Path(__file__).parent.parent
HAVE_ALL = 'for name; do echo "/texmf/$name"; done'
PAPER = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{lmodern,natbib,hyperref}
\begin{document}
\section{One}\label{one} Section~\ref{one}, after \citet{euler}, on \today.
%s
\bibliographystyle{plainnat}
\bibliography{main}
\end{document}
"""
BIB = "@book{euler, author={Leonhard Euler}, title={Algebra}, publisher={X}, year=1770}"


def program(folder: Path, name: str, body: str = "exit 0") -> Path:
    """Write an executable script."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def install(folder: Path) -> Path:
    """Write the programs of a complete TeX, and return its pdflatex."""
    program(folder, "bibtex")
    program(folder, "kpsewhich", HAVE_ALL)
    return program(folder, "pdflatex")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".cache" / "tex"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return an empty folder that is used as PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def apt(programs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a PATH with a shell on which only a private TeX can be installed."""
    for name in ("apt-get", "dpkg"):
        program(programs, name)
    for name in ("bash", "mkdir", "cp"):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(programs))
    return programs


def unpacking(tmp_path: Path) -> Path:
    """Write a script that installs TeX in a new folder."""
    install(tmp_path / "ready")
    body = f'[ ! -e "$1" ] && mkdir -p "$1" && cp -r "{tmp_path}/ready" "$1/bin"'
    return program(tmp_path, "get.sh", body)


def write(folder: Path, more: str = "") -> Path:
    """Write a small paper with a reference and a citation."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.bib").write_text(BIB)
    (folder / "main.tex").write_text(PAPER % more)
    return folder / "main.tex"


def test_a_complete_pdflatex_is_taken_first(programs, cache):
    for name in ("tectonic", "apt-get", "dpkg"):
        program(programs, name)
    install(programs)
    install(cache / "bin")
    engine = tex.find(cache, str(programs))
    assert engine == tex.Engine("pdflatex", str(programs / "pdflatex"))
    assert engine.message == f"TeX: pdflatex at {programs}/pdflatex"


@pytest.mark.parametrize("missing", ["kpsewhich", "bibtex", "a package"])
def test_an_incomplete_pdflatex_is_not_used(programs, cache, missing):
    install(programs)
    lacks_one = f"shift; {HAVE_ALL}"
    program(programs, "kpsewhich", lacks_one if missing == "a package" else HAVE_ALL)
    (programs / missing).unlink(missing_ok=True)
    assert tex.find(cache, str(programs)).kind == "none"


def test_tectonic_is_preferred_to_a_private_tex(programs, cache):
    program(programs, "tectonic")
    install(cache / "bin")
    engine = tex.find(cache, str(programs))
    assert engine.kind == "tectonic"
    assert engine.message == f"TeX: tectonic at {programs}/tectonic"


def test_an_unpacked_private_tex_is_found(programs, cache):
    private = install(cache / "bin")
    engine = tex.find(cache, str(programs))
    assert engine == tex.Engine("private", str(private))
    assert str(private) in engine.message


def test_with_apt_a_private_tex_is_installable(programs, cache):
    program(programs, "apt-get")
    assert tex.find(cache, str(programs)).kind == "none"
    program(programs, "dpkg")
    engine = tex.find(cache, str(programs))
    assert engine.kind == "installable"
    assert not engine.usable
    assert f"unpacked into {cache} (about 60 MB" in engine.message


def test_without_any_tex_the_pdf_is_skipped(programs, cache):
    engine = tex.find(cache, str(programs))
    assert engine == tex.Engine("none")
    assert engine.message == "TeX: none; the PDF is skipped"
    assert list(programs.iterdir()) == []
    assert not cache.parent.exists()


def test_a_failed_installation_is_reported_and_not_repeated(apt, cache):
    cache.parent.mkdir()
    tex.failed_marker(cache).write_text("E: no network\nfailed while downloading\n")
    engine = tex.find(cache)
    assert engine.kind == "none"
    assert "failed while downloading" in engine.message
    assert len(engine.message.splitlines()) == 1


def test_a_private_tex_is_unpacked(apt, cache, tmp_path, capsys):
    engine = tex.find_or_unpack(cache, unpacking(tmp_path))
    assert engine == tex.Engine("private", str(cache / "bin" / "pdflatex"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert str(cache) in lines[0]


def test_a_failed_installation_leaves_only_its_reason(apt, cache, tmp_path):
    script = program(tmp_path, "get.sh", "echo E: no network >&2; exit 1")
    engine = tex.find_or_unpack(cache, script)
    assert engine.kind == "none"
    assert engine.note == "E: no network"
    assert list(cache.parent.iterdir()) == [tex.failed_marker(cache)]
    assert tex.find(cache) == engine


def damage(cache: Path, how: str) -> None:
    """Make a folder without a working TeX."""
    private = install(cache / "bin")
    if how == "deleted":  # by `snakemake -F`, when rules had this output
        private.unlink()
    elif how == "failing":
        program(private.parent, "pdflatex", "exit 127")
    elif how == "no package":
        program(private.parent, "kpsewhich", "exit 1")
    elif how == "empty folders":  # Snakemake creates the folders of outputs
        shutil.rmtree(private.parent)
    elif how == "link":
        cache.rename(cache.with_name("gone"))
        cache.symlink_to("moved")


@pytest.mark.parametrize(
    "how", ["deleted", "failing", "no package", "empty folders", "link"]
)
def test_a_folder_without_a_working_tex_is_replaced(apt, cache, tmp_path, how):
    damage(cache, how)
    assert tex.find(cache).kind == "installable"
    tex.failed_marker(cache).write_text("the folder is there already")
    assert tex.find_or_unpack(cache, unpacking(tmp_path)).kind == "private"
    assert not tex.failed_marker(cache).exists()


def test_a_failed_installation_can_be_repeated(apt, cache, tmp_path):
    tex.find_or_unpack(cache, program(tmp_path, "get.sh", "exit 7"))
    engine = tex.find_or_unpack(cache, unpacking(tmp_path))
    assert engine.kind == "private"
    assert not tex.failed_marker(cache).exists()


def test_a_silent_failure_reports_its_exit_status(apt, cache, tmp_path):
    engine = tex.find_or_unpack(cache, program(tmp_path, "get.sh", "exit 7"))
    assert "exit status 7" in engine.note


def test_the_message_is_framed_and_lists_all_commands():
    for reason in ("", "E: no network\n" + 200 * "long "):
        box = tex.skipped_message(reason)
        assert {len(line) for line in box.splitlines()} == {80}
        for way in ("module load texlive", "conda-forge tectonic", "apt-get install"):
            assert way in box
        assert ("make tex" in box) == bool(reason)
        assert ("E: no network" in box) == bool(reason)


def test_the_script_is_valid_and_refuses_an_existing_folder(tmp_path):
    script = PROJECT / tex.SCRIPT
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run(["bash", script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert "exists; remove it first" in done.stderr
    assert not list(tmp_path.iterdir())


FAKE = """
for word; do case $word in -output-directory=*) cd "${word#*=}";; esac; done
echo pass >> passes
echo '\\relax' > main.aux
echo "pdf of $SOURCE_DATE_EPOCH" > main.pdf
"""


def fake(folder: Path, log: str, code: int = 0) -> tex.Engine:
    """Return an engine whose pdflatex writes this log."""
    body = f"{FAKE}cat > main.log <<'END'\n{log}\nEND\nexit {code}"
    return tex.Engine("pdflatex", str(program(folder, "pdflatex", body)))


def test_an_error_has_its_location_and_three_lines(programs, tmp_path):
    log = "noise\n./main.tex:3: Undefined control sequence.\nl.3 \\foo\n1\n2\n3\nnoise"
    source = write(tmp_path / "paper")
    with pytest.raises(InputError) as caught:
        tex.typeset(source, tmp_path / "build", fake(programs, log, 1))
    message = str(caught.value)
    assert message.endswith(
        "./main.tex:3: Undefined control sequence.\nl.3 \\foo\n1\n2"
    )
    assert "noise" not in message


@pytest.mark.parametrize(
    "line",
    [
        "LaTeX Warning: Reference `a' on page 1 undefined on input line 5.",
        "Package natbib Warning: Citation `b' on page 1 undefined on input line 5.",
        "Missing character: There is no ≤ in font lmroman10-regular!",
        "Package mathprobe Error: no result of the name 'c'.",
    ],
)
def test_an_undefined_reference_is_an_error(programs, tmp_path, line):
    source = write(tmp_path / "paper")
    with pytest.raises(InputError) as caught:
        tex.typeset(source, tmp_path / "build", fake(programs, f"x\n{line}\n{line}\ny"))
    assert str(caught.value) == line


def test_only_visible_overfull_boxes_are_reported(programs, tmp_path, capsys):
    wide = r"Overfull \hbox (5.5pt too wide) in paragraph at lines 3--4"
    log = wide + "\n" + wide.replace("5.5pt", "4.9pt")
    source = write(tmp_path / "paper")
    pdf = tex.typeset(source, tmp_path / "build", fake(programs, log), epoch=7)
    assert pdf == b"pdf of 7\n"
    assert capsys.readouterr().err == f"{wide}\n"


def test_the_number_of_passes_is_limited(programs, tmp_path):
    log = "LaTeX Warning: Label(s) may have changed. Rerun to get cross-references"
    build = tmp_path / "build"
    tex.typeset(write(tmp_path / "paper"), build, fake(programs, log))
    assert (build / "passes").read_text().split() == ["pass"] * tex.PASSES


def test_tectonic_is_called_once(programs, tmp_path):
    body = """while [ "$1" != --outdir ]; do shift; done
    cd "$2"; echo pass >> passes; echo pdf > main.pdf; echo Rerun to get > main.log"""
    engine = tex.Engine("tectonic", str(program(programs, "tectonic", body)))
    build = tmp_path / "build"
    assert tex.typeset(write(tmp_path / "paper"), build, engine) == b"pdf\n"
    assert (build / "passes").read_text() == "pass\n"


@pytest.fixture(scope="module")
def engine() -> tex.Engine:
    """Return an installed pdflatex; Tectonic may need the network."""
    found = tex.find(PROJECT / tex.CACHE)
    if found.kind not in ("pdflatex", "private"):
        pytest.skip(found.message)
    return found


def test_the_pdf_is_bitwise_reproducible(engine, tmp_path):
    source = write(tmp_path / "paper")
    first = tex.typeset(source, tmp_path / "build", engine)
    assert first.startswith(b"%PDF")
    assert tex.typeset(source, tmp_path / "build", engine) == first
    moved = write(tmp_path / "a longer name" / "paper")
    assert tex.typeset(moved, tmp_path / "other build", engine) == first
    assert [file.name for file in sorted(source.parent.iterdir())] == [
        "main.bib",
        "main.tex",
    ]


def test_a_real_error_names_file_line_and_command(engine, tmp_path):
    source = write(tmp_path / "paper", r"\nosuchcommand")
    with pytest.raises(InputError) as caught:
        tex.typeset(source, tmp_path / "build", engine)
    assert r"\nosuchcommand" in str(caught.value)
    assert "main.tex:6: " in str(caught.value)
    assert len(str(caught.value).splitlines()) < 15


def test_all_undefined_references_are_reported(engine, tmp_path):
    source = write(tmp_path / "paper", r"\ref{nowhere} \citep{nobody}")
    with pytest.raises(InputError) as caught:
        tex.typeset(source, tmp_path / "build", engine)
    assert "Reference `nowhere'" in str(caught.value)
    assert "Citation `nobody'" in str(caught.value)


def test_inputs_are_found_in_the_build_folder(engine, tmp_path):
    source = write(tmp_path / "a paper", r"\input{numbers}")
    build = tmp_path / "a build"
    build.mkdir()
    (build / "numbers.tex").write_text("The answer is 42.\n")
    assert tex.typeset(source, build, engine).startswith(b"%PDF")
