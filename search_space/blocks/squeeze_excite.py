"""Squeeze-and-excitation (se, cse) and its one-layer form (ese)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


@register_block("cse", ratios=(2, 4, 8, 16, 32), function="se")
@register_block("se", ratios=(2, 4, 8, 16, 32))
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


@register_block("ese")
class EffectiveSqueezeExcite(nn.Module):
    """y = x * hardsigmoid(W m + b), m = mean of x over H and W, hardsigmoid(z) = relu6(z + 3) / 6.

    Shapes: x, y (N, C, H, W); W (C, C). Parameters: C^2 + C.
    Identity start: W = 0, b = 0, gate doubled.
    Source: Lee and Park 2020 (CenterMask), arXiv:1911.06667, section 3.3; the hard sigmoid is
    that of the authors' code.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)
        self.identity_start = identity_start
        if identity_start:
            zero(self.mix)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.hardsigmoid(self.mix(x.mean((2, 3))))  # (N, C)
        if self.identity_start:
            gate = 2 * gate
        return x * gate[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return channels**2 + channels
