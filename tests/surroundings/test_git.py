"""The revision in a provenance is that of the project, or unknown with a reason."""

import os
import shutil
import subprocess

import pytest

from mathprobe import git

SETTINGS = ["-c", "user.name=A", "-c", "user.email=a@b.c"]


def commit(folder):
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(str(folder), encoding="utf-8")
    for command in (["init"], ["add", "."], [*SETTINGS, "commit", "-m", "first"]):
        subprocess.run(
            ["git", "-C", str(folder), *command], check=True, capture_output=True
        )
    return git.revision(folder).commit


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    commit(folder)
    return folder


def test_a_commit_is_clean_until_a_tracked_file_changes(project):
    assert git.revision(project).clean
    (project / "untracked").touch()
    assert git.revision(project).clean
    (project / "file").write_text("changed", encoding="utf-8")
    found = git.revision(project)
    assert (len(found.commit), found.clean, found.problem) == (40, False, "")


def test_a_copy_inside_another_repository_has_no_revision(tmp_path):
    commit(tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    found = git.revision(copy)
    assert (found.commit, found.clean) == (None, None)
    assert found.problem == f"{copy} is only a subfolder of {tmp_path}"


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_variables_of_git_do_not_select_another_repository(
    project, tmp_path, monkeypatch, variable
):
    expected = git.revision(project)
    commit(tmp_path / "other")
    value = tmp_path / "other" / (".git" if variable == "GIT_DIR" else "")
    monkeypatch.setenv(variable, str(value))
    assert git.revision(project) == expected


def test_a_folder_outside_any_repository_has_no_revision(tmp_path):
    assert "not a git repository" in git.revision(tmp_path).problem


def test_without_git_the_reason_is_given(project, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = git.revision(project)
    assert found == git.Revision(
        None, None, "git cannot be started: No such file or directory"
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner")
def test_a_repository_of_another_user_has_the_reason_of_git(project):
    for path in (project, *project.rglob("*")):
        shutil.chown(path, 12345)
    assert "dubious ownership" in git.revision(project).problem
