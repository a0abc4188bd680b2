"""A mixer beside a shortcut: what a mixer is wrapped in where a gate could be placed too."""

import torch
from torch import Tensor, nn


class Wrapped(nn.Module):
    """y = x + gamma * f(norm(x)), or x + gamma * (f(x) - x) for a mixer f that `blends`.

    gamma has one weight a channel (LayerScale: Touvron et al. 2021, arXiv:2103.17239), and norm
    is group norm over all channels and positions of an image: unlike layer norm over the
    channels it works in either memory format, and unlike batch norm without other images.
    Shapes: x, y (N, C, H, W). Parameters: f's, C and, unless f blends, 2C of the norm.
    Identity start: gamma = 0; else gamma = 1.
    """

    def __init__(
        self, block: nn.Module, channels: int, *, blends: bool, identity_start: bool
    ) -> None:
        super().__init__()
        self.norm = None if blends else nn.GroupNorm(1, channels)
        self.block = block
        self.gamma = nn.Parameter(torch.full((channels, 1, 1), 0.0 if identity_start else 1.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.norm is None:
            return torch.addcmul(x, self.gamma, self.block(x) - x)
        return torch.addcmul(x, self.gamma, self.block(self.norm(x)))

    @staticmethod
    def added(channels: int, *, blends: bool) -> int:
        """The parameters beside those of the mixer."""
        return channels if blends else 3 * channels
