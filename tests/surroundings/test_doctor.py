"""Anything that would stop a run at its end is found at its start."""

import errno
import fcntl
import re
import shutil
from pathlib import Path

import pytest

from mathprobe import cli, doctor, files
from mathprobe.errors import InputError
from mathprobe.paper import published, tex
from mathprobe.studies.linalg.models import build
from workflow import Workflow

ROOT = Path(__file__).parents[2]
ENGINE = tex.Engine("pdflatex", "/usr/bin/pdflatex")


def examine(root=ROOT, engine=ENGINE):
    findings = doctor.examine(root, engine)
    return {finding.subject: finding for finding in findings}


def levels(findings):
    return {subject: finding.level for subject, finding in findings.items()}


def test_a_clone_is_fine():
    found = levels(examine())
    assert found.pop("revision") in ("fine", "warning")  # a copy has no repository
    assert set(found.values()) == {"fine"}


def test_a_project_without_git_and_tex_has_warnings(tmp_path):
    shutil.copytree(ROOT / "paper/published", tmp_path / "paper/published")
    found = levels(examine(tmp_path, tex.Engine("none")))
    assert found.pop("revision") == found.pop("TeX") == "warning"
    assert set(found.values()) == {"fine"}


def test_a_missing_package_is_an_error(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    with pytest.raises(InputError, match="no-such-package is not installed; run"):
        doctor.packages()


def test_a_folder_of_results_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "results").touch()  # a file
    with pytest.raises(InputError, match=r"written \(Not a directory\): make"):
        doctor.results_folder(tmp_path / "results" / "demo")


def test_a_link_to_a_missing_folder_is_checked_at_its_target(tmp_path):
    (tmp_path / "results").symlink_to(tmp_path / "scratch")
    assert doctor.results_folder(tmp_path / "results").startswith(f"{tmp_path}: ")


def test_a_file_system_without_locks_is_an_error(tmp_path, monkeypatch):
    def flock(file, flags):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(InputError, match="has no locks"):
        doctor.results_folder(tmp_path)


def test_the_needed_space_is_that_of_all_weights_and_the_largest_checkpoints(catalog):
    one, several = (
        catalog.model(scale, "eigenvalues", "laplace", n, "base")
        for scale, n in (("smoke", 2), ("paper", 5))
    )
    assert several.seeds > 1
    parameters = [
        model.seeds * sum(weight.numel() for weight in build(model, 1).parameters())
        for model in (one, several)
    ]
    weights, checkpoints = 4 * sum(parameters), [3 * 3 * 4 * p for p in parameters]
    models = [one, several]
    assert doctor.needed_bytes(models, 1) == weights + checkpoints[1]
    assert doctor.needed_bytes(models, 64) == weights + sum(checkpoints)
    assert doctor.needed_bytes([], 64) == 0


def test_only_models_that_are_not_trained_need_space(catalog, tmp_path):
    assert doctor.untrained(catalog, "record", tmp_path) == []
    models = doctor.untrained(catalog, "smoke", tmp_path)
    run = tmp_path / "results/smoke/linalg/eigenvalues/laplace/n2/base/run.json"
    files.write_json(run, {})
    trained = catalog.model("smoke", "eigenvalues", "laplace", 2, "base")
    assert len(models) - len(doctor.untrained(catalog, "smoke", tmp_path)) == 1
    assert trained in models
    assert trained not in doctor.untrained(catalog, "smoke", tmp_path)


def test_trainings_start_only_with_enough_disk_space(tmp_path):
    copy = Workflow(tmp_path / "copy")
    settings = copy.folder / "config/config.yaml"
    text, smoke = settings.read_text("utf-8"), "\n  smoke: # runs"
    before, after = text.split(smoke, maxsplit=1)
    after = re.sub(r"seeds: \d+", "seeds: 1000000000000", after, count=1)
    settings.write_text(before + smoke + after, "utf-8")
    model = "results/smoke/linalg/eigenvalues/laplace/n2/base/model.safetensors"
    assert copy.snakemake("-n", model).returncode == 0  # a plan needs no space
    refused = copy.snakemake("-c1", model)
    assert refused.returncode != 0
    assert re.search(
        r"GB free, but weights and checkpoints of the models to train \(1\) need "
        r"[\d,.]+ GB: make `results` a link to a larger disk",
        refused.stdout,
    )
    assert "Traceback" not in refused.stdout
    assert not (copy.folder / model).parent.exists()


def test_a_published_table_without_a_column_is_an_error(tmp_path):
    folder = tmp_path / "paper/published"
    shutil.copytree(ROOT / "paper/published", folder)
    text = (folder / "accuracy.csv").read_text("utf-8")
    (folder / "accuracy.csv").write_text(text.replace("percent", "share", 1), "utf-8")
    with pytest.raises(InputError, match=r"accuracy.csv: a column is missing"):
        doctor.published_numbers(tmp_path)
    assert "accuracy" in published.FILES


def test_the_command_prints_all_findings_and_fails_after_an_error(capsys, monkeypatch):
    cli.main(["doctor", "smoke"])
    assert len(capsys.readouterr().out.splitlines()) == 5
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor", "smoke"])
    assert caught.value.code == 1
    assert "packages: error: no-such-package" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("doctor dem", "unknown scale 'dem'; did you mean 'demo'"),
        (
            "status demo",
            "demo: no such folder; results of a scale are in results/SCALE",
        ),
        ("stale result", "result: no such folder"),
        *[
            (f"plan results/demo/paper.pdf --flops-per-second {rate}", "is not a rate")
            for rate in ("0", "-1", "nan", "inf")
        ],
    ],
)
def test_a_wrong_argument_is_not_taken_for_a_default(command, message):
    with pytest.raises(SystemExit) as caught:
        cli.main(command.split())
    assert message in str(caught.value)


def test_snakemake_stops_before_any_job(tmp_path):
    clone = Workflow(tmp_path / "clone")
    (tmp_path / "clone/results").symlink_to("/proc/nowhere")
    done = clone.snakemake("--cores", 1)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "results: error: " in done.stdout
    assert "make `results` a link to a folder" in done.stdout
