"""Dual attention unit of image restoration (dual)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import zero
from .registry import hidden_width, register_block


@register_block(
    "dual",
    kind="unit",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r of the channel gate",
    paper="Zamir et al., arXiv:2003.06792",
    year=2020,
)
class DualAttentionUnit(nn.Module):
    """y = x + W [u * sigmoid(conv_5x5 [max; mean]); u * sigmoid(W2 relu(W1 GAP u))].

    u = conv_3x3 prelu(conv_3x3 x), max and mean of u over the channels; no biases, no norms.
    Shapes: x, y, u (N, C, H, W); W (C, 2C); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio).
    Parameters: 20C^2 + 2Ch + 51. Identity start: W = 0.
    Source: Zamir et al. 2020 (MIRNet), arXiv:2003.06792 (ratio 8).
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.activation = nn.PReLU()
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 5, padding=2, bias=False)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.fuse = nn.Conv2d(2 * channels, channels, 1, bias=False)
        if identity_start:
            zero(self.fuse)

    def forward(self, x: Tensor) -> Tensor:
        u = self.second(self.activation(self.first(x)))  # (N, C, H, W)
        maps = torch.cat((u.amax(1, keepdim=True), u.mean(1, keepdim=True)), 1)  # (N, 2, H, W)
        spatial = self.spatial(maps).sigmoid()  # (N, 1, H, W)
        channel = self.expand(F.relu(self.reduce(u.mean((2, 3))))).sigmoid()  # (N, C)
        return x + self.fuse(torch.cat((u * spatial, u * channel[:, :, None, None]), 1))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        return 20 * channels**2 + 2 * channels * hidden_width(channels, ratio) + 51
