"""A file system without locks is named before anything is trained."""

import errno
import fcntl

import pytest

from mathprobe import files, gpus
from mathprobe.errors import InputError

MISSING = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL]


@pytest.fixture(params=MISSING, ids=errno.errorcode.get)
def no_locks(request, monkeypatch):
    def fail(*_):
        raise OSError(request.param, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", fail)


def check(error, path):
    assert str(error.value).startswith(
        f"{path}: the file system has no locks (flock: Function not implemented); "
        "ask for them (mount option `flock` on Lustre"
    )


def test_a_folder_of_checkpoints_without_locks_is_refused(no_locks, tmp_path):
    with pytest.raises(InputError) as error, files.lock_folder(tmp_path / "state"):
        pass
    check(error, tmp_path / "state" / files.LOCK)


def test_a_folder_for_gpu_locks_without_locks_is_refused(
    no_locks, tmp_path, monkeypatch
):
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.raises(InputError) as error:
        gpus._try_lock("GPU-1")
    [path] = tmp_path.iterdir()
    check(error, path)
