"""How blocks on (N, C, H, W) see tensors of other layouts: an adapter each."""

import torch
from torch import Tensor, nn

from .layouts import Layout, sides_of


class Adapted(nn.Module):
    """A block on (N, C, H, W) for tensors of another layout, which it takes and gives."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block


class ChannelsLast(Adapted):
    """(N, H, W, C) -> (N, H, W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Signal(Adapted):
    """(N, C, T) -> (N, C, T), a map of height 1."""

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.unsqueeze(2)).squeeze(2)


class Tokens(Adapted):
    """(N, prefix + H W, C) -> the same shape; the block sees the map, not the leading tokens.

    `height` and `width` are those of the trace; other numbers of tokens have maps of the same
    proportion.
    """

    def __init__(self, block: nn.Module, prefix: int, height: int, width: int) -> None:
        super().__init__(block)
        self.prefix, self.height, self.width = prefix, height, width

    def forward(self, x: Tensor) -> Tensor:
        leading, tokens = x[:, : self.prefix], x[:, self.prefix :]
        height, width = self.height, self.width
        if tokens.shape[1] != height * width:
            found = sides_of(tokens.shape[1], (0, height, width))
            if found is None:
                raise ValueError(f"{tokens.shape[1]} tokens make no map like {height} x {width}")
            height, width = found
        y = self.block(tokens.transpose(1, 2).unflatten(2, (height, width)))
        y = y.flatten(2).transpose(1, 2)
        return torch.cat([leading, y], 1) if self.prefix else y


def adapter(layout: Layout, height: int, width: int) -> tuple[type[Adapted], tuple[int, ...]]:
    """The class for tensors of a layout other than (N, C, H, W), and its arguments behind the
    block."""
    if layout.kind == "nhwc":
        return ChannelsLast, ()
    if layout.kind == "signal":
        return Signal, ()
    return Tokens, (layout.prefix, height, width)
