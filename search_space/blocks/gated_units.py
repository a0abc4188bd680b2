"""Residual units in which one branch multiplies another (modulation, gated_conv)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import zero
from .heads import as_map, in_order_of
from .registry import register_block

KERNEL = 7


@register_block(
    "modulation",
    kind="unit",
    ratios=(1, 2, 4, 6),
    family="mixer",
    ratio_means="r C channels are modulated: more cost more",
    paper="Ma et al., arXiv:2403.19963",
    year=2024,
)
class EfficientModulation(nn.Module):
    """y = x + W2 (gelu(W1 z) * tile(Wg gelu(DW_7x7 (Wf z)))), z = LN x, over the channels.

    tile repeats its C channels r times; with ratio 1 W1 z is not activated. All layers have biases.
    Shapes: x, y (N, C, H, W); W1 (rC, C); W2 (C, rC); Wf, Wg (C, C).
    Parameters: (2r + 2) C^2 + (r + 55) C. Identity start: W2 and its bias 0.
    Source: Ma et al. 2024 (EfficientMod), arXiv:2403.19963 (ratios 1, 4 and 6).
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.ratio = ratio
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, ratio * channels)
        self.to_context = nn.Linear(channels, channels)
        self.context = _depthwise(channels)
        self.from_context = nn.Linear(channels, channels)
        self.project = nn.Linear(ratio * channels, channels)
        if identity_start:
            zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        z = self.norm(x.permute(0, 2, 3, 1))  # (N, H, W, C)
        context = F.gelu(self.context(self.to_context(z).permute(0, 3, 1, 2)))
        weight = self.from_context(context.permute(0, 2, 3, 1))[..., None, :]  # (N, H, W, 1, C)
        value = self.expand(z).unflatten(3, (self.ratio, -1))  # (N, H, W, r, C)
        if self.ratio > 1:
            value = F.gelu(value)
        y = self.project((value * weight).flatten(3))  # (N, H, W, C)
        return x + in_order_of(x, as_map(y.flatten(1, 2), x))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        return (2 * ratio + 2) * channels**2 + (ratio + 5 + KERNEL**2 + 1) * channels

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (ratio * channels,)


_CONV: dict[str, Any] = {
    "kind": "unit",
    "family": "mixer",
    "paper": "Yu and Wang, arXiv:2405.07992",
    "year": 2025,
}


@register_block("gated_conv_2", settings={"expansion": 2.0}, **_CONV)
@register_block("gated_conv_1", settings={"expansion": 1.0}, **_CONV)
@register_block("gated_conv", settings={"expansion": 8 / 3}, **_CONV)
class GatedConvolution(nn.Module):
    """y = x + W2 (gelu(a) * [i; DW_7x7 c]), [a; i; c] = W1 LN x, LN over the channels.

    a and [i; c] are hC = int(e C) wide, c is C wide; e = 8/3 (gated_conv), 2 or 1. All layers have
    biases.
    Shapes: x, y (N, C, H, W); W1 (2 hC, C); W2 (C, hC). Parameters: 3C hC + 2 hC + 53C.
    Identity start: W2 and its bias 0.
    Source: Yu and Wang 2025 (MambaOut), arXiv:2405.07992.
    """

    def __init__(self, channels: int, *, expansion: float, identity_start: bool = False) -> None:
        super().__init__()
        hidden = int(expansion * channels)
        self.parts = (hidden, hidden - channels, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 2 * hidden)
        self.conv = _depthwise(channels)
        self.project = nn.Linear(hidden, channels)
        if identity_start:
            zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        expanded = self.expand(self.norm(x.permute(0, 2, 3, 1)))  # (N, H, W, 2 hC)
        gate, kept, convolved = expanded.split(self.parts, 3)
        convolved = self.conv(convolved.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = self.project(F.gelu(gate) * torch.cat((kept, convolved), 3))  # (N, H, W, C)
        return x + in_order_of(x, as_map(y.flatten(1, 2), x))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None, *, expansion: float) -> int:
        hidden = int(expansion * channels)
        return 3 * channels * hidden + 2 * hidden + (4 + KERNEL**2) * channels


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
