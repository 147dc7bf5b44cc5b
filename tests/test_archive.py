import contextlib
import io
import json
import tarfile

import pytest
import zstandard
from synthetic import PROJECT

from mathprobe import archive, cli, files
from mathprobe.catalog import RECORD, Catalog
from mathprobe.errors import InputError

MODEL = "linalg/eigenvalues/laplace/n5/base"
LEFT = ("model.safetensors", "predictions.npz", "examples.npz", "state/progress.json")
LEFT += ("state/done/run", "state/done/sums.json")
KEPT = ("curve.csv", "home.npz", "run.json", "scores.csv")
CONFIG = {
    "default_scale": "demo",
    "scales": {"paper": {"arith": {"models": "here.tsv", "steps": 1}}, "as_coded": {}},
}
CARRIED = ["arith_models/as_coded.tsv", "arith_models/paper.tsv"]


@pytest.fixture
def results(tmp_path):
    def made(model=MODEL, leave=(), **run):
        folder = tmp_path / "paper" / model
        for name in {*KEPT, *LEFT} - set(leave):
            files.write_text(folder / name, name)
        if "run.json" not in leave:
            facts = {"revision": "7e10", "clean": True, "spec": {}, "code": "c0", **run}
            files.write_json(folder / "run.json", facts)
        return tmp_path / "paper"

    return made


@pytest.fixture
def tables(tmp_path):
    """Two scales share a table of decoders; their archive shall not."""
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


def test_metrics_are_kept_and_weights_are_not(results, tmp_path, capsys):
    cli.main(["record", str(results()), "--record", str(tmp_path / "kept")])
    assert names(tmp_path / "kept") == [
        *(f"{MODEL}/{n}" for n in KEPT),
        "manifest.json",
    ]
    assert capsys.readouterr().out == f"{tmp_path / 'kept' / MODEL}\n"


def test_a_record_grows_and_its_manifest_tells_of_all(results, tmp_path):
    kept = tmp_path / "kept"
    archive.add_to_record(results("linalg/a"), kept, CONFIG)
    archive.add_to_record(results("linalg/b"), kept, CONFIG)
    told = archive.verify(kept)
    assert list(told["models"]) == ["linalg/a", "linalg/b"]
    assert told["models"]["linalg/a"]["code"] == "c0"
    assert (told["scale"], told["config"]) == ("paper", CONFIG)


@pytest.mark.parametrize("missing", ["run.json", "scores.csv"])
def test_what_is_not_finished_is_left(results, tmp_path, missing):
    assert (
        archive.add_to_record(results(leave=[missing]), tmp_path / "kept", CONFIG) == []
    )
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("run", [{"clean": False}, {"revision": None, "clean": None}])
def test_what_nobody_can_make_again_is_refused(results, tmp_path, run):
    results("linalg/a")
    folder = results("linalg/b", **run)
    with pytest.raises(InputError, match="paper/linalg/b: made by code that is in no"):
        archive.add_to_record(folder, tmp_path / "kept", CONFIG)
    assert not (tmp_path / "kept").exists()


def test_what_was_packed_is_unpacked_and_verified(packed, tmp_path):
    told = archive.unpack(packed, tmp_path / "there")
    shown = tmp_path / "there" / MODEL
    assert names(shown) == sorted(KEPT)
    assert (shown / "scores.csv").read_text() == "scores.csv"
    assert list(told["files"]) == [*CARRIED, *(f"{MODEL}/{name}" for name in KEPT)]


def test_an_unpacked_archive_has_the_configuration_that_typesets_it(packed, tmp_path):
    there = tmp_path / "there"
    archive.unpack(packed, there)
    config = files.read_json(there / archive.CONFIG)
    assert config["default_scale"] == "record"
    assert config["record"] == {"scale": "paper", "folder": str(there)}
    assert config["scales"] == {
        "paper": {"arith": {"models": str(there / CARRIED[1]), "steps": 1}},
        "as_coded": {"arith": {"models": str(there / CARRIED[0])}},
    }


def test_an_archive_without_tables_is_shown_by_those_that_are_there(results, tmp_path):
    archive.pack(results(), tmp_path / "older", CONFIG, {}, weights=False)
    archive.unpack(tmp_path / "older", tmp_path / "there")
    config = files.read_json(tmp_path / "there" / archive.CONFIG)
    assert config["scales"] == CONFIG["scales"]


def test_where_the_tables_differ_an_archive_shows_its_own(results, catalog, tmp_path):
    out, there = tmp_path / "out", tmp_path / "there"
    cli.main(["archive", str(results()), str(out)])
    cli.main(["unpack", str(out), str(there)])
    for table in ("", "_demo", "_smoke"):
        files.write_text(
            tmp_path / f"config/arith_models{table}.tsv", "of another clone"
        )
    config = files.read_json(there / archive.CONFIG)
    unpacked = Catalog(config, tmp_path)
    for scale in catalog.scales:
        assert unpacked.arith(scale).rows == catalog.arith(scale).rows
    assert unpacked.arith(RECORD).rows == catalog.arith("paper").rows


def test_weights_are_packed_when_asked_for(results, tmp_path):
    archive.pack(results(), tmp_path / "w", CONFIG, {}, weights=True)
    archive.unpack(tmp_path / "w", tmp_path / "there")
    assert (tmp_path / "there" / MODEL / archive.WEIGHTS).exists()


def test_equal_results_give_equal_archives(results, tables, packed, tmp_path):
    archive.pack(results(), tmp_path / "again", CONFIG, tables, weights=False)
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()


def test_an_unpacked_archive_replaces_the_one_before(results, packed, tmp_path):
    there = tmp_path / "there"
    archive.pack(results("linalg/b"), tmp_path / "both", CONFIG, {}, weights=False)
    archive.unpack(tmp_path / "both", there)
    archive.unpack(packed, there)
    assert not (there / "linalg/b").exists()


def test_results_without_a_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="no model is trained"):
        archive.pack(tmp_path, tmp_path / "out", CONFIG, {}, weights=False)


def test_an_archive_that_is_damaged_anywhere_is_refused_and_nothing_is_left(
    packed, tmp_path
):
    whole = packed.read_bytes()
    content = decompressed(whole)
    for at in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        if decompressed(damaged) != content:  # some bits do not matter
            packed.write_bytes(damaged)
            refused(packed, tmp_path)


def decompressed(compressed):
    """Give what can be read, unchecked."""
    with contextlib.suppress(zstandard.ZstdError):
        return zstandard.ZstdDecompressor().stream_reader(bytes(compressed)).read()


@pytest.mark.parametrize("end", [0, 200, -4, -1])
def test_an_archive_that_is_cut_is_refused(packed, tmp_path, end):
    packed.write_bytes(packed.read_bytes()[:end])
    refused(packed, tmp_path)


def test_an_archive_that_goes_on_is_refused(packed, tmp_path):
    packed.write_bytes(packed.read_bytes() + b"x")
    refused(packed, tmp_path)


def refused(path, tmp_path):
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as said:
        archive.unpack(path, tmp_path / "there")
    assert set(tmp_path.iterdir()) == before
    return str(said.value)


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
def test_a_path_that_points_outside_is_refused(tmp_path, name):
    said = refused(written(tmp_path / "bad", {name: "x"}), tmp_path)
    assert "is no plain file below the archive" in said


def test_a_name_that_no_disk_can_have_is_refused(tmp_path):
    name = tarfile.TarInfo("a")
    name.pax_headers = {"path": "a\0b"}
    assert "damaged" in refused(written(tmp_path / "bad", {"a": name}), tmp_path)


def test_a_link_is_refused(tmp_path):
    link = tarfile.TarInfo("linalg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    said = refused(written(tmp_path / "bad", {"linalg": link}), tmp_path)
    assert "is no plain file" in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "no manifest.json"),
        ({"format": 99}, "format 99; known is 1"),
        (["x"], "format None; known is 1"),
        ({"format": 1, "scale": "demo"}, "it has no config, no files"),
        (
            {
                "format": 1,
                "scale": "",
                "config": {},
                "files": {"linalg/a/run.json": "0"},
            },
            "run.json is missing",
        ),
    ],
)
def test_a_foreign_archive_is_refused(tmp_path, told, said):
    members = {"readme": "x"}
    if told is not None:
        members[archive.MANIFEST] = json.dumps(told)
    assert said in refused(written(tmp_path / "bad", members), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.write_text("1"), "paper.tsv is not what"),
        (lambda table: table.unlink(), "paper.tsv is missing"),
        (lambda table: table.with_name("new.tsv").write_text("1"), "not in the manif"),
    ],
)
def test_a_table_is_held_against_the_manifest(packed, tmp_path, change, said):
    archive.unpack(packed, tmp_path / "there")
    change(tmp_path / "there" / CARRIED[1])
    with pytest.raises(InputError, match=said):
        archive.verify(tmp_path / "there")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: (model / "scores.csv").write_text("1"), "is not what"),
        (lambda model: (model / "curve.csv").unlink(), "curve.csv is missing"),
        (lambda model: (model / "new.csv").write_text("1"), "not in the manifest"),
    ],
)
def test_a_record_is_held_against_its_manifest(results, tmp_path, change, said):
    archive.add_to_record(results(), tmp_path / "kept", CONFIG)
    change(tmp_path / "kept" / MODEL)
    with pytest.raises(InputError, match=said):
        archive.verify(tmp_path / "kept")


def test_the_record_of_the_project_is_what_its_manifest_says():
    record = PROJECT / "paper" / "record"
    recorded = [path.parent for path in record.rglob("run.json")]
    told = archive.verify(record)["models"] if recorded else {}
    assert sorted(told) == sorted(str(path.relative_to(record)) for path in recorded)
