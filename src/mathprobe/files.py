"""Plain files, written whole or not at all, and read only if they are undamaged."""

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
from typing import Any, TextIO

import numpy as np

from mathprobe.errors import InputError

# What numpy and zipfile raise on bytes that are not what was written.
UNREADABLE = (
    *(AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
_REMEDY = "remove the file and run again to make it anew"
LOCK = "lock"  # the file that the one process in a folder holds
DIGEST = "digest"  # the array of a stored set that holds the checksum of the others


class DamagedFile(InputError):
    """A file whose content is not what was written."""


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file through a temporary neighbour; a crash leaves the old one."""
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
    """Give a file another name, or a copy where the disk has no links; one at a time.

    Files are replaced, never written in place, so that names share no later change.
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
        temporary.unlink(missing_ok=True)  # names of one file do not replace each other


def remove_temporary_files(folder: Path) -> None:
    """Remove what a killed process left half written in a folder of one writer."""
    for path in folder.glob(".*.*.tmp"):
        path.unlink()


@contextmanager
def lock_folder(folder: Path) -> Iterator[bool]:
    """Hold a folder against other processes; tell whether one had to be waited for."""
    waited = False
    try:
        lock = _lock(folder, fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{folder}: another process works here; waiting for its end", flush=True)
        lock, waited = _lock(folder, 0), True
    with lock:
        yield waited


def _lock(folder: Path, how: int) -> TextIO:
    """Lock a folder's file; `how` may be not to wait (BlockingIOError if taken)."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # The one before may remove the folder, and this file, when it is done.
        with suppress(FileNotFoundError), ExitStack() as opened:
            lock = opened.enter_context((folder / LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | how)
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
    """Read JSON; what is not JSON is named."""
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise DamagedFile(f"{path}: not JSON ({error}); make it anew") from error


def write_csv(
    path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]
) -> None:
    """Write rows as CSV: exactly these columns, None as nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def checksum(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Hash named arrays: names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def save_arrays(
    path: Path | str, arrays: Mapping[str, np.ndarray], **texts: str
) -> None:
    """Write named arrays and texts with their checksum; the same give equal bytes."""
    content = io.BytesIO()
    arrays = {**arrays, **{name: np.array(text) for name, text in texts.items()}}
    stored: dict[str, Any] = {**arrays, DIGEST: np.array(digest(arrays))}
    np.savez_compressed(content, **stored)
    write_bytes(path, content.getvalue())


def load_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read named arrays and hold them against their checksum."""
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
