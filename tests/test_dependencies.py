"""Commands depend exactly on the modules that they import, directly or indirectly."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mathprobe import cli, dependencies
from mathprobe.registry import UnknownName

FAKE = {
    "__init__": "",
    "low": "VALUE = 1",
    "high": "from fake.low import VALUE",
    "other": "",
    "typed": "",
    "cli/__init__": "",
    "cli/verbs": """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from fake import typed


        @command(WORKFLOW)
        def first(out):
            from fake import high

            _write(out, high)


        @command(WORKFLOW)
        def second(out):
            _write(out, None)


        def _write(out, value):
            import fake.other
        """,
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A package of a few modules that replaces mathprobe."""
    for name, text in FAKE.items():
        path = tmp_path / f"fake/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(dependencies, "PACKAGE", tmp_path / "fake")
    monkeypatch.setattr(dependencies, "CLI", "fake.cli")
    clear_caches()
    yield tmp_path / "fake"
    clear_caches()


def clear_caches():
    for cached in ("import_graph", "commands", "modules", "digest"):
        getattr(dependencies, cached).cache_clear()


def test_imports_in_a_command_are_its_own_and_imports_of_helpers_are_shared(fake):
    assert dependencies.modules("first") == (
        *("fake.cli.verbs", "fake.high", "fake.low", "fake.other"),
    )
    assert dependencies.modules("second") == ("fake.cli.verbs", "fake.other")


@pytest.mark.parametrize(
    ("module", "changed"),
    [("low", {"first"}), ("other", {"first", "second"}), ("typed", set())],
)
def test_the_digest_changes_only_with_these_modules(fake, module, changed):
    before = {name: dependencies.digest(name) for name in ("first", "second")}
    (fake / f"{module}.py").write_text("VALUE = 2")
    clear_caches()
    after = {name: dependencies.digest(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_script_depends_on_its_imports(fake, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import json\nfrom fake import high\nfrom fake.low import VALUE\n"
    )
    assert dependencies.imported_by(script) == {"fake.high", "fake.low"}
    before = dependencies.digest("second", script)
    assert before != dependencies.digest("second")
    (fake / "high.py").write_text("VALUE = 2")
    clear_caches()
    assert dependencies.digest("second", script) != before


def test_an_unknown_command_lists_the_known_names():
    with pytest.raises(UnknownName, match="unknown command 'trian'; known names are"):
        dependencies.modules("trian")


def test_every_command_of_the_command_line_is_found():
    registered = {name for name in cli.app if not name.startswith("-")}
    assert set(dependencies.commands()) == registered


def test_test_sets_and_scores_do_not_depend_on_networks_and_training():
    testset, score = map(dependencies.modules, ("testset", "score"))
    assert "mathprobe.linalg.distributions" in testset
    assert not [name for name in testset if ".nets" in name or "training" in name]
    assert "mathprobe.linalg.properties" in score
    assert not [name for name in score if ".nets" in name or "training" in name]


TRAININGS = {"train", "arith_train", "digests", "plan"}
ANALYSES = {"predict", "heads", "arith_accuracy", "arith_map", "map"}


@pytest.mark.parametrize(
    ("module", "commands"),
    [
        ("linalg.verifiers", {"score", "failures", "evidence"}),
        ("studies.linalg.scoring", {"score", "failures"}),
        ("nets.seq2seq", {*TRAININGS, *ANALYSES}),
        ("train_state", TRAININGS),
        ("paper.quanta", {"arith_draw", "map"}),
    ],
)
def test_only_the_commands_that_use_a_module_depend_on_it(module, commands):
    dependent = {
        command
        for command in dependencies.commands()
        if f"mathprobe.{module}" in dependencies.modules(command)
    }
    assert dependent == commands


def test_modules_are_layered():
    """The import contracts of pyproject.toml are satisfied."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
