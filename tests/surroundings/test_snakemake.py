"""Snakemake started in unusual ways, and what it prints about failed jobs."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from mathprobe import clone
from mathprobe.errors import InputError
from mathprobe.failed_jobs import LINES, FailedJobs
from workflow import Workflow

TESTSET = "results/smoke/linalg/testsets/eigenvalues/laplace/n2.npz"
QUIET = ("--quiet", "reason", "host")  # as in the Makefile


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Workflow(
        tmp_path_factory.mktemp("snakemake") / "it's a [copy] & 50 % #1 ~ ö"
    )


@pytest.fixture(scope="module")
def done(copy, tmp_path_factory):
    """A run as by `make`; the first `python` on PATH and a `torch.py` here fail."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "python").write_text("#!/bin/sh\nexit 7\n")
    (folder / "python").chmod(0o755)
    own = copy.folder / "torch.py"  # of the user
    own.write_text("raise SystemExit(7)\n", encoding="utf-8")
    yield copy.snakemake("--cores", 1, TESTSET, *QUIET, path=f"{folder}:/usr/bin:/bin")
    own.unlink()


def test_jobs_run_on_the_interpreter_and_modules_of_snakemake(done):
    assert done.returncode == 0, done.stdout


def test_a_run_names_its_jobs_and_ends_with_its_targets(done):
    name = "draw test set eigenvalues, laplace, n = 2 (linalg_testset)"
    assert done.stdout.count(f"Job 0: {name}\n") == 1
    assert done.stdout.count(f"Finished job 0: {name}\n") == 1
    assert f"\nMade {TESTSET}\n" in done.stdout
    assert "Select" not in done.stdout
    assert "Execute" not in done.stdout


def test_an_interpreter_that_jobs_would_not_run_on_is_refused(tmp_path):
    clone.check_python(sys.executable)
    (tmp_path / "python3.12").touch()
    with pytest.raises(
        InputError, match=r"python3\.12, but jobs would run on .*/python"
    ):
        clone.check_python(str(tmp_path / "python3.12"))


def test_another_working_directory_is_refused(copy, tmp_path):
    done = copy.snakemake("-n", "--directory", tmp_path / "elsewhere")
    assert done.returncode != 0
    assert f"Snakemake works in {tmp_path}/elsewhere, but must work in" in done.stdout
    assert "start it there, without --directory" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_clone_behind_a_link_is_the_working_directory(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    clone.check_working_directory(tmp_path / "link", tmp_path / "real")


@pytest.mark.parametrize("character", [*clone.FORBIDDEN, "\n", "\t", "\udcff"])
def test_a_path_that_tools_cannot_handle_is_refused(character):
    with pytest.raises(InputError) as caught:
        clone.check_path(Path(f"/data/a{character}b"))
    assert f"contains {character!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_snakemake_refuses_such_a_path_in_one_line(tmp_path):
    done = Workflow(tmp_path / "a{b}").snakemake("-n")
    assert done.returncode != 0
    assert "the path of the clone contains '{'" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_failed_job_is_shown_last_with_the_end_of_its_log(tmp_path):
    copy = Workflow(tmp_path / "copy")
    text = "raise SystemExit('\\n'.join(['early'] * 50 + ['no space left']))"
    (copy.folder / "src/mathprobe/__main__.py").write_text(text, encoding="utf-8")
    done = copy.snakemake(*QUIET, "--cores", 1, TESTSET)
    assert done.returncode != 0
    shown = done.stdout[done.stdout.index("1 failed:") :].splitlines()
    assert "Error in rule linalg_testset" in done.stdout
    assert shown[2] == f"{TESTSET} (linalg_testset)"
    assert shown[3] == f"  logs/{TESTSET}.log:"
    assert shown[3 + LINES] == "    no space left"
    assert len(shown) < LINES + 10
    assert "The command returned non-zero exit status 1." in done.stdout
    assert '{"' not in done.stdout  # no specification


@pytest.fixture
def failed():
    return FailedJobs()


def record(event, **facts):
    return logging.makeLogRecord({"event": event, "msg": "", **facts})


def job(number, log, *outputs):
    outputs = [f"results/smoke/model{number}/{name}" for name in outputs]
    return {"jobid": number, "rule_name": "train", "output": outputs, "log": [str(log)]}


def test_all_jobs_of_a_failed_group_are_shown(failed, tmp_path):
    log = tmp_path / "slurm.log"
    log.write_text("10 %\r20 %\rkilled: out of memory\n", encoding="utf-8")
    jobs = [job(1, tmp_path / "missing", "a", "b"), job(2, log, "c")]
    failed.filter(record("group_error", job_error_info=jobs, aux_logs=[str(log)]))
    text = failed.report()
    assert text.startswith("2 failed:\n\nresults/smoke/model1 (train)\n")
    assert "\n\nresults/smoke/model2/c (train)\n" in text
    assert "(No such file or directory)" in text
    assert "    killed: out of memory" in text
    assert "20 %" not in text


def test_a_job_that_succeeds_at_a_later_attempt_is_not_shown(failed, tmp_path):
    for number in (1, 2):
        failed.filter(record("job_error", **job(number, tmp_path / "log", "a")))
    failed.filter(record("job_finished", job_id=1))
    assert "model1" not in failed.report()
    assert "1 failed:\n\nresults/smoke/model2/a" in failed.report()


def test_a_failed_notebook_is_named_but_not_printed(failed, tmp_path):
    notebook = tmp_path / "page.ipynb"
    notebook.write_text("{}", encoding="utf-8")
    failed.filter(record("job_error", **job(1, notebook, "a")))
    assert failed.report().endswith(f"  {notebook}:")


def test_a_signal_stays_in_the_message(failed):
    command = "Command 'python -m mathprobe train '{\"n\": 5}' 2>&1' "
    error = record("error", msg=f"{command}died with <Signals.SIGKILL: 9>.")
    assert failed.filter(error)
    assert error.msg == "The command died with <Signals.SIGKILL: 9>."


def test_links_to_results_and_logs_are_ignored_by_git(tmp_path):
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / ".gitignore").write_text(
        Path(".gitignore").read_text("utf-8"), encoding="utf-8"
    )
    names = ("results", "logs", ".cache", ".venv", ".snakemake", ".ruff_cache")
    for name in names:
        (tmp_path / name).symlink_to("/tmp")
    status = subprocess.run(
        [*git, "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout.split() == ["??", ".gitignore"]


def test_deleting_all_outputs_keeps_the_private_tex(copy):
    private = copy.folder / ".cache/tex/bin/pdflatex"
    private.parent.mkdir(parents=True)
    private.write_text("#!/bin/sh\n", encoding="utf-8")
    pdf = copy.folder / "results/smoke/paper.pdf"
    pdf.parent.mkdir(parents=True, exist_ok=True)
    pdf.touch()
    scale = ("--config", "default_scale=smoke")
    done = copy.snakemake("--delete-all-output", "--cores", 1, *scale)
    assert done.returncode == 0, done.stdout
    assert private.exists()
    planned = copy.snakemake("-n", "-F", "--config", "default_scale=smoke").stdout
    assert ".cache/tex/bin" not in planned
