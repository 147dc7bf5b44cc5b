"""All environments have the versions of the lock file."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ENVS = Path("envs")
PYPI = {"matplotlib-base": "matplotlib", "pytorch": "torch"}  # names on conda-forge


def makefile_torch():
    return re.search(
        r"^TORCH \?= torch==(\S+)$", Path("Makefile").read_text(encoding="utf-8"), re.M
    )[1]


@pytest.fixture(scope="module")
def locked():
    lines = (ENVS / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([a-z0-9_.-]+)==([^ \\;]+)", lines, re.M))
    return {**pins, "torch": makefile_torch()}


def conda(name):
    content = yaml.safe_load((ENVS / name).read_text())
    pins = (pin.split("=", 1) for pin in content["dependencies"])
    return {PYPI.get(name, name): version for name, version in pins}


def test_the_conda_environment_has_the_versions_of_the_lock(locked):
    pins = conda("python.yaml")
    assert pins.pop("python") == "3.11"
    assert pins == {name: locked[name] for name in pins}


def test_the_typesetting_environment_has_the_versions_of_the_lock(locked):
    for name in ("numpy", "msgspec", "cyclopts"):
        assert conda("tex.yaml")[name] == locked[name]


def test_the_conda_environment_has_the_requirements_of_the_package():
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    needed = [re.match(r"[a-z0-9-]+", line)[0] for line in project["dependencies"]]
    assert set(needed) <= set(conda("python.yaml"))


def test_the_lock_has_every_requirement(locked):
    text = (ENVS / "requirements.in").read_text()
    named = re.findall(r"^([a-z0-9-]+)", text, re.M)
    assert named
    assert set(named) <= set(locked)


def test_the_lock_has_hashes_but_no_torch_and_no_cuda():
    text = (ENVS / "requirements.lock").read_text()
    assert not re.search(r"^(torch|nvidia|triton|cuda)[a-z0-9-]*==", text, re.M)
    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text


def test_the_pinned_torch_is_supported_by_the_package():
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert "torch>=2.11" in project["dependencies"]
    assert project["requires-python"] == ">=3.11"
    assert makefile_torch() == "2.13.0"
