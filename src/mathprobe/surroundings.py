"""Variables of the environment that jobs need, whatever the settings of the user."""

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
    "BASH_ENV": "",  # bash runs this file before the command of a rule
    "MATPLOTLIBRC": os.devnull,  # matplotlib's own defaults
    "NVIDIA_TF32_OVERRIDE": "0",  # float32 is float32
    "PYTHONSAFEPATH": "1",  # a random.py in the working directory is not imported
    "PYTHONWARNINGS": "",  # of a user who turns warnings into errors
}
# By default, glibc returns freed blocks of the size of our tensors to the system, which
# must clear the pages of the next ones.  `benchmarks/trainings.py` measures this.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # bytes; the largest possible value
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
}


def variables(root: Path) -> dict[str, str]:
    """Return variables of the environment of jobs; caches are in `root/.cache`."""
    caches = {name: str(root / ".cache" / one) for name, one in CACHES.items()}
    return {**caches, **SETTINGS, **ALLOCATOR}
