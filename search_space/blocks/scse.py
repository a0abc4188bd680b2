"""Spatial squeeze-and-excitation (sse), and with the channel form: scse, scse_max."""

import torch
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .positions import channel_sums
from .registry import hidden_width, register_block
from .squeeze_excite import SqueezeExcite


@register_block("sse", family="spatial", paper="Roy et al., arXiv:1803.02579", year=2018)
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
        scores = channel_sums(self.score.weight, x) + self.score.bias  # (N, 1, H W)
        gate = sigmoid_gate(scores, doubled=self.identity_start)
        return gate.unflatten(2, x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return channels + 1


@register_block(
    "scse_max",
    ratios=(2, 4, 8, 16, 32),
    settings={"greatest": True},
    family="both",
    ratio_means="bottleneck width C / r",
    paper="Roy et al., arXiv:1808.08127",
    year=2018,
)
@register_block(
    "scse",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="Roy et al., arXiv:1803.02579",
    year=2018,
)
class ConcurrentSqueezeExcite(nn.Module):
    """y = cse(x) + sse(x), the factors 0.5 + 0.5 in the middle of their range.

    As scse_max, y is the elementwise maximum of the two.
    Shapes: x, y (N, C, H, W). Parameters: 2Ch + h + 2C + 1, h = hidden_width(C, ratio).
    Identity start: the last layers of both are 0; plain sigmoids add up to 1, and for the maximum
    both gates are doubled.
    Source: Roy et al. 2018, arXiv:1803.02579, section 2.3 (ratio 2), the sum; the maximum is that
    of the authors' code and of their later paper, arXiv:1808.08127.
    """

    sliceable = True

    def __init__(
        self, channels: int, ratio: int, *, greatest: bool = False, identity_start: bool = False
    ) -> None:
        super().__init__()
        doubled = greatest and identity_start
        self.channel = SqueezeExcite(channels, ratio, identity_start=doubled)
        self.spatial = SpatialSqueezeExcite(channels, identity_start=doubled)
        self.greatest = greatest
        if identity_start:
            zero(self.channel.expand, self.spatial.score)

    def forward(self, x: Tensor) -> Tensor:
        if self.greatest:
            return torch.maximum(self.channel(x), self.spatial(x))
        # Not x * (c + s): the sum of the small gates would be a map in contiguous order, and
        # its product with a channels_last x is slow.
        return torch.addcmul(x * self.channel.gate(x), x, self.spatial.gate(x))

    @staticmethod
    def params(
        channels: int, height: int, width: int, ratio: int, *, greatest: bool = False
    ) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * channels * hidden + hidden + 2 * channels + 1
