"""Convolutional block attention module (cbam) and its light form (lcbam)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


@register_block(
    "cbam",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="Woo et al., arXiv:1807.06521",
    year=2018,
)
class Cbam(nn.Module):
    """u = x * sigmoid(M(a) + M(m)), then y = u * sigmoid(BN(conv_7x7[mean_c u; max_c u])).

    a and m are mean and maximum of x over H and W, M = W2 relu W1 without biases; mean_c and
    max_c go over the channels; the convolution has no bias.
    Shapes: x, y (N, C, H, W); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio); conv 2 -> 1.
    Parameters: 2Ch + 100. Identity start: W2 = 0, BN's weight and bias 0, both gates doubled.
    Source: Woo et al. 2018, arXiv:1807.06521, eq. 2 and 3.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        u = x * self.channel_gate(x)
        return u * self.spatial_gate(u)

    def channel_gate(self, x: Tensor) -> Tensor:
        """The factor of each channel, (N, C, 1, 1)."""
        hidden = F.relu(self.reduce(x.mean((2, 3)))) + F.relu(self.reduce(_maximum(x)))
        logits = self.expand(hidden)  # = M(a) + M(m), as W2 is linear: (N, h) -> (N, C)
        return sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    def spatial_gate(self, u: Tensor) -> Tensor:
        """The factor of each position, (N, 1, H, W)."""
        maps = torch.cat((u.mean(1, keepdim=True), u.amax(1, keepdim=True)), 1)  # (N, 2, H, W)
        return sigmoid_gate(self.norm(self.conv(maps)), doubled=self.identity_start)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        return 2 * channels * hidden_width(channels, ratio) + 100

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        """Not on a 1x1 map: batch norm cannot be trained on it with a batch of one."""
        return height * width > 1


@register_block(
    "lcbam",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="no paper; timm's form of cbam",
)
class LightCbam(nn.Module):
    """u = x * sigmoid(M((a + m) / 2)), then y = u * sigmoid(BN(conv_7x7 (mean_c u + max_c u) / 2)).

    a and m are mean and maximum of x over H and W, M = W2 relu W1 without biases; mean_c and
    max_c go over the channels; the convolution has no bias.
    Shapes: x, y (N, C, H, W); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio); conv 1 -> 1.
    Parameters: 2Ch + 51. Identity start: W2 = 0, BN's weight and bias 0, both gates doubled.
    Source: timm's `LightCbamModule`; no paper.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.conv = nn.Conv2d(1, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        pooled = (x.mean((2, 3)) + _maximum(x)) / 2  # (N, C)
        logits = self.expand(F.relu(self.reduce(pooled)))  # (N, h) -> (N, C)
        u = x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]
        level = (u.mean(1, keepdim=True) + u.amax(1, keepdim=True)) / 2  # (N, 1, H, W)
        return u * sigmoid_gate(self.norm(self.conv(level)), doubled=self.identity_start)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        return 2 * channels * hidden_width(channels, ratio) + 51

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        """Not on a 1x1 map: batch norm cannot be trained on it with a batch of one."""
        return height * width > 1


def _maximum(x: Tensor) -> Tensor:
    """Maximum over H and W, (N, C).

    In x's memory order, one dimension at a time if that is channels_last: over both at once
    it takes up to 18 times longer there on a CPU at 16 channels.
    """
    if x.is_contiguous():
        return x.amax((2, 3))
    return x.permute(0, 2, 3, 1).amax(1).amax(1)  # (N, H, W, C) -> (N, W, C) -> (N, C)
