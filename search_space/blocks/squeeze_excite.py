"""Squeeze-and-excitation (se, cse) and its one-layer forms (ese, cca)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


@register_block(
    "cse",
    ratios=(2, 4, 8, 16, 32),
    function="se",
    family="channel",
    ratio_means="bottleneck width C / r",
    paper="Roy et al., arXiv:1803.02579",
    year=2018,
)
@register_block(
    "se",
    ratios=(2, 4, 8, 16, 32),
    family="channel",
    ratio_means="bottleneck width C / r",
    paper="Hu et al., arXiv:1709.01507",
    year=2018,
)
class SqueezeExcite(nn.Module):
    """y = x * sigmoid(W2 relu(W1 m + b1) + b2), m = mean of x over H and W.

    Shapes: x, y (N, C, H, W); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio).
    Parameters: 2Ch + h + C. Identity start: W2 = 0, b2 = 0, gate doubled.
    Source: Hu et al. 2018, arXiv:1709.01507, eq. 2-4 (ratio 16); as cse, the channel half of
    scSE: Roy et al. 2018, arXiv:1803.02579 (ratio 2).
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        # Linear rather than 1x1 convolutions: a fifth less time at batch 1 on a CPU.
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand)

    def gate(self, x: Tensor) -> Tensor:
        """The factor of each channel, (N, C, 1, 1)."""
        logits = self.expand(F.relu(self.reduce(x.mean((2, 3)))))  # (N, C) -> (N, h) -> (N, C)
        return sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * channels * hidden + hidden + channels


@register_block(
    "cca",
    settings={"hard": False},
    family="channel",
    paper="Ai et al., arXiv:2505.11196",
    year=2025,
)
@register_block(
    "ese",
    settings={"hard": True},
    family="channel",
    paper="Lee and Park, arXiv:1911.06667",
    year=2020,
)
class EffectiveSqueezeExcite(nn.Module):
    """y = x * g(W m + b), m = mean of x over H and W.

    As ese, g is the hard sigmoid relu6(z + 3) / 6; as cca, compact channel attention, the sigmoid.
    Shapes: x, y (N, C, H, W); W (C, C). Parameters: C^2 + C.
    Identity start: W = 0, b = 0, gate doubled.
    Source: Lee and Park 2020 (CenterMask), arXiv:1911.06667, section 3.3; the hard sigmoid is
    that of the authors' code. As cca: Ai et al. 2025 (DiCo), arXiv:2505.11196.
    """

    def __init__(self, channels: int, *, hard: bool = True, identity_start: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)
        self.hard = hard
        self.identity_start = identity_start
        if identity_start:
            zero(self.mix)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.mix(x.mean((2, 3)))  # (N, C)
        gate = F.hardsigmoid(logits) if self.hard else logits.sigmoid()
        if self.identity_start:
            gate = 2 * gate
        return x * gate[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None, *, hard: bool = True) -> int:
        return channels**2 + channels
