"""Atomic writing of files, and reading with checks for damage."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

import numpy as np

from mathprobe.errors import InputError

# Exceptions of numpy and zipfile when they read damaged bytes.
UNREADABLE = (
    *(AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
_REMEDY = "remove the file and run again to create it"
LOCK = "lock"  # file that is locked by the process that uses a folder
DIGEST = "digest"  # stored array with the checksum of the other arrays


class DamagedFile(InputError):
    """A file cannot be read, or its checksum does not match."""


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file atomically: after a crash, it has its old or its new content."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link_or_copy(source: Path, path: Path) -> None:
    """Make a hard link to a file, or a copy if the file system has no hard links.

    Files are replaced, never modified in place, so a later change of one name does not
    affect the other.  Two processes must not link to the same path at the same time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.link.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        write_bytes(path, source.read_bytes())
    else:
        os.replace(temporary, path)
        # `replace` does nothing if both paths are links to the same file.
        temporary.unlink(missing_ok=True)


def remove_temporary_files(folder: Path) -> None:
    """Remove temporary files of a killed process; no other process may be writing."""
    for path in folder.glob(".*.*.tmp"):
        path.unlink()


@contextmanager
def lock_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder for this process; yield whether it waited for another one."""
    waited = False
    try:
        lock = _lock(folder, fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{folder}: in use by another process; waiting until it ends", flush=True)
        lock, waited = _lock(folder, 0), True
    with lock:
        yield waited


def lock_file(file: IO[str], flags: int) -> None:
    """Lock an open file; with the flag LOCK_NB, raise BlockingIOError if it is locked.

    Raises InputError if the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | flags)
    except (BlockingIOError, InterruptedError):
        raise
    except OSError as error:
        raise InputError(
            f"{file.name}: the file system has no locks (flock: {error.strerror}); ask "
            "for them (mount option `flock` on Lustre and BeeGFS, version 4 of NFS) or "
            "use another file system: link `results` there; for /tmp, set TMPDIR"
        ) from error


def _lock(folder: Path, flags: int) -> TextIO:
    """Return the locked lock file of a folder.

    With the flag LOCK_NB, raise BlockingIOError if another process has the lock.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # The previous process may remove the folder and the lock file at its end.
        with suppress(FileNotFoundError), ExitStack() as opened:
            lock = opened.enter_context((folder / LOCK).open("w", encoding="utf-8"))
            lock_file(lock, flags)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK)):
                opened.pop_all()
                return lock


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> None:
    """Write indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path | str) -> Any:
    """Return the content of a JSON file; raise DamagedFile if it is not JSON."""
    try:
        text = Path(path).read_text("utf-8")
        return json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        raise DamagedFile(f"{path}: not JSON ({error}); {_REMEDY}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary; raise ValueError for a duplicate key."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key!r} occurs twice in an object")
        values[key] = value
    return values


def write_csv(
    path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]
) -> None:
    """Write rows as CSV.  None is an empty field.

    Raises ValueError if a row has other columns.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays: of names, dtypes, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def save_arrays(
    path: Path | str, arrays: Mapping[str, np.ndarray], **texts: str
) -> None:
    """Write named arrays and texts with their checksum, as .npz.

    Equal arrays give bitwise identical files.
    """
    content = io.BytesIO()
    arrays = {**arrays, **{name: np.array(text) for name, text in texts.items()}}
    stored: dict[str, Any] = {**arrays, DIGEST: np.array(digest(arrays))}
    np.savez_compressed(content, **stored)
    write_bytes(path, content.getvalue())


def load_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Return the named arrays of a file written by `save_arrays`.

    Raises DamagedFile if the file cannot be read or its checksum does not match.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except UNREADABLE as error:
        raise DamagedFile(f"{path}: damaged ({error}); {_REMEDY}") from error
    written = str(arrays.pop(DIGEST, "missing"))
    if written != digest(arrays):
        raise DamagedFile(f"{path}: its checksum does not match; {_REMEDY}")
    return arrays
