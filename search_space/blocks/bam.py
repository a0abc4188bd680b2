"""Bottleneck attention module (bam)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import zero
from .registry import hidden_width, register_block

DILATION = 4


@register_block(
    "bam",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="Park et al., arXiv:1807.06514",
    year=2018,
)
class Bam(nn.Module):
    """y = x * (1 + sigmoid(c * s)), c of each channel and s of each position multiplied.

    c = W2 relu(BN(W1 m)), m = mean of x over H and W; s: 1x1 convolution to h channels, BN, ReLU,
    then twice a 3x3 convolution of dilation 4, BN, ReLU, then 1x1 to one channel. All layers have
    biases.
    Shapes: x, y (N, C, H, W); c (N, C, 1, 1); s (N, 1, H, W); h = hidden_width(C, ratio).
    Parameters: 3Ch + C + 18h^2 + 13h + 1. Identity start: W2 and its bias 0 and 2 sigmoid for
    1 + sigmoid, so that the gain is 1 and not 1.5; not s as well, since two factors of 0 would
    keep each other there.
    The norm of c is over the batch alone: one image cannot train it.
    Source: Park et al. 2018, arXiv:1807.06514 (ratio 16), where c and s are added; the
    product is that of the authors' code.
    """

    sliceable = True
    needs_batch = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.expand = nn.Linear(hidden, channels)
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=DILATION, dilation=DILATION),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=DILATION, dilation=DILATION),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 1),
        )
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand)

    def forward(self, x: Tensor) -> Tensor:
        c = self.expand(F.relu(self.norm(self.reduce(x.mean((2, 3))))))  # (N, C)
        # c first: the gate then has the memory order of x where that is contiguous
        gate = (self.spatial(x) * c[:, :, None, None]).sigmoid_()  # (N, C, H, W)
        return (x * gate).mul_(2) if self.identity_start else torch.addcmul(x, x, gate)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 3 * channels * hidden + channels + 18 * hidden**2 + 13 * hidden + 1
