"""An archive has the configuration that made its results."""

import json
import shutil

import pytest

from mathprobe import archive, cli, files, strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.settings import merge

CONFIG = "config/config.yaml"
MINE = """\
scales:
  smoke:
    linalg: {recipes: {base: {schedule: {examples: 320}}}}
    arith: {schedule: {batch: 8}}
"""
DECODER = "add_d2_l1_h2_t0.02K_s1"


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE, encoding="utf-8")
    return path


@pytest.fixture
def results(tmp_path, mine):
    """Results of the scale `smoke`, made with --configfile mine.yaml."""
    catalog, folder = Catalog.load(CONFIG, mine), tmp_path / "smoke"
    models = {
        "linalg/eigenvalues/laplace/n2/base": catalog.model(
            "smoke", "eigenvalues", "laplace", 2, "base"
        ),
        f"arith/{DECODER}": catalog.arith_model("smoke", DECODER),
    }
    for name, spec in models.items():
        run = {"spec": spec.to_dict(), "revision": "7e", "clean": True, "code": "c"}
        files.write_json(folder / name / "run.json", run)
        files.write_text(folder / name / "scores.csv", "seed\n")
    files.write_json(folder / "tables/facts.json", catalog.facts("smoke"))
    return folder


def error_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    return str(caught.value)


@pytest.mark.parametrize("command", ["archive", "record"])
@pytest.mark.parametrize("part", ["arith", "linalg", "tables"])
def test_results_of_another_configuration_are_refused(results, tmp_path, command, part):
    for other in {"arith", "linalg", "tables"} - {part}:
        shutil.rmtree(results / other)
    out = tmp_path / "out"
    place = [out] if command == "archive" else ["--record", out]
    message = error_of(command, results, *place)
    assert "made with other settings than those of the configuration: " in message
    expected = {
        "arith": "schedule.batch: expected 16, found 8",
        "linalg": "schedule.examples: expected 640, found 320",
        "tables": "study.recipes.base.schedule.examples",
    }
    assert expected[part] in message
    assert "with --config" in message
    assert not out.exists()


def test_the_archive_of_another_configuration_contains_it(results, mine, tmp_path):
    out, unpacked = tmp_path / "out", tmp_path / "unpacked"
    cli.main(["archive", str(results), str(out), "--config", str(mine)])
    cli.main(["unpack", str(out), str(unpacked)])
    expected = merge(strict_yaml.read(CONFIG), strict_yaml.read(mine))
    found = files.read_json(unpacked / archive.CONFIG)
    smoke = found["scales"]["smoke"]
    assert smoke["linalg"] == expected["scales"]["smoke"]["linalg"]
    assert (
        smoke["arith"]["schedule"] == expected["scales"]["smoke"]["arith"]["schedule"]
    )
    assert found["compute"] == expected["compute"]


def test_a_record_of_another_configuration_is_not_typeset(results, mine, tmp_path):
    record = {"record": {"scales": ["smoke"], "folder": str(results)}}
    config, out = tmp_path / "config.json", tmp_path / "facts.json"
    config.write_text(json.dumps(merge(strict_yaml.read(CONFIG), record)), "utf-8")
    message = error_of("facts", "record", out, "--config", config)
    assert "made with other settings" in message
    whole = merge(strict_yaml.read(CONFIG), strict_yaml.read(mine))
    config.write_text(json.dumps(merge(whole, record)), "utf-8")
    cli.main(["facts", "record", str(out), "--config", str(config)])
    assert files.read_json(out)["scale"] == "record"


def test_a_record_without_models_is_not_typeset(tmp_path):
    record = {"record": {"scales": ["smoke"], "folder": str(tmp_path)}}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(merge(strict_yaml.read(CONFIG), record)), "utf-8")
    message = error_of("facts", "record", tmp_path / "out", "--config", config)
    assert f"{tmp_path}: no model is recorded here; run `mathprobe record" in message


@pytest.mark.parametrize("name", ["mine.yaml", "in/a/folder/mine.yaml"])
@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_configuration_file_is_found_wherever_it_is(
    mine, tmp_path, capsys, monkeypatch, command, name
):
    for part in ("config", "paper/published"):
        shutil.copytree(part, tmp_path / "project" / part)
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(mine, name)
    target = "results/smoke" + "/paper.pdf" * (command == "plan")
    rate = ["--flops-per-second", "1e9"] if command == "plan" else []
    outputs = []
    for arguments in (["--config", name], []):
        cli.main([command, target, *rate, *arguments])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] != outputs[1] or command == "status"
