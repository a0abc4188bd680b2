"""Branches of convolutions and a choice among them per channel (sk, splat)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .registry import hidden_width, register_block

GROUPS = 32
_SK: dict[str, Any] = {
    "kind": "mixer",
    "family": "mixer",
    "ratios": (2, 4, 8, 16, 32),
    "ratio_means": "width C / r of the layer that chooses",
    "paper": "Li et al., arXiv:1903.06586",
    "year": 2019,
}


@register_block("sk_grouped", settings={"split": False}, **_SK)
@register_block("sk", settings={"split": True}, **_SK)
class SelectiveKernel(nn.Module):
    """y = s a + (1 - s) b, s = softmax over the two branches of W2 relu(BN(W1 GAP(a + b))).

    a = relu(BN(conv_3x3 x)), b = relu(BN(conv_3x3 x)) with dilation 2, in place of a 5x5. As sk,
    either sees half of the channels of x and gives all of y; as sk_grouped both see all, in 32
    groups, as in the paper. The softmax over two is the sigmoid of their difference. No biases.
    Shapes: x, y, a, b (N, C, H, W); W1 (h, C); W2 (2C, h); h = hidden_width(C, ratio). C even, as
    sk_grouped a multiple of 32.
    Parameters: 9C^2 + 4C + 3Ch + 2h; as sk_grouped 9C^2 / 16 for 9C^2.
    Start: wrapped, gamma = 0; in place of a convolution it has none. The norm of GAP is over the
    batch alone: one image cannot train it.
    Source: Li et al. 2019 (SKNet), arXiv:1903.06586; the split is that of timm's `SelectiveKernel`.
    """

    sliceable = True
    needs_batch = True

    def __init__(
        self, channels: int, ratio: int, *, split: bool = True, identity_start: bool = False
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        seen, groups = (channels // 2, 1) if split else (channels, GROUPS)
        self.split = split
        self.near = nn.Conv2d(seen, channels, 3, padding=1, groups=groups, bias=False)
        self.near_norm = nn.BatchNorm2d(channels)
        self.far = nn.Conv2d(seen, channels, 3, padding=2, dilation=2, groups=groups, bias=False)
        self.far_norm = nn.BatchNorm2d(channels)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.select = nn.Linear(hidden, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        to_near, to_far = x.chunk(2, 1) if self.split else (x, x)
        a = F.relu_(self.near_norm(self.near(to_near)))  # (N, C, H, W)
        b = F.relu_(self.far_norm(self.far(to_far)))
        pooled = a.mean((2, 3)) + b.mean((2, 3))  # (N, C)
        logits = self.select(F.relu(self.norm(self.reduce(pooled))))  # (N, h) -> (N, 2C)
        return select(a, b, logits)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int, *, split: bool = True) -> int:
        hidden = hidden_width(channels, ratio)
        convolutions = 9 * channels**2 if split else 18 * channels**2 // GROUPS
        return convolutions + 4 * channels + 3 * channels * hidden + 2 * hidden

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int, *, split: bool = True) -> bool:
        return channels % (2 if split else GROUPS) == 0


@register_block(
    "splat",
    kind="mixer",
    ratios=(2, 4, 8, 16, 32),
    family="mixer",
    ratio_means="half the width, C / r, of the layer that chooses",
    paper="Zhang et al., arXiv:2004.08955",
    year=2020,
)
class SplitAttention(nn.Module):
    """y = s a + (1 - s) b, s = softmax over the two halves of W2 relu(BN(W1 GAP(a + b) + b1)) + b2.

    [a; b] = relu(BN(conv_3x3 x)), 2C channels in two groups: a of the first half of x, b of the
    second. Radix 2 and cardinality 1.
    Shapes: x, y, a, b (N, C, H, W), C even; W1 (2h, C); W2 (2C, 2h); h = hidden_width(C, ratio).
    Parameters: 9C^2 + 6Ch + 6C + 6h. Start: wrapped, gamma = 0; in place of a convolution it has
    none. The norm of GAP is over the batch alone: one image cannot train it.
    Source: Zhang et al. 2020 (ResNeSt), arXiv:2004.08955.
    """

    sliceable = True
    needs_batch = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = 2 * hidden_width(channels, ratio)
        self.conv = nn.Conv2d(channels, 2 * channels, 3, padding=1, groups=2, bias=False)
        self.conv_norm = nn.BatchNorm2d(2 * channels)
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.select = nn.Linear(hidden, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        a, b = F.relu_(self.conv_norm(self.conv(x))).chunk(2, 1)  # (N, C, H, W) both
        pooled = a.mean((2, 3)) + b.mean((2, 3))  # (N, C)
        logits = self.select(F.relu(self.norm(self.reduce(pooled))))  # (N, 2h) -> (N, 2C)
        return select(a, b, logits)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = 2 * hidden_width(channels, ratio)
        return 9 * channels**2 + 3 * channels * hidden + 6 * channels + 3 * hidden

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        return channels % 2 == 0


def select(a: Tensor, b: Tensor, logits: Tensor) -> Tensor:
    """s a + (1 - s) b, s the softmax of each channel's two logits, (N, 2C), for a."""
    for_a, for_b = logits.chunk(2, 1)
    share = (for_a - for_b).sigmoid()[:, :, None, None]  # (N, C, 1, 1)
    return torch.lerp(b, a, share)
