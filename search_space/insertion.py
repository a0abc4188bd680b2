"""Blocks into a built network: its modules are wrapped or its slots filled, never rewritten."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from .stages import Mode


class Before(nn.Module):
    """A block before a module of somebody's network, on its first argument."""

    def __init__(self, module: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.block, self.module = block, module

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.module(self.block(x), *args, **kwargs)


class After(nn.Module):
    """A block after a module of somebody's network."""

    def __init__(self, module: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.module, self.block = module, block

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.block(self.module(*args, **kwargs))


def insert(network: nn.Module, blocks: Iterable[tuple[Mode, str, nn.Module]]) -> None:
    """Puts each block at, before or after the module of that path, in place.

    All paths are those of the network before the call, also where one lies inside another.
    """
    located: Sequence[tuple[Mode, nn.Module, str, nn.Module]] = [
        (mode, *_parent(network, path), block) for mode, path, block in blocks
    ]
    for mode, parent, name, block in located:
        module = getattr(parent, name)
        if mode == "at":
            inserted = block
        else:
            inserted = (Before if mode == "before" else After)(module, block)
            inserted.training = module.training
        block.train(module.training)
        setattr(parent, name, inserted)


def _parent(network: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, name = path.rpartition(".")
    return network.get_submodule(parent), name
