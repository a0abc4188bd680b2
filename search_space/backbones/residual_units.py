"""The units of residual networks, ReLU(S(x) + F(x)), with empty slots for blocks.

Source: He et al. 2016, arXiv:1512.03385; the stride of a bottleneck is that of its 3x3
convolution (Goyal et al. 2017, arXiv:1706.02677), as is usual since.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ..stages import Insertion
from .staged import convolution

SITES: dict[str, str | Insertion] = {
    **{name: name for name in ("pre", "residual", "post", "identity")},
    "replace": Insertion("replace", "conv2"),
    "block": "post",
}


class BasicUnit(nn.Module):
    """F = conv3x3-BN-ReLU-conv3x3-BN: (N, C, H, W) -> (N, channels, H/stride, W/stride).

    S is the identity, or conv1x1-BN if stride or width changes. A mixer replaces the second
    convolution.
    """

    expansion = 1
    sites = SITES

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.pre = nn.Identity()
        self.conv1 = convolution(channels_in, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.residual = nn.Identity()
        self.shortcut = _shortcut(channels_in, channels, stride)
        self.identity = nn.Identity()
        self.post = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        f = F.relu(self.bn1(self.conv1(self.pre(x))))
        f = self.residual(self.bn2(self.conv2(f)))
        return self.post(F.relu(self.identity(self.shortcut(x)) + f))


class BottleneckUnit(nn.Module):
    """F = conv1x1-BN-ReLU-conv3x3-BN-ReLU-conv1x1-BN; `channels` is its output's width.

    The inner width is a quarter of it. S as in the basic unit. A mixer replaces the 3x3
    convolution, on the means of stride x stride pixels.
    """

    expansion = 4
    sites = SITES

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        inner = channels // self.expansion
        self.pre = nn.Identity()
        self.conv1 = convolution(channels_in, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = convolution(inner, inner, 3, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = convolution(inner, channels, 1)
        self.bn3 = nn.BatchNorm2d(channels)
        self.residual = nn.Identity()
        self.shortcut = _shortcut(channels_in, channels, stride)
        self.identity = nn.Identity()
        self.post = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        f = F.relu(self.bn1(self.conv1(self.pre(x))))
        f = F.relu(self.bn2(self.conv2(f)))
        f = self.residual(self.bn3(self.conv3(f)))
        return self.post(F.relu(self.identity(self.shortcut(x)) + f))


def residual_stage(
    unit: Callable[[int, int, int], nn.Module],
    channels_in: int,
    channels: int,
    units: int,
    stride: int,
) -> list[nn.Module]:
    """The units of a stage: the first changes width and map."""
    return [
        unit(channels, channels, 1) if i else unit(channels_in, channels, stride)
        for i in range(units)
    ]


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(convolution(channels_in, channels, 1, stride), nn.BatchNorm2d(channels))
