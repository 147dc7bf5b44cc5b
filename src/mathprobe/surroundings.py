"""Variables that keep the settings and the caches of a user out of the results."""

from __future__ import annotations

import os
from pathlib import Path

CACHES = {  # of the tools that commands call; HOME may be missing or not writable
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
    "TEXMFVAR": "texmf",
    "XDG_CACHE_HOME": "xdg",  # Snakemake, fontconfig, tectonic
}


SETTINGS = {  # that affect results
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic products of matrices
    "MATPLOTLIBRC": os.devnull,  # matplotlib's own defaults
    "NVIDIA_TF32_OVERRIDE": "0",  # float32 is float32
}


def variables(root: Path) -> dict[str, str]:
    """Return variables of the environment: caches are in `root/.cache`."""
    caches = {name: str(root / ".cache" / one) for name, one in CACHES.items()}
    return {**caches, **SETTINGS}
