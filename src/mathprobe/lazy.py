"""The module torch, imported at first use.

The Snakefile reads the registries of distributions, encodings and tasks on every call
but computes nothing, so importing them must not load torch, which takes seconds.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any


class _LazyTorch(ModuleType):
    def __getattr__(self, name: str) -> Any:
        import torch

        return getattr(torch, name)


if TYPE_CHECKING:
    import torch as torch  # for the type checker
else:
    torch = _LazyTorch("torch")
