"""Spatial squeeze-and-excitation (sse) and its sum with the channel form (scse)."""

import torch
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block
from .squeeze_excite import SqueezeExcite


@register_block("sse")
class SpatialSqueezeExcite(nn.Module):
    """y = x * sigmoid(w . x_p + b) at every position p.

    Shapes: x, y (N, C, H, W); w (1, C). Parameters: C + 1.
    Identity start: w = 0, b = 0, gate doubled.
    Source: Roy et al. 2018, arXiv:1803.02579, section 2.2 (sSE; b as in the authors' code).
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)
        self.identity_start = identity_start
        if identity_start:
            zero(self.score)

    def gate(self, x: Tensor) -> Tensor:
        """The factor of each position, (N, 1, H, W)."""
        # As a product of matrices, since a convolution to one channel takes several times longer
        # on a CPU; x is viewed, not copied, in either memory format.
        scores = torch.matmul(self.score.weight, x.flatten(2)) + self.score.bias  # (N, 1, H W)
        gate = sigmoid_gate(scores, doubled=self.identity_start)
        return gate.unflatten(2, x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return channels + 1


@register_block("scse", ratios=(2, 4, 8, 16, 32))
class ConcurrentSqueezeExcite(nn.Module):
    """y = cse(x) + sse(x), the factors 0.5 + 0.5 in the middle of their range.

    Shapes: x, y (N, C, H, W). Parameters: 2Ch + h + 2C + 1, h = hidden_width(C, ratio).
    Identity start: the last layers of both are 0; their plain sigmoids add up to 1.
    Source: Roy et al. 2018, arXiv:1803.02579, section 2.3 (ratio 2). The authors' later code
    takes the elementwise maximum; the sum is the paper's.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.channel = SqueezeExcite(channels, ratio)
        self.spatial = SpatialSqueezeExcite(channels)
        if identity_start:
            zero(self.channel.expand, self.spatial.score)

    def forward(self, x: Tensor) -> Tensor:
        # Not x * (c + s): the sum of the small gates would be a map in contiguous order, and
        # its product with a channels_last x is slow.
        return torch.addcmul(x * self.channel.gate(x), x, self.spatial.gate(x))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * channels * hidden + hidden + 2 * channels + 1
