"""Named points of a network where what passes can be seen and changed.

A point is a `HookPoint` among a network's modules, named by its path in it.  Inside `with`
blocks that are nested, what was opened first acts first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mathprobe.errors import InputError


class HookPoint(nn.Identity):
    """A point where what passes can be seen and changed."""


def hook_names(model: nn.Module) -> list[str]:
    """List the taps of a network."""
    return [name for name, part in model.named_modules() if isinstance(part, HookPoint)]


@contextmanager
def capture(model: nn.Module, *taps: str) -> Iterator[dict[str, Tensor]]:
    """Collect what passes at taps, by name; of several runs, the last one's."""
    seen: dict[str, Tensor] = {}
    with ExitStack() as opened:
        for name in taps:
            _hook(opened, model, name, partial(seen.__setitem__, name))
        yield seen


@contextmanager
def patch(
    model: nn.Module, name: str, function: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Let `function(x)` pass at a tap instead of x; it may write into its x."""

    def changed(x: Tensor) -> Tensor:
        instead = function(x.clone())
        if instead.shape != x.shape:
            raise ValueError(
                f"patch of {name}: {list(instead.shape)} instead of {list(x.shape)}"
            )
        return instead

    with ExitStack() as opened:
        _hook(opened, model, name, changed)
        yield


def _hook(
    opened: ExitStack,
    model: nn.Module,
    name: str,
    function: Callable[[Tensor], Tensor | None],
) -> None:
    """Call a function at a tap until the stack is closed; None changes nothing."""
    known = hook_names(model)
    if name not in known:
        raise InputError(
            f"unknown hook point {name!r}; known hook points are {', '.join(known)}"
        )
    handle: RemovableHandle = model.get_submodule(name).register_forward_hook(
        lambda tap, inputs, x: function(x)
    )
    opened.callback(handle.remove)
