"""Model weights and checkpoints on disk, as safetensors files, which contain no code.

A checkpoint stores everything that a training needs to resume with a bitwise identical
result.  The last two checkpoints are kept.  A damaged checkpoint is renamed and the
previous one is used.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mathprobe import files, paths
from mathprobe.errors import InputError

HEADER = "mathprobe"
FOREIGN = (
    "not a file of this package; for a model that was trained elsewhere, use "
    "mathprobe.nets.lens.from_state_dict, or mathprobe map with --config"
)
_NAME = re.compile(r"\d{12}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """State of a training: its tensors by name, and metadata as plain JSON values."""

    updates: int
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def _digest(tensors: dict[str, Tensor], metadata: str) -> str:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return files.digest({**arrays, HEADER: np.array(metadata)})


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    host = {
        name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
    }
    text = json.dumps(metadata, sort_keys=True)
    header = {"facts": text, files.DIGEST: _digest(host, text)}
    # A single entry: safetensors writes several entries in a random order.
    files.write_bytes(path, save(host, {HEADER: json.dumps(header, sort_keys=True)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        if zipfile.is_zipfile(path):  # written by torch.save
            raise files.DamagedFile(f"{path}: {FOREIGN}")
        with safe_open(path, "pt") as stored:
            if HEADER not in (stored.metadata() or {}):
                raise files.DamagedFile(f"{path}: {FOREIGN}")
            header = json.loads(stored.metadata()[HEADER])
            names = stored.keys()
            tensors = {name: stored.get_tensor(name) for name in names}
        if header[files.DIGEST] != _digest(tensors, header["facts"]):
            raise files.DamagedFile(f"{path}: its checksum does not match")
        return tensors, json.loads(header["facts"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise files.DamagedFile(f"{path}: damaged ({error})") from error


def save_model(
    path: Path, seeds: Mapping[int, nn.Module], metadata: dict[str, Any]
) -> None:
    """Write the weights of the networks of all seeds, and metadata, to one file."""
    tensors = {
        f"{seed}.{name}": tensor
        for seed, network in seeds.items()
        for name, tensor in network.state_dict().items()
    }
    _write(path, tensors, metadata)


def load_model(path: Path, seeds: Mapping[int, nn.Module]) -> dict[str, Any]:
    """Load weights into networks of the same shapes and return the metadata.

    Raises DamagedFile if the file is damaged, or is not one of `save_model`.
    """
    tensors, metadata = _read(path)
    for seed, network in seeds.items():
        network.load_state_dict(strip_prefix(f"{seed}.", tensors))
    return metadata


def strip_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with a prefix, by the rest of the name."""
    names = (name for name in tensors if name.startswith(prefix))
    return {name.removeprefix(prefix): tensors[name] for name in names}


def find_weights(path: Path) -> Path:
    """Return the file of a model's weights, for this file or the model's folder.

    Raises InputError if it is missing.
    """
    weights = path if path.is_file() else path / "model.safetensors"
    if not weights.exists():
        raise InputError(
            f"{weights} is missing: train it with `snakemake -c2 {weights}`"
        )
    return weights


def model_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a stored model.

    Raises DamagedFile if the file is damaged, or is not one of `save_model`.
    """
    return _read(path)[1]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove all but the last two."""
    metadata = {**checkpoint.metadata, "updates": checkpoint.updates}
    path = folder / f"{checkpoint.updates:012d}.safetensors"
    _write(path, checkpoint.tensors, metadata)
    for old in _checkpoints(folder)[: -paths.STORED_CHECKPOINTS]:
        old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the last undamaged checkpoint of a folder, or None if there is none.

    Damaged checkpoints are renamed to `*.damaged`.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            tensors, metadata = _read(path)
        except files.DamagedFile as error:
            renamed = path.with_suffix(".damaged")
            path.rename(renamed)
            print(f"{error}; renamed to {renamed.name}, using the previous checkpoint")
        else:
            return Checkpoint(metadata.pop("updates"), tensors, metadata)
    return None


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
