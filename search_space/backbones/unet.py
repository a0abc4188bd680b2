"""A small U-Net for segmentation.

Source: Ronneberger et al. 2015, arXiv:1505.04597, figure 1, with padded convolutions and batch
norms as is usual since, and fewer channels. Attention after each of its blocks, as Roy et al.
2018, arXiv:1803.02579, section 3 place scSE, is the placement `post`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnas.core import InputError

from ..stages import Insertion, Stage, Unit
from .registry import register_backbone
from .staged import convolution, initialise

MOST_LEVELS = 6


class DoubleConvolution(nn.Module):
    """conv3x3-BN-ReLU twice: (N, C, H, W) -> (N, channels, H, W)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.pre = nn.Identity()
        self.conv1 = convolution(channels_in, channels, 3)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.post = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        f = F.relu(self.bn1(self.conv1(self.pre(x))))
        return self.post(F.relu(self.bn2(self.conv2(f))))


class UNet(nn.Module):
    """An encoder that halves the map `levels` times, a decoder that sees each of its maps again.

    (N, C, H, W) -> (N, classes, H, W); an H or W that is no multiple of 2^levels is cut on the way
    down and padded on the way up. Level i has width 2^i channels.
    """

    def __init__(self, in_channels: int, classes: int, width: int, levels: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(levels + 1)]
        inputs = [in_channels, *widths[:-1]]
        self.levels = levels
        for i in range(levels):
            self.add_module(f"encoder{i + 1}", DoubleConvolution(inputs[i], widths[i]))
        self.bottleneck = DoubleConvolution(inputs[levels], widths[levels])
        for i in reversed(range(levels)):
            self.add_module(f"up{i + 1}", nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2))
            self.add_module(f"decoder{i + 1}", DoubleConvolution(2 * widths[i], widths[i]))
        self.head = nn.Conv2d(width, classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for i in range(self.levels):
            x = self.get_submodule(f"encoder{i + 1}")(x)
            maps.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for i in reversed(range(self.levels)):
            x = self.get_submodule(f"up{i + 1}")(x)
            below, right = (maps[i].shape[d] - x.shape[d] for d in (2, 3))
            x = torch.cat([maps[i], F.pad(x, (0, right, 0, below))], 1)
            x = self.get_submodule(f"decoder{i + 1}")(x)
        return self.head(x)

    def stages(self) -> tuple[Stage, ...]:
        """Where blocks can be placed: around each double convolution, or as its second one."""
        numbers = range(1, self.levels + 1)
        names = [f"encoder{i}" for i in numbers]
        names += ["bottleneck", *(f"decoder{i}" for i in reversed(numbers))]
        sites = (
            ("pre", Insertion("at", "pre")),
            ("post", Insertion("at", "post")),
            ("replace", Insertion("replace", "conv2")),
            ("block", Insertion("at", "post")),
        )
        return tuple(Stage(name, (Unit(name, sites),)) for name in names)


@register_backbone("unet")
def unet(*, classes: int, in_channels: int, width: int = 16, levels: int = 3) -> nn.Module:
    """A stage for each block of the U-Net, 2 `levels` + 1 in all.

    Raises:
        InputError: the width is below 1, or there are no levels or too many.
    """
    if width < 1:
        raise InputError(f"must be at least 1, not {width}.", key="width")
    if not 1 <= levels <= MOST_LEVELS:
        raise InputError(f"must be from 1 to {MOST_LEVELS}, not {levels}.", key="levels")
    return UNet(in_channels, classes, width, levels)
