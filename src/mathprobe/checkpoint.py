"""Weights and training states on disk: safetensors, which hold no code.

A state is everything a training needs to go on as if it had never stopped.  The last
two are kept; a damaged one is named, set aside, and the one before is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mathprobe import files

KEPT = 2
HEADER = "mathprobe"
_NAME = re.compile(r"\d{12}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and what else must be known to go on (plain JSON values)."""

    updates: int
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return files.digest({**arrays, HEADER: np.array(facts)})


def _write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    host = {
        name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
    }
    text = json.dumps(facts, sort_keys=True)
    header = {"facts": text, files.DIGEST: _digest(host, text)}
    # One entry: safetensors writes several in an order that changes from run to run.
    files.write_bytes(path, save(host, {HEADER: json.dumps(header, sort_keys=True)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as stored:
            header = json.loads(stored.metadata()[HEADER])
            names = stored.keys()
            tensors = {name: stored.get_tensor(name) for name in names}
        if header[files.DIGEST] != _digest(tensors, header["facts"]):
            raise files.DamagedFile(f"{path}: its checksum does not match")
        return tensors, json.loads(header["facts"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise files.DamagedFile(f"{path}: damaged ({error})") from error


def save_model(
    path: Path, seeds: Mapping[int, nn.Module], facts: dict[str, Any]
) -> None:
    """Write a model's weights, by seed, and the facts that say what it is."""
    tensors = {
        f"{seed}.{name}": tensor
        for seed, network in seeds.items()
        for name, tensor in network.state_dict().items()
    }
    _write(path, tensors, facts)


def load_model(path: Path, seeds: Mapping[int, nn.Module]) -> dict[str, Any]:
    """Read weights into networks of the same shapes and give the stored facts."""
    tensors, facts = _read(path)
    for seed, network in seeds.items():
        network.load_state_dict(strip_prefix(f"{seed}.", tensors))
    return facts


def strip_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors whose names begin so, without that beginning."""
    names = (name for name in tensors if name.startswith(prefix))
    return {name.removeprefix(prefix): tensors[name] for name in names}


def model_metadata(path: Path) -> dict[str, Any]:
    """Read what a stored model says it is."""
    return _read(path)[1]


def save_checkpoint(folder: Path, state: Checkpoint) -> None:
    """Write a state and remove all but the newest two."""
    facts = {**state.metadata, "updates": state.updates}
    _write(folder / f"{state.updates:012d}.safetensors", state.tensors, facts)
    for old in _states(folder)[:-KEPT]:
        old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest undamaged state of a folder, if there is one."""
    for path in reversed(_states(folder)):
        try:
            tensors, facts = _read(path)
        except files.DamagedFile as error:
            aside = path.with_suffix(".damaged")
            path.rename(aside)
            print(f"{error}; set aside as {aside.name}, trying the state before it")
        else:
            return Checkpoint(facts.pop("updates"), tensors, facts)
    return None


def _states(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
