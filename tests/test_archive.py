import contextlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from synthetic import CATALOG

from mathprobe import archive, cli, files
from mathprobe.catalog import RECORD, Catalog
from mathprobe.errors import InputError
from mathprobe.paths import UNFINISHED

MODEL = "linalg/eigenvalues/laplace/n5/base"
SPEC = CATALOG.model("paper", "eigenvalues", "laplace", 5, "base").to_dict()
EXCLUDED = (
    "model.safetensors",
    "predictions.npz",
    "examples.npz",
    "state/progress.json",
)
EXCLUDED += ("state/done/run", "state/done/sums.json")
INCLUDED = ("curve.csv", "in_distribution.npz", "run.json", "scores.csv")
CONFIG = {
    "default_scale": "demo",
    "scales": {"paper": {"arith": {"models": "here.tsv", "steps": 1}}, "as_coded": {}},
}
RECORDED = SimpleNamespace(config=CONFIG, recorded_scales=["paper"])
TABLES = ["arith_models/as_coded.tsv", "arith_models/paper.tsv"]


@pytest.fixture
def results(tmp_path):
    def make(model=MODEL, leave=(), **run):
        folder = tmp_path / "paper" / model
        for name in {*INCLUDED, *EXCLUDED} - set(leave):
            files.write_text(folder / name, name)
        if "run.json" not in leave:
            facts = {
                "revision": "7e10",
                "clean": True,
                "spec": SPEC,
                "code": "c0",
            } | run
            files.write_json(folder / "run.json", facts)
        return tmp_path / "paper"

    return make


@pytest.fixture
def tables(tmp_path):
    """Two scales share a table of decoders; the archive has a copy for each."""
    path = tmp_path / "models.tsv"
    files.write_text(path, "operation\n")
    (tmp_path / "other name").hardlink_to(path)
    return {"paper": path, "as_coded": path}


@pytest.fixture
def packed(results, tables, tmp_path):
    out = tmp_path / "out.tar.zst"
    archive.pack(results(), out, CONFIG, tables, weights=False)
    return out


def names(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def test_a_record_has_metrics_but_no_weights(results, tmp_path, capsys):
    cli.main(["record", str(results()), "--record", str(tmp_path / "record")])
    assert names(tmp_path / "record") == [
        *(f"{MODEL}/{n}" for n in INCLUDED),
        "manifest.json",
    ]
    recorded, advice = capsys.readouterr().out.splitlines()
    assert recorded == str(tmp_path / "record" / MODEL)
    assert advice == "mathprobe readme updates the findings in README.md"


def test_models_are_added_to_a_record_and_its_manifest(results, tmp_path):
    record = tmp_path / "record"
    archive.add_to_record(results("linalg/a"), record, RECORDED)
    archive.add_to_record(results("linalg/b"), record, RECORDED)
    manifest = archive.verify(record)
    assert list(manifest["models"]) == ["linalg/a", "linalg/b"]
    assert manifest["models"]["linalg/a"]["code"] == "c0"
    assert (manifest["scales"], manifest["config"]) == (["paper"], CONFIG)


@pytest.mark.parametrize("missing", ["run.json", "scores.csv"])
def test_unfinished_models_are_not_recorded(results, tmp_path, missing):
    assert (
        archive.add_to_record(results(leave=[missing]), tmp_path / "record", RECORDED)
        == []
    )
    assert not (tmp_path / "record").exists()


def begin(results, model, **run):
    """Return the results with a training that is not finished."""
    state = results(model, leave=INCLUDED) / model / "state"
    facts = {"revision": "7e10", "clean": True, "spec": SPEC, "code": "c0"} | run
    files.write_json(state / UNFINISHED, facts)
    files.write_text(state / "curve.csv", "so far")
    return state.parents[len(Path(model).parts)]


def test_an_unfinished_model_is_recorded_only_on_request(results, tmp_path):
    record, folder = tmp_path / "record", begin(results, "linalg/a")
    assert archive.add_to_record(folder, record, RECORDED) == []
    archive.add_to_record(folder, record, RECORDED, unfinished=True)
    assert names(record / "linalg/a") == ["curve.csv", UNFINISHED]
    assert list(archive.verify(record)["models"]) == ["linalg/a"]


def test_a_finished_model_replaces_the_unfinished_one(results, tmp_path):
    record = tmp_path / "record"
    archive.add_to_record(begin(results, MODEL), record, RECORDED, unfinished=True)
    archive.add_to_record(results(), record, RECORDED, unfinished=True)
    assert names(record / MODEL) == sorted(INCLUDED)
    archive.verify(record)


def test_a_model_that_is_trained_again_leaves_no_file_of_the_earlier_one(
    results, tmp_path
):
    record = tmp_path / "record"
    archive.add_to_record(results(), record, RECORDED)
    (tmp_path / "paper" / MODEL / "in_distribution.npz").unlink()
    archive.add_to_record(tmp_path / "paper", record, RECORDED)
    assert names(record / MODEL) == sorted({*INCLUDED} - {"in_distribution.npz"})
    archive.verify(record)


def test_an_unfinished_model_does_not_replace_a_finished_one(results, tmp_path):
    record = tmp_path / "record"
    archive.add_to_record(results(), record, RECORDED)
    shutil.rmtree(tmp_path / "paper")
    folder = begin(results, MODEL)
    with pytest.raises(InputError, match=r"not finished, but .* is a finished model"):
        archive.add_to_record(folder, record, RECORDED, unfinished=True)
    assert names(record / MODEL) == sorted(INCLUDED)


def test_an_unfinished_model_of_uncommitted_code_is_rejected(results, tmp_path):
    folder = begin(results, "linalg/a", clean=False)
    with pytest.raises(InputError, match="trained with uncommitted code"):
        archive.add_to_record(folder, tmp_path / "record", RECORDED, unfinished=True)


def test_an_archive_has_no_unfinished_models(results, tmp_path):
    results()
    folder = begin(results, "linalg/a")
    manifest = archive.pack(folder, tmp_path / "out", CONFIG, {}, weights=False)
    assert list(manifest["models"]) == [MODEL]


def test_only_the_scales_of_the_configuration_are_recorded(tmp_path):
    with pytest.raises(SystemExit, match=r"record.scales: unknown scale 'demo'"):
        cli.main(["record", str(tmp_path / "demo"), "--record", str(tmp_path / "r")])


@pytest.mark.parametrize("run", [{"clean": False}, {"revision": None, "clean": None}])
def test_models_of_uncommitted_code_are_rejected(results, tmp_path, run):
    results("linalg/a")
    folder = results("linalg/b", **run)
    with pytest.raises(
        InputError, match="paper/linalg/b: trained with uncommitted code"
    ):
        archive.add_to_record(folder, tmp_path / "record", RECORDED)
    assert not (tmp_path / "record").exists()


def test_an_archive_is_unpacked_and_verified(packed, tmp_path):
    manifest = archive.unpack(packed, tmp_path / "unpacked")
    model = tmp_path / "unpacked" / MODEL
    assert names(model) == sorted(INCLUDED)
    assert (model / "scores.csv").read_text() == "scores.csv"
    assert list(manifest["files"]) == [
        *TABLES,
        *(f"{MODEL}/{name}" for name in INCLUDED),
    ]


def test_an_unpacked_archive_has_its_configuration(packed, tmp_path):
    unpacked = tmp_path / "unpacked"
    archive.unpack(packed, unpacked)
    config = files.read_json(unpacked / archive.CONFIG)
    assert config["default_scale"] == "record"
    assert config["record"] == {"scales": ["paper"], "folder": str(unpacked)}
    assert config["scales"] == {
        "paper": {"arith": {"models": str(unpacked / TABLES[1]), "steps": 1}},
        "as_coded": {"arith": {"models": str(unpacked / TABLES[0])}},
    }


def test_an_archive_without_tables_uses_the_tables_of_the_project(results, tmp_path):
    archive.pack(results(), tmp_path / "older", CONFIG, {}, weights=False)
    archive.unpack(tmp_path / "older", tmp_path / "unpacked")
    config = files.read_json(tmp_path / "unpacked" / archive.CONFIG)
    assert config["scales"] == CONFIG["scales"]


def test_an_archive_uses_its_own_tables(results, catalog, tmp_path):
    out, unpacked = tmp_path / "out", tmp_path / "unpacked"
    cli.main(["archive", str(results()), str(out)])
    cli.main(["unpack", str(out), str(unpacked)])
    for table in ("", "_demo", "_smoke"):
        files.write_text(
            tmp_path / f"config/arith_models{table}.tsv", "of another clone"
        )
    config = files.read_json(unpacked / archive.CONFIG)
    read = Catalog(config, tmp_path)
    for scale in catalog.scales:
        assert read.arith(scale).rows == catalog.arith(scale).rows
    assert read.arith(RECORD).rows == catalog.arith("paper").rows


def test_weights_are_optional(results, tmp_path):
    archive.pack(results(), tmp_path / "w", CONFIG, {}, weights=True)
    archive.unpack(tmp_path / "w", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / MODEL / archive.WEIGHTS).exists()


def test_equal_results_give_bitwise_identical_archives(
    results, tables, packed, tmp_path
):
    archive.pack(results(), tmp_path / "again", CONFIG, tables, weights=False)
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()


def test_unpacking_replaces_the_folder(results, packed, tmp_path):
    unpacked = tmp_path / "unpacked"
    archive.pack(results("linalg/b"), tmp_path / "both", CONFIG, {}, weights=False)
    archive.unpack(tmp_path / "both", unpacked)
    archive.unpack(packed, unpacked)
    assert not (unpacked / "linalg/b").exists()


def test_results_without_a_model_are_rejected(tmp_path):
    with pytest.raises(InputError, match="there is no trained and tested model"):
        archive.pack(tmp_path, tmp_path / "out", CONFIG, {}, weights=False)


def test_a_damaged_archive_is_rejected_and_leaves_no_files(packed, tmp_path):
    whole = packed.read_bytes()
    content = decompressed(whole)
    for at in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        if decompressed(damaged) != content:  # some bits do not affect the content
            packed.write_bytes(damaged)
            error_of(packed, tmp_path)


def decompressed(compressed):
    """Return the content without verification."""
    with contextlib.suppress(zstandard.ZstdError):
        return zstandard.ZstdDecompressor().stream_reader(bytes(compressed)).read()


@pytest.mark.parametrize("end", [0, 200, -4, -1])
def test_a_truncated_archive_is_rejected(packed, tmp_path, end):
    packed.write_bytes(packed.read_bytes()[:end])
    error_of(packed, tmp_path)


def test_an_extended_archive_is_rejected(packed, tmp_path):
    packed.write_bytes(packed.read_bytes() + b"x")
    error_of(packed, tmp_path)


def error_of(path, tmp_path):
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        archive.unpack(path, tmp_path / "unpacked")
    assert set(tmp_path.iterdir()) == before
    return str(caught.value)


def written(path, members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as out:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(data, tarfile.TarInfo) else data.encode()
            info.size = len(body)
            out.addfile(info, io.BytesIO(body))
    path.write_bytes(zstandard.compress(content.getvalue()))
    return path


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_a_path_outside_of_the_archive_is_rejected(tmp_path, name):
    message = error_of(written(tmp_path / "bad", {name: "x"}), tmp_path)
    assert "is not a file below the archive's root" in message


def test_an_invalid_file_name_is_rejected(tmp_path):
    name = tarfile.TarInfo("a")
    name.pax_headers = {"path": "a\0b"}
    assert "damaged" in error_of(written(tmp_path / "bad", {"a": name}), tmp_path)


def test_a_link_is_rejected(tmp_path):
    link = tarfile.TarInfo("linalg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    message = error_of(written(tmp_path / "bad", {"linalg": link}), tmp_path)
    assert "is not a file" in message


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "manifest.json is missing"),
        ({"format": 99}, "format 99 is not supported, only 2"),
        (["x"], "format None is not supported, only 2"),
        ({"format": 2, "scales": ["demo"]}, "missing keys: config, files"),
        (
            {
                "format": 2,
                "scales": [],
                "config": {},
                "files": {"linalg/a/run.json": "0"},
            },
            "run.json is missing",
        ),
    ],
)
def test_an_invalid_manifest_is_rejected(tmp_path, manifest, message):
    members = {"readme": "x"}
    if manifest is not None:
        members[archive.MANIFEST] = json.dumps(manifest)
    assert message in error_of(written(tmp_path / "bad", members), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.write_text("1"), "paper.tsv differs"),
        (lambda table: table.unlink(), "paper.tsv is missing"),
        (lambda table: table.with_name("new.tsv").write_text("1"), "not in the manif"),
    ],
)
def test_tables_are_compared_with_the_manifest(packed, tmp_path, change, message):
    archive.unpack(packed, tmp_path / "unpacked")
    change(tmp_path / "unpacked" / TABLES[1])
    with pytest.raises(InputError, match=message):
        archive.verify(tmp_path / "unpacked")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda model: (model / "scores.csv").write_text("1"),
            "differs from the manifest",
        ),
        (lambda model: (model / "curve.csv").unlink(), "curve.csv is missing"),
        (lambda model: (model / "new.csv").write_text("1"), "not in the manifest"),
    ],
)
def test_a_record_is_compared_with_its_manifest(results, tmp_path, change, message):
    archive.add_to_record(results(), tmp_path / "record", RECORDED)
    change(tmp_path / "record" / MODEL)
    with pytest.raises(InputError, match=message):
        archive.verify(tmp_path / "record")
