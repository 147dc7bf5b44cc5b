import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mathprobe import checkpoint
from mathprobe.checkpoint import Checkpoint
from mathprobe.files import DamagedFile


def checkpoint_at(updates):
    tensors = {"a": torch.full((3,), float(updates)), "step": torch.tensor(updates)}
    return Checkpoint(updates, tensors, {"curve": [{"x": 1}]})


def test_a_checkpoint_round_trips(tmp_path):
    checkpoint.save_checkpoint(tmp_path, checkpoint_at(7))
    loaded = checkpoint.load_checkpoint(tmp_path)
    assert (loaded.updates, loaded.metadata) == (7, {"curve": [{"x": 1}]})
    assert all(
        torch.equal(loaded.tensors[k], v) for k, v in checkpoint_at(7).tensors.items()
    )


def test_a_missing_folder_has_no_checkpoint(tmp_path):
    assert checkpoint.load_checkpoint(tmp_path / "none") is None


def test_the_last_two_checkpoints_are_stored(tmp_path):
    for updates in (5, 900, 1000):
        checkpoint.save_checkpoint(tmp_path, checkpoint_at(updates))
    assert sorted(os.listdir(tmp_path)) == [
        "000000000900.safetensors",
        "000000001000.safetensors",
    ]
    assert checkpoint.load_checkpoint(tmp_path).updates == 1000


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_checkpoint_is_renamed_and_the_previous_one_used(
    tmp_path, damage, capsys
):
    for updates in (1, 2):
        checkpoint.save_checkpoint(tmp_path, checkpoint_at(updates))
    path = tmp_path / "000000000002.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    half = bytes(content[: len(content) // 2])
    path.write_bytes({"truncate": half, "flip": bytes(content), "empty": b""}[damage])
    assert checkpoint.load_checkpoint(tmp_path).updates == 1
    assert "000000000002.safetensors" in capsys.readouterr().out
    assert (tmp_path / "000000000002.damaged").exists()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_all_damage_is_detected(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("checkpoints")
    for updates in (1, 2):
        checkpoint.save_checkpoint(folder, checkpoint_at(updates))
    path = folder / "000000000002.safetensors"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
        st.integers(1, 255)
    )
    path.write_bytes(content)
    loaded = checkpoint.load_checkpoint(folder)
    assert loaded.updates in (1, 2)
    expected = checkpoint_at(loaded.updates)
    assert loaded.metadata == expected.metadata
    assert all(torch.equal(loaded.tensors[k], v) for k, v in expected.tensors.items())


def test_a_model_is_stored_with_its_metadata(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    seeds = {1: nn.Linear(3, 2), 2: model}
    checkpoint.save_model(tmp_path / "m", seeds, {"spec": {"n": 5}})
    assert checkpoint.load_model(tmp_path / "m", {2: other}) == {"spec": {"n": 5}}
    assert torch.equal(model.weight, other.weight)
    assert checkpoint.model_metadata(tmp_path / "m") == {"spec": {"n": 5}}


def test_equal_models_give_bitwise_identical_files(tmp_path):
    model = nn.Linear(3, 2)
    contents = set()
    for _ in range(20):  # a random order would show
        checkpoint.save_model(tmp_path / "m", {1: model}, {"spec": {"n": 5}, "b": 1})
        contents.add((tmp_path / "m").read_bytes())
    assert len(contents) == 1


def test_a_damaged_model_is_refused(tmp_path):
    path = tmp_path / "m"
    checkpoint.save_model(path, {1: nn.Linear(3, 2)}, {})
    content = bytearray(path.read_bytes())
    content[-2] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="checksum"):
        checkpoint.load_model(path, {1: nn.Linear(3, 2)})
    path.write_text(json.dumps({}))
    with pytest.raises(DamagedFile, match="damaged"):
        checkpoint.model_metadata(path)


def test_a_foreign_file_is_refused_with_the_way_to_read_it(tmp_path):
    weights = {"embed.W_E": torch.ones(2, 3)}
    save_file(weights, tmp_path / "plain.safetensors")
    save_file(weights, tmp_path / "named.safetensors", {"format": "pt"})
    torch.save(weights, tmp_path / "weights.pt")
    for path in tmp_path.iterdir():
        with pytest.raises(DamagedFile, match="or mathprobe map with --config"):
            checkpoint.model_metadata(path)
        with pytest.raises(DamagedFile, match="not a file of this package"):
            checkpoint.load_model(path, {1: nn.Linear(3, 2)})
