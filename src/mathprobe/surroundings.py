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


def variables(root: Path) -> dict[str, str]:
    """Return variables of the environment: caches are in `root/.cache`."""
    caches = {name: str(root / ".cache" / one) for name, one in CACHES.items()}
    return {**caches, "MATPLOTLIBRC": os.devnull}
