"""MobileNetV2.

Source: Sandler et al. 2018, arXiv:1801.04381, table 2.
"""

import math

from torch import Tensor, nn

from attnas.core import InputError

from .registry import register_backbone
from .staged import StagedNetwork, classifier, convolution

GROUPS = (  # expansion, channels, units, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """expand 1x1-BN-ReLU6, depthwise 3x3-BN-ReLU6, project 1x1-BN, and the shortcut.

    (N, C, H, W) -> (N, channels, H/stride, W/stride). Nothing expands if `expansion` is 1.
    The input is added if stride and width stay; if not, there is no `identity` site, and
    `post` is the same place as `residual`.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels_in
        self.pre = nn.Identity()
        self.expand = nn.Identity() if expansion == 1 else _activated(channels_in, wide, 1)
        self.depthwise = _activated(wide, wide, 3, stride, groups=wide)
        self.expanded = nn.Identity()
        self.project = nn.Sequential(convolution(wide, channels, 1), nn.BatchNorm2d(channels))
        self.residual = nn.Identity()
        self.sites = {"pre": "pre", "expanded": "expanded", "residual": "residual"}
        self.adds_input = stride == 1 and channels_in == channels
        if self.adds_input:
            self.identity = nn.Identity()
            self.post = nn.Identity()
            self.sites |= {"post": "post", "identity": "identity", "block": "post"}
        else:
            self.sites |= {"post": "residual", "block": "residual"}

    def forward(self, x: Tensor) -> Tensor:
        f = self.expanded(self.depthwise(self.expand(self.pre(x))))
        f = self.residual(self.project(f))
        return self.post(self.identity(x) + f) if self.adds_input else f


@register_backbone("mobilenetv2")
def mobilenetv2(*, classes: int, in_channels: int, width: float = 1.0) -> nn.Module:
    """7 stages, the paper's groups of inverted residuals; all channels scaled by `width`.

    The last convolution never has fewer than the paper's 1280 channels. Strides are the
    paper's: the map shrinks 32 times whatever its size. No dropout.

    Raises:
        InputError: the width is not above 0.
    """
    if not 0 < width < math.inf:
        raise InputError(f"must be above 0, not {width}.", key="width")
    channels = divisible_by_8(32 * width)
    stem = _activated(in_channels, channels, 3, stride=2)
    stages = {}
    for i, (expansion, base, units, stride) in enumerate(GROUPS, start=1):
        channels_in, channels = channels, divisible_by_8(base * width)
        first = InvertedResidual(channels_in, channels, stride, expansion)
        others = [InvertedResidual(channels, channels, 1, expansion) for _ in range(1, units)]
        stages[f"stage{i}"] = [first, *others]
    last = divisible_by_8(1280 * max(1.0, width))
    head = nn.Sequential(_activated(channels, last, 1), *classifier(last, classes))
    return StagedNetwork(stem, stages, head)


def divisible_by_8(channels: float) -> int:
    """The nearest multiple of 8 that is at least 8 and not below 90 % of it.

    Source: `_make_divisible` of the authors' code, tensorflow/models: research/slim/nets.
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _activated(
    channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        convolution(channels_in, channels, kernel, stride, groups),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    )
