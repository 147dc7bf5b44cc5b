import json

import pytest

from mathprobe import cli, record
from mathprobe.errors import InputError

MODEL = "linalg/eigenvalues/laplace/n5/base"


@pytest.fixture
def results(tmp_path):
    def made(model=MODEL, leave=(), **run):
        folder = tmp_path / "paper" / model
        folder.mkdir(parents=True)
        for name in {*record.NEEDED, "model.safetensors"} - set(leave):
            (folder / name).write_text(name)
        if "run.json" not in leave:
            facts = {"revision": "7e10", "clean": True, **run}
            (folder / "run.json").write_text(json.dumps(facts))
        return tmp_path / "paper"

    return made


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_metrics_are_kept_and_weights_are_not(results, tmp_path, capsys):
    cli.main(["record", str(results()), "--record", str(tmp_path / "kept")])
    expected = [f"{MODEL}/{name}" for name in sorted(record.NEEDED)]
    assert names(tmp_path / "kept") == expected
    assert capsys.readouterr().out == f"{tmp_path / 'kept' / MODEL}\n"


@pytest.mark.parametrize("missing", record.NEEDED)
def test_what_is_not_finished_is_left(results, tmp_path, missing):
    assert record.keep(results(leave=[missing]), tmp_path / "kept") == []
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("run", [{"clean": False}, {"revision": None, "clean": None}])
def test_what_nobody_can_make_again_is_refused(results, tmp_path, run):
    results("linalg/a")
    folder = results("linalg/b", **run)
    with pytest.raises(InputError, match="paper/linalg/b: made by code that is in no"):
        record.keep(folder, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
