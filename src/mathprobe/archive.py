"""What is kept of trainings: enough to rebuild every table, figure and the PDF.

A record is a folder with the metrics of models and a manifest; an archive is a record
in one compressed file, with the tables of decoders that its configuration names.
Weights are left out unless they are asked for.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mathprobe import files, provenance
from mathprobe.errors import InputError
from mathprobe.settings import merge

MANIFEST = "manifest.json"
CONFIG = "config.json"  # of an unpacked archive: what typesets it
TABLES = "arith_models"  # folder of the tables of decoders, one for each scale
FORMAT = 1
NEEDED = ("scale", "config", "files")  # of what a manifest says
KEPT = (".json", ".csv", "home.npz", "panels.npz")  # ends of names, of what is kept
WEIGHTS = "model.safetensors"
TESTED = ("scores.csv", "accuracy.csv")  # one of them is there once a model is tested
FOLDERS_LEFT = ("state",)  # of a training under way, and what it keeps when done
BLOCK = 1 << 20  # bytes

Manifest = dict[str, Any]


def finished(results: Path) -> Iterator[Path]:
    """Find the folders of models that are trained and tested, below a scale's."""
    for run in sorted(results.rglob("run.json")):
        if any((run.parent / name).exists() for name in TESTED):
            yield run.parent


def contents(model: Path, weights: bool = False) -> list[Path]:
    """List what is kept of a model."""
    suffixes = (*KEPT, WEIGHTS) if weights else KEPT
    return sorted(
        path
        for path in model.rglob("*")
        if path.is_file()
        and path.name.endswith(suffixes)
        and not set(FOLDERS_LEFT) & set(path.relative_to(model).parts)
    )


def _listed(root: Path, weights: bool = False) -> dict[str, Path]:
    """List what is kept of all finished models, by its name below a root."""
    paths = (path for model in finished(root) for path in contents(model, weights))
    return {path.relative_to(root).as_posix(): path for path in paths}


def manifest(listed: Mapping[str, Path], scale: str, config: Any) -> Manifest:
    """Describe named files: their checksums, their models, what made them."""
    named = {PurePosixPath(name): path for name, path in listed.items()}
    runs = {
        name.parent: path for name, path in named.items() if name.name == "run.json"
    }
    return {
        "format": FORMAT,
        "scale": scale,
        "config": config,
        "code": provenance.code_digests(),
        **provenance.revision(),
        "models": {
            folder.as_posix(): _model(files.read_json(run))
            for folder, run in sorted(runs.items())
        },
        "files": {name: files.checksum(path) for name, path in listed.items()},
    }


def _model(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("spec", "code", "revision", "clean")}


def add_to_record(results: Path, record: Path, config: Any) -> list[Path]:
    """Copy what is kept of every finished model to a record; give the new folders.

    Raises InputError, before anything is copied, for a model whose code is not in a
    revision: nobody could make it again.
    """
    folders = list(finished(results))
    for folder in folders:
        run = files.read_json(folder / "run.json")
        if not (run["revision"] and run["clean"]):
            raise InputError(
                f"{folder}: made by code that is in no revision "
                f"(revision {run['revision']}, clean {run['clean']}); "
                "commit, remove the folder and train anew"
            )
    for folder in folders:
        for path in contents(folder):
            files.write_bytes(record / path.relative_to(results), path.read_bytes())
    if folders:
        told = manifest(_listed(record), results.name, config)
        files.write_json(record / MANIFEST, told)
    return [record / folder.relative_to(results) for folder in folders]


def verify(record: Path) -> Manifest:
    """Hold a record against its manifest: nothing missing, changed or added."""
    told = _manifest(record / MANIFEST)
    tables = {f"{TABLES}/{path.name}": path for path in (record / TABLES).glob("*.tsv")}
    there = {**_listed(record, weights=True), **tables}
    for name in sorted(there.keys() ^ told["files"].keys()):
        what = "not in the manifest" if name in there else "missing"
        raise files.DamagedFile(f"{record}: {name} is {what}")
    for name, path in sorted(there.items()):
        if files.checksum(path) != told["files"][name]:
            raise files.DamagedFile(f"{record}: {name} is not what the manifest says")
    return told


def _manifest(path: Path) -> Manifest:
    if not path.exists():
        raise InputError(f"{path.parent}: no {MANIFEST}, so this is no record")
    told = files.read_json(path)
    form = told.get("format") if isinstance(told, dict) else None
    if form != FORMAT:
        raise InputError(f"{path}: format {form!r}; known is {FORMAT}")
    if missing := [key for key in NEEDED if key not in told]:
        lost = ", no ".join(missing)
        raise InputError(f"{path}: it has no {lost}; pack or record the results anew")
    return told


def pack(
    results: Path, out: Path, config: Any, tables: Mapping[str, Path], weights: bool
) -> Manifest:
    """Write an archive of a scale's finished models; equal files give equal bytes.

    A configuration is valid as a whole only, so every scale's table of decoders goes
    with it.
    """
    listed = _listed(results, weights)
    if not listed:
        raise InputError(f"{results}: no model is trained and tested there")
    listed |= {f"{TABLES}/{scale}.tsv": path for scale, path in tables.items()}
    told = manifest(listed, results.name, config)
    with _beside(out) as folder:
        files.write_json(folder / MANIFEST, told)
        with _compressed(folder / "archive", "w") as archive:
            archive.add(folder / MANIFEST, MANIFEST, filter=_plain)
            for name, path in listed.items():
                archive.add(path, name, recursive=False, filter=_plain)
        os.replace(folder / "archive", out)
    return told


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Forget who wrote a file, and when."""
    member.mtime, member.mode = 0, 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Open a folder next to a path, on the same disk; in the end it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as made:
        yield Path(made)


@contextmanager
def _compressed(path: Path, mode: Literal["r", "w"]) -> Iterator[tarfile.TarFile]:
    import zstandard

    checked = zstandard.ZstdCompressor(write_checksum=True)
    with (
        zstandard.open(path, f"{mode}b", cctx=checked) as stream,
        # Files, not links to files: these are refused when they come back.
        tarfile.open(
            fileobj=stream, mode="r|" if mode == "r" else "w|", dereference=True
        ) as archive,
    ):
        yield archive


def _check_whole(path: Path) -> None:
    """Refuse what is cut, or longer than it was; tar does not read to the end."""
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            frame.decompress(block)
    if not frame.eof or frame.unused_data:
        raise EOFError("it does not end where it should")


def unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack and verify an archive; what stood in the folder gives way only to a whole.

    Beside the record lies the configuration that typesets it.  Raises InputError for
    what is damaged, is no archive, or has a member that is no file below the folder.
    """
    with _beside(folder) as near:
        made = near / "record"
        made.mkdir()
        _extract(archive, made)
        told = verify(made)
        files.write_json(made / CONFIG, _config(told, folder))
        if folder.exists():
            os.replace(folder, near / "old")
        os.replace(made, folder)
    return told


def _config(told: Manifest, folder: Path) -> Any:
    """Give the configuration that shows an archive, by its own tables of decoders."""
    tables = [name for name in told["files"] if PurePosixPath(name).parts[0] == TABLES]
    shown = {
        "default_scale": "record",
        "record": {"scale": told["scale"], "folder": str(folder)},
        "scales": {
            PurePosixPath(name).stem: {"arith": {"models": str(folder / name)}}
            for name in tables
        },
    }
    return merge(told["config"], shown)


def _extract(archive: Path, folder: Path) -> None:
    import zstandard

    try:
        _check_whole(archive)
        with _compressed(archive, "r") as members:
            for member in members:
                _check(archive, member)
                _write(members.extractfile(member), folder / member.name)
    except (zstandard.ZstdError, tarfile.TarError, EOFError, ValueError) as error:
        raise files.DamagedFile(
            f"{archive}: damaged, or no archive ({error})"
        ) from None


def _check(archive: Path, member: tarfile.TarInfo) -> None:
    name = PurePosixPath(member.name)
    if not member.isreg() or name.is_absolute() or ".." in name.parts:
        raise InputError(
            f"{archive}: member {member.name!r} is no plain file below the archive"
        )


def _write(source: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, BLOCK)
