"""Hook points: named places in a network where activations are captured or patched.

A hook point is a `HookPoint` module, as in TransformerLens, and its name is the path of
that module, with the names of parts in TransformerLens (`RENAMED_PARTS`).  In nested
`with` blocks, the hook of the outer block runs first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mathprobe.errors import InputError

# The encoder-decoder has other names for these parts, also in stored weights.
RENAMED_PARTS = {"attention": "attn", "cross": "cross_attn", "feed_forward": "mlp"}


class HookPoint(nn.Identity):
    """An identity module at which activations can be captured or patched."""

    @property
    def is_hooked(self) -> bool:
        """Return whether activations are captured or patched here."""
        return bool(self._forward_hooks)


def hook_points(model: nn.Module) -> dict[str, HookPoint]:
    """Return the hook points of a network by name."""
    return {
        ".".join(RENAMED_PARTS.get(part, part) for part in path.split(".")): module
        for path, module in model.named_modules()
        if isinstance(module, HookPoint)
    }


def hook_names(model: nn.Module) -> list[str]:
    """Return the names of a network's hook points."""
    return list(hook_points(model))


@contextmanager
def capture(model: nn.Module, *names: str) -> Iterator[dict[str, Tensor]]:
    """Capture the activations at hook points in a dictionary, by name.

    Each forward pass replaces them.  Raises InputError for an unknown hook point.
    """
    activations: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in names:
            _hook(stack, model, name, partial(activations.__setitem__, name))
        yield activations


@contextmanager
def patch(
    model: nn.Module, name: str, function: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Replace the activation x at a hook point by `function(x)`.

    The function may modify its argument, which is a copy.  Raises InputError for an
    unknown hook point, and ValueError if the shape changes.
    """

    def patched(x: Tensor) -> Tensor:
        new = function(x.clone())
        if new.shape != x.shape:
            raise ValueError(
                f"patch of {name}: shape {list(new.shape)} instead of {list(x.shape)}"
            )
        return new

    with ExitStack() as stack:
        _hook(stack, model, name, patched)
        yield


def _hook(
    stack: ExitStack,
    model: nn.Module,
    name: str,
    function: Callable[[Tensor], Tensor | None],
) -> None:
    """Register a forward hook until the stack closes; None leaves x unchanged."""
    known = hook_points(model)
    if name not in known:
        raise InputError(
            f"unknown hook point {name!r}; known hook points are {', '.join(known)}"
        )
    handle: RemovableHandle = known[name].register_forward_hook(
        lambda module, inputs, x: function(x)
    )
    stack.callback(handle.remove)
