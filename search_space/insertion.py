"""Modules into a built network: its own are wrapped, replaced or skipped, never rewritten."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .edits import Mode

_INSERTED = "is_inserted"  # an attribute of what was put in


class Before(nn.Module):
    """A block before a module of somebody's network, on its first argument."""

    def __init__(self, module: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.block, self.module = block, module

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.module(self.block(x), *args, **kwargs)


class After(nn.Module):
    """A block after a module of somebody's network, on the first of several results."""

    def __init__(self, module: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.module, self.block = module, block

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        given = self.module(*args, **kwargs)
        if isinstance(given, tuple) and given:
            return (self.block(given[0]), *given[1:])
        return self.block(given)


class Pooled(nn.Module):
    """A block on the means of stride x stride pixels, in place of a convolution of that stride.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)); means at the edge are of the pixels
    that there are.
    """

    def __init__(self, stride: int, block: nn.Module) -> None:
        super().__init__()
        self.stride = stride
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        kernel = (min(self.stride, x.shape[2]), self.stride)  # a signal is of height 1
        pooled = F.avg_pool2d(x, kernel, ceil_mode=True, count_include_pad=False)
        return self.block(pooled)


class Skipped(nn.Module):
    """In place of a unit that is left out: returns its first argument as it is."""

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return x


def insert(network: nn.Module, modules: Iterable[tuple[Mode, str, nn.Module]]) -> None:
    """Puts each module at, before, after or instead of the one of that path, in place.

    All paths are those of the network before the call, also where one lies inside another.
    """
    located: Sequence[tuple[Mode, nn.Module, str, nn.Module]] = [
        (mode, *_parent(network, path), made) for mode, path, made in modules
    ]
    located = sorted(located, key=lambda entry: entry[0] != "replace")  # wrapped are those put in
    for mode, parent, name, made in located:
        setattr(made, _INSERTED, True)
        module = getattr(parent, name)
        if mode in ("at", "replace", "remove"):
            inserted = made
        else:
            inserted = (Before if mode == "before" else After)(module, made)
            inserted.training = module.training
        made.train(module.training)
        setattr(parent, name, inserted)


def plain_names(network: nn.Module) -> dict[str, str | None]:
    """Names of modules and parameters as they were before `insert`; None within what it put in."""
    return dict(_plain_names(network, "", ""))


def _plain_names(
    module: nn.Module, path: str, plain: str | None
) -> Iterator[tuple[str, str | None]]:
    """Those of a module at `path` and of all in it, where `plain` is its own name before."""
    if getattr(module, _INSERTED, False):
        plain = None
    yield path, plain
    for name, _ in module.named_parameters(recurse=False):
        yield _joined(path, name), None if plain is None else _joined(plain, name)
    wraps = isinstance(module, Before | After)
    for name, child in module.named_children():
        inner = plain if plain is None or wraps else _joined(plain, name)
        yield from _plain_names(child, _joined(path, name), inner)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parent(network: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, name = path.rpartition(".")
    return network.get_submodule(parent), name
