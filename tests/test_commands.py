"""Every shell command of the README and of docs/ runs, or is planned, in a test.

`tests/slurm/test_docs.py` runs the blocks marked `bash` of docs/cluster.md on Slurm.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from mathprobe import cli
from mathprobe.cli.app import app
from workflow import PROJECT

PAGES = (
    "README.md",
    *sorted(map(str, Path("docs").glob("*.md"))),
    "benchmarks/README.md",
)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
PROGRAMS = ("make", "mathprobe", "pytest", "python", "snakemake")
OTHERS = ("done", "[", "ln", "mkdir", "sinfo", "squeue")  # in blocks for a cluster
NAMES = {  # in docs/paths.md
    **{"scale": "demo", "task": "inverse", "distribution": "laplace", "n": "3"},
    **{"recipe": "base", "model": "add_d3_l2_h3_t3K_s1"},
}
# Run elsewhere: tests/test_cli_circuits.py, and tests/test_record.py, because records
# need a repository.
PARSED = ("map", "record", "readme")


def commands(page):
    """Return the shell commands in the blocks of a page, as lists of words."""
    text = (PROJECT / page).read_text("utf-8")
    blocks = [body for info, body in BLOCK.findall(text) if info in ("", "bash")]
    shell = [body for body in blocks if not body.startswith("results/")]  # no paths
    for line in "".join(shell).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["CUDA_VISIBLE_DEVICES="]:
            del words[0]
        if words[:3] == ["python", "-m", "mathprobe"]:
            words[:3] = ["mathprobe"]
        if words:
            yield words


COMMANDS = [words for page in PAGES for words in commands(page)]


def of(program):
    found = [words for words in COMMANDS if Path(words[0]).name == program]
    return list({" ".join(words): words[1:] for words in found}.values())


def in_text(program):
    """Return the commands of a program in the text of the pages, as lists of words."""
    texts = [BLOCK.sub("", (PROJECT / page).read_text("utf-8")) for page in PAGES]
    found = re.findall(rf"`{program} ([^`\n]+)`", "\n".join(texts))
    return [shlex.split(words) for words in sorted(set(found))]


def test_every_command_is_of_a_program_that_is_tested_here():
    programs = {Path(words[0]).name for words in COMMANDS}
    assert programs - {*PROGRAMS, *OTHERS} == set()
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("words", of("make") + in_text("make"), ids=" ".join)
def test_make_plans_a_documented_command(tmp_path, words):
    for name in ("Makefile", "pyproject.toml", "envs"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / ".cache").mkdir()
    done = subprocess.run(
        ["make", "-n", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_snakemake_plans_all_documented_targets_in_one_dry_run(smoke, tmp_path):
    page = (PROJECT / "docs/configuration.md").read_text("utf-8")
    [recipe] = re.findall(r"`(linalg: {recipes: .*)`", page)
    (tmp_path / "faster.yaml").write_text(recipe, encoding="utf-8")
    targets = set()
    for words in of("snakemake") + in_text("snakemake"):
        if "cluster-generic" in words or words[-1].startswith("--"):
            continue  # a plugin that is not installed; an option without its value
        formatted = [word.format(name=NAMES["model"], **NAMES) for word in words]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(smoke.folder)
            targets.update(parse_args(formatted)[1].targets)
    assert len(targets) > 6
    jobs = smoke.planned_jobs(*targets, "--configfile", tmp_path / "faster.yaml")
    assert jobs["linalg_train"] > 30


@pytest.mark.parametrize(
    "words", [w for w in of("mathprobe") if w[0] not in PARSED], ids=" ".join
)
def test_a_documented_command_runs_on_the_smoke_scale(
    smoke, words, monkeypatch, capsys
):
    monkeypatch.chdir(smoke.folder)
    words = [
        re.sub("results/(demo|paper|workstation)", "results/smoke", w) for w in words
    ]
    words = [word.replace("92.9", "0.0") for word in words]  # a number of that scale
    if words[0] == "plan" and "--flops-per-second" not in words:
        words += ["--flops-per-second", "1e9"]  # instead of a measured rate
    cli.main(words)
    assert any(capsys.readouterr())


@pytest.mark.parametrize(
    "words", [w for w in of("mathprobe") if w[0] in PARSED], ids=" ".join
)
def test_a_documented_command_that_other_tests_run_has_valid_arguments(words):
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("words", in_text("mathprobe"), ids=" ".join)
def test_a_command_in_the_text_is_one_of_mathprobe(words):
    assert words[0] in app


@pytest.mark.parametrize(
    "words", of("pytest") + of("python") + in_text("pytest"), ids=" ".join
)
def test_tests_and_markers_of_a_documented_command_exist(words, pytestconfig):
    words = words[2:] if words[:2] == ["-m", "pytest"] else words
    markers = [line.partition(":")[0] for line in pytestconfig.getini("markers")]
    if words[0] == "-m":
        assert words[1] in markers
        words = words[2:]
    assert all((PROJECT / word).exists() for word in words)


@pytest.mark.parametrize("words", in_text("python"), ids=" ".join)
def test_a_documented_script_exists_and_has_the_options(words):
    script = PROJECT / words[0]
    options = [word for word in words[1:] if word.startswith("--")]
    assert all(option in script.read_text("utf-8") for option in options)
