import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe import files
from mathprobe.errors import InputError

ARRAYS = {"x": np.arange(6.0).reshape(2, 3), "name": np.array("ünï")}


def test_arrays_round_trip(tmp_path):
    files.save_arrays(tmp_path / "deep" / "a.npz", ARRAYS)
    stored = files.load_arrays(tmp_path / "deep" / "a.npz")
    assert stored.keys() == ARRAYS.keys()
    assert all(np.array_equal(stored[k], ARRAYS[k]) for k in ARRAYS)


def test_equal_arrays_give_bitwise_identical_files(tmp_path):
    for name in "ab":
        files.save_arrays(tmp_path / name, ARRAYS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def read(path):
    try:
        return files.load_arrays(path)
    except files.DamagedFile as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_detected(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "a.npz"
    files.save_arrays(path, ARRAYS)
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(data.draw(st.sampled_from([bytes(bad), good[:place]])))
    outcome = read(path)
    if isinstance(outcome, str):
        assert str(path) in outcome
        assert "to create it" in outcome
    else:  # a byte without meaning, such as one of a time stamp
        assert all(np.array_equal(outcome[k], ARRAYS[k]) for k in ARRAYS)


def test_a_replaced_array_is_detected(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(3), digest=np.array(files.digest({"x": np.zeros(3)})))
    with pytest.raises(files.DamagedFile, match="checksum"):
        files.load_arrays(path)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(files.DamagedFile):
        files.load_arrays(tmp_path / "a.npz")


def test_a_failed_write_leaves_only_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="large"):
            files.write_text(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_files_have_the_usual_permissions(tmp_path):
    files.write_text(tmp_path / "a", "")
    (tmp_path / "b").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"}
    assert len(modes) == 1


def test_csv_has_an_empty_field_for_none_and_unknown_columns_are_refused(tmp_path):
    files.write_csv(tmp_path / "a", [{"a": 1, "b": None}], ("a", "b"))
    assert (tmp_path / "a").read_text() == "a,b\n1,\n"
    with pytest.raises(ValueError, match="c"):
        files.write_csv(tmp_path / "b", [{"c": 1}], ("a",))


def test_json_is_sorted_and_invalid_json_is_refused(tmp_path):
    files.write_json(tmp_path / "a", {"b": 1, "a": 2})
    assert json.loads((tmp_path / "a").read_text()) == {"a": 2, "b": 1}
    (tmp_path / "a").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        files.read_json(tmp_path / "a")


def locking_process(folder):
    """Start a process that locks a folder until it reads a line of input."""
    code = (
        "import sys; from pathlib import Path; from mathprobe import files\n"
        f"with files.lock_folder(Path({str(folder)!r})) as waited:\n"
        "    print('waited' if waited else 'first', flush=True); input()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_folder_is_locked_by_one_process_and_the_next_one_waits(tmp_path):
    with locking_process(tmp_path / "a") as first:
        assert first.stdout.readline() == "first\n"
        with locking_process(tmp_path / "a") as second:
            assert "in use by another process" in second.stdout.readline()
            shutil.rmtree(tmp_path / "a")  # the first process may do so at its end
            first.communicate("\n")
            assert second.stdout.readline() == "waited\n"
            with locking_process(tmp_path / "a") as third:
                assert "in use by another process" in third.stdout.readline()
                second.communicate("\n")
                assert third.communicate("\n")[0] == "waited\n"


def test_a_folder_removed_just_before_it_is_locked_is_created_again(
    tmp_path, monkeypatch
):
    mkdir, left = Path.mkdir, [1]

    def removed_once(folder, **how):
        mkdir(folder, **how)
        if left:
            left.pop()
            folder.rmdir()

    monkeypatch.setattr(Path, "mkdir", removed_once)
    with files.lock_folder(tmp_path / "a") as waited:
        assert (tmp_path / "a" / files.LOCK).exists()
    assert not waited


def test_a_process_waiting_for_a_folder_can_be_terminated(tmp_path):
    with files.lock_folder(tmp_path), locking_process(tmp_path) as second:
        assert "in use by another process" in second.stdout.readline()
        second.terminate()
        second.communicate()
    assert second.returncode == -signal.SIGTERM


@pytest.mark.parametrize("existing", [None, "older", "the same"])
def test_a_file_is_linked(tmp_path, existing):
    source, name = tmp_path / "a", tmp_path / "deep" / "b"
    files.write_text(source, "whole")
    if existing == "older":
        files.write_text(name, existing)
    elif existing:
        files.link_or_copy(source, name)
    files.link_or_copy(source, name)
    assert name.samefile(source)
    assert [path.name for path in name.parent.iterdir()] == ["b"]
    files.write_text(name, "newer")
    assert source.read_text() == "whole"
