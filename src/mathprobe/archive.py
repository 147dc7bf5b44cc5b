"""Records and archives: metrics that suffice to rebuild tables, figures and the PDF.

A record is a folder with the metrics of models and a manifest.  An archive is a record
in one compressed file.  It also has the tables of decoders of its configuration, and
optionally the weights.
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

from mathprobe import files, paths, provenance
from mathprobe.catalog import RECORD, Catalog
from mathprobe.errors import InputError
from mathprobe.settings import merge
from mathprobe.structs import flatten

MANIFEST = "manifest.json"
CONFIG = "config.json"  # of an unpacked archive; see `_record_config`
TABLES = "arith_models"  # folder with the table of decoders of each scale
FORMAT = 2
REQUIRED_KEYS = ("scales", "config", "files")  # of a manifest
# Ends of the names of files in a record.
SUFFIXES = (".json", ".csv", "in_distribution.npz", "panels.npz")
WEIGHTS = "model.safetensors"
TEST_RESULTS = ("scores.csv", "accuracy.csv")  # a tested model has one of them
STATE = "state"  # folder of checkpoints and saved outputs
BLOCK = 1 << 20  # bytes

Manifest = dict[str, Any]


def finished_models(results: Path) -> Iterator[Path]:
    """Yield the folders of trained and tested models."""
    for run in sorted(results.rglob(paths.RUN)):
        if any((run.parent / name).exists() for name in TEST_RESULTS):
            yield run.parent


def recorded_models(root: Path) -> list[Path]:
    """Return the folders of all models, unfinished ones of a record included."""
    unfinished = [path.parent for path in sorted(root.rglob(paths.UNFINISHED))]
    kept = [folder for folder in unfinished if folder.name != STATE]
    return [*finished_models(root), *kept]


def running_models(results: Path) -> list[Path]:
    """Return the folders of trainings that have begun but not finished."""
    begun = [path.parents[1] for path in results.rglob(f"{STATE}/{paths.UNFINISHED}")]
    return [folder for folder in sorted(begun) if not (folder / paths.RUN).exists()]


def model_files(model: Path, weights: bool = False) -> list[Path]:
    """Return the files of a model that belong to a record."""
    suffixes = (*SUFFIXES, WEIGHTS) if weights else SUFFIXES
    return sorted(
        path
        for path in model.rglob("*")
        if path.is_file()
        and path.name.endswith(suffixes)
        and STATE not in path.relative_to(model).parts
    )


def _files(root: Path, weights: bool = False) -> dict[str, Path]:
    """Return the files of all models, by their paths relative to a root."""
    found = (
        path for model in recorded_models(root) for path in model_files(model, weights)
    )
    return {path.relative_to(root).as_posix(): path for path in found}


def check_settings(
    root: Path, scale: str, catalog: Catalog, unfinished: bool = False
) -> None:
    """Raise InputError if models or tables have other settings.

    `root` is the folder of the results of a scale, or of the record (scale `record`).
    `unfinished` includes the models that are still trained.
    """
    running = running_models(root) if unfinished else []
    for folder in [*recorded_models(root), *(one / STATE for one in running)]:
        model = folder.parent if folder.name == STATE else folder
        path = Path(
            paths.RESULTS.format(scale=scale), model.relative_to(root), paths.RUN
        )
        _, names = paths.parse(path.as_posix(), catalog.names)
        del names["file"], names["scale"]
        study = catalog.arith(scale) if "model" in names else catalog.linalg(scale)
        found = files.read_json(paths.run_file(folder))["spec"]
        if differences := study.model(*names.values()).differences(found):
            raise _other_settings(folder, differences)
    facts = root / "tables" / "facts.json"
    if scale != RECORD and facts.exists():
        found, expected = map(flatten, (files.read_json(facts), catalog.facts(scale)))
        differing = [key for key in expected if found.get(key) != expected[key]]
        if differing:
            raise _other_settings(facts, differing)


def check_record(catalog: Catalog) -> None:
    """Raise InputError if the record has no models, or models of other settings."""
    if not recorded_models(catalog.record):
        raise InputError(
            f"{catalog.record}: no model is recorded here; run `mathprobe record "
            f"results/{catalog.recorded_scales[0]}`, or correct record.folder"
        )
    check_settings(catalog.record, RECORD, catalog)


def _other_settings(path: Path, differences: list[str]) -> InputError:
    """Return the error for results that another configuration made."""
    return InputError(
        f"{path}: made with other settings than those of the configuration: "
        f"{', '.join(differences[:3])}; pass the files of `snakemake --configfile` "
        "with --config, or make the results again"
    )


def make_manifest(
    contents: Mapping[str, Path], scales: list[str], config: Any
) -> Manifest:
    """Return a manifest: checksums of files, digests of the code, models, revision."""
    runs = {
        PurePosixPath(name).parent: path
        for name, path in contents.items()
        if PurePosixPath(name).name in (paths.RUN, paths.UNFINISHED)
    }
    return {
        "format": FORMAT,
        "scales": scales,
        "config": config,
        "code": provenance.code_digests(),
        **provenance.revision(),
        "models": {
            folder.as_posix(): _model(files.read_json(run))
            for folder, run in sorted(runs.items())
        },
        "files": {name: files.checksum(path) for name, path in contents.items()},
    }


def _model(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("spec", "code", "revision", "clean")}


def add_to_record(
    results: Path, record: Path, catalog: Catalog, unfinished: bool = False
) -> list[Path]:
    """Copy the files of models to a record; return the new folders.

    A model that is not finished, if requested, has only `unfinished.json`, which is its
    run.json so far, and its learning curve.  The files of a model that was recorded
    earlier are replaced.  Raises InputError, and copies nothing, if a model was trained
    with uncommitted code, because it is not reproducible, or if an unfinished model
    would replace a finished one.
    """
    running = running_models(results) if unfinished else []
    folders = [*finished_models(results), *(folder / STATE for folder in running)]
    for folder in folders:
        run = files.read_json(paths.run_file(folder))
        if not (run["revision"] and run["clean"]):
            raise InputError(
                f"{folder}: trained with uncommitted code "
                f"(revision {run['revision']}, clean {run['clean']}, "
                f"problem of git: {run.get('revision_problem') or 'none'}); "
                "commit, remove the folder and train again"
            )
    models = [one.parent if one.name == STATE else one for one in folders]
    targets = [record / model.relative_to(results) for model in models]
    for folder, target in zip(folders, targets, strict=True):
        if folder.name == STATE and (target / paths.RUN).exists():
            raise InputError(
                f"{folder}: not finished, but {target} is a finished model; remove it "
                "from the record first"
            )
    for folder, target in zip(folders, targets, strict=True):
        parts = [folder / name for name in (paths.UNFINISHED, "curve.csv")]
        new = parts if folder.name == STATE else model_files(folder)
        _replace_files(target, {path.relative_to(folder): path for path in new})
    if folders:
        scales = catalog.recorded_scales
        manifest = make_manifest(_files(record), scales, catalog.config)
        files.write_json(record / MANIFEST, manifest)
    return targets


def _replace_files(target: Path, sources: Mapping[Path, Path]) -> None:
    """Copy files to a folder, by their paths in it, and remove all others."""
    for name, source in sources.items():
        files.write_bytes(target / name, source.read_bytes())
    for path in [*target.rglob("*")]:
        if path.is_file() and path.relative_to(target) not in sources:
            path.unlink()


def verify(record: Path) -> Manifest:
    """Compare all files of a record with its manifest, and return the manifest.

    Raises DamagedFile if a file is missing, changed, or not in the manifest.
    """
    manifest = _read_manifest(record / MANIFEST)
    tables = {f"{TABLES}/{path.name}": path for path in (record / TABLES).glob("*.tsv")}
    found = {**_files(record, weights=True), **tables}
    for name in sorted(found.keys() ^ manifest["files"].keys()):
        problem = "not in the manifest" if name in found else "missing"
        raise files.DamagedFile(f"{record}: {name} is {problem}")
    for name, path in sorted(found.items()):
        if files.checksum(path) != manifest["files"][name]:
            raise files.DamagedFile(f"{record}: {name} differs from the manifest")
    return manifest


def _read_manifest(path: Path) -> Manifest:
    if not path.exists():
        raise InputError(f"{path.parent}: not a record, because {MANIFEST} is missing")
    manifest = files.read_json(path)
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise InputError(f"{path}: format {version!r} is not supported, only {FORMAT}")
    if missing := [key for key in REQUIRED_KEYS if key not in manifest]:
        raise InputError(
            f"{path}: missing keys: {', '.join(missing)}; pack or record again"
        )
    return manifest


def pack(
    results: Path, out: Path, config: Any, tables: Mapping[str, Path], weights: bool
) -> Manifest:
    """Write an archive of all finished models of a scale; return its manifest.

    `tables` has the table of decoders of every scale, because reading the configuration
    needs all of them.  Equal files give bitwise identical archives.  Raises InputError
    if no model is finished.
    """
    contents = _files(results, weights)
    if not contents:
        raise InputError(f"{results}: there is no trained and tested model")
    contents |= {f"{TABLES}/{scale}.tsv": path for scale, path in tables.items()}
    manifest = make_manifest(contents, [results.name], config)
    with _temporary_sibling(out) as folder:
        files.write_json(folder / MANIFEST, manifest)
        with _open_archive(folder / "archive", "w") as archive:
            archive.add(folder / MANIFEST, MANIFEST, filter=_anonymize)
            for name, path in contents.items():
                archive.add(path, name, recursive=False, filter=_anonymize)
        os.replace(folder / "archive", out)
    return manifest


def _anonymize(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove owner and time of a file, and set its mode to 644."""
    member.mtime, member.mode = 0, 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@contextmanager
def _temporary_sibling(path: Path) -> Iterator[Path]:
    """Create a temporary folder next to a path, so that a rename is atomic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        yield Path(folder)


@contextmanager
def _open_archive(path: Path, mode: Literal["r", "w"]) -> Iterator[tarfile.TarFile]:
    import zstandard

    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with (
        zstandard.open(path, f"{mode}b", cctx=compressor) as stream,
        # `dereference` stores hard links as files: `unpack` refuses links.
        tarfile.open(
            fileobj=stream, mode="r|" if mode == "r" else "w|", dereference=True
        ) as archive,
    ):
        yield archive


def _check_complete(path: Path) -> None:
    """Raise EOFError for a truncated or extended file, which tarfile may accept."""
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            frame.decompress(block)
    if not frame.eof or frame.unused_data:
        raise EOFError("unexpected end of the file")


def unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack and verify an archive, then replace the folder; return the manifest.

    The folder also contains the configuration for its typesetting.  Raises InputError,
    and keeps the old folder, if the file is damaged, is not an archive, or has a member
    that is not a file below the folder.
    """
    with _temporary_sibling(folder) as temporary:
        record = temporary / "record"
        record.mkdir()
        _extract(archive, record)
        manifest = verify(record)
        files.write_json(record / CONFIG, _record_config(manifest, folder))
        if folder.exists():
            os.replace(folder, temporary / "old")
        os.replace(record, folder)
    return manifest


def _record_config(manifest: Manifest, folder: Path) -> Any:
    """Return the configuration for typesetting an unpacked archive.

    It is the archived configuration, with paths of the archived tables of decoders.
    """
    names = map(PurePosixPath, manifest["files"])
    tables = [name for name in names if name.parts[0] == TABLES]
    overrides = {
        "default_scale": "record",
        "record": {"scales": manifest["scales"], "folder": str(folder)},
        "scales": {
            name.stem: {"arith": {"models": str(folder / name)}} for name in tables
        },
    }
    return merge(manifest["config"], overrides)


def _extract(archive: Path, folder: Path) -> None:
    import zstandard

    try:
        _check_complete(archive)
        with _open_archive(archive, "r") as members:
            for member in members:
                _check(archive, member)
                _write(members.extractfile(member), folder / member.name)
    except (zstandard.ZstdError, tarfile.TarError, EOFError, ValueError) as error:
        raise files.DamagedFile(
            f"{archive}: damaged, or not an archive ({error})"
        ) from None


def _check(archive: Path, member: tarfile.TarInfo) -> None:
    name = PurePosixPath(member.name)
    if not member.isreg() or name.is_absolute() or ".." in name.parts:
        raise InputError(
            f"{archive}: member {member.name!r} is not a file below the archive's root"
        )


def _write(source: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, BLOCK)
