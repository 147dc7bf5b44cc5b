"""torch, imported at its first use.

The Snakefile reads the registries (names of distributions, encodings, tasks) on every call and
never computes; modules that only register things must not cost it seconds of import.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any


class _LazyTorch(ModuleType):
    def __getattr__(self, name: str) -> Any:
        import torch

        return getattr(torch, name)


if TYPE_CHECKING:
    import torch as torch  # the type checker sees the real one
else:
    torch = _LazyTorch("torch")
