"""Gather-excite: a gate from the surroundings of each position (ge, ge_theta, ge_plus)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block

_PAPER: dict[str, Any] = {"paper": "Hu et al., arXiv:1810.12348", "year": 2018}
RATIOS = (2, 4, 8, 16, 32)


@register_block("ge_8", settings={"extent": 8}, family="both", **_PAPER)
@register_block("ge_4", settings={"extent": 4}, family="both", **_PAPER)
@register_block("ge_2", settings={"extent": 2}, family="both", **_PAPER)
@register_block("ge", settings={"extent": 0}, family="channel", **_PAPER)
class GatherExcite(nn.Module):
    """y = x * sigmoid(up(G x)), G the mean over the surroundings: the paper's theta-minus.

    With extent e (ge_2, ge_4, ge_8), G averages windows of side 2e - 1 at every e-th position,
    those at the edge over the pixels that there are, and up repeats the nearest of them; as ge, G
    is the mean over the whole map.
    Shapes: x, y (N, C, H, W); G x (N, C, ceil(H / e), ceil(W / e)). Parameters: none.
    Nothing in it can be zeroed, so the identity start blends it in: x + a (y - x), a learned, 0 at
    first: one parameter (`start_parameters`).
    Source: Hu et al. 2018 (Gather-Excite), arXiv:1810.12348.
    """

    start_parameters = 1

    def __init__(self, channels: int, *, extent: int, identity_start: bool = False) -> None:
        super().__init__()
        self.extent = extent
        self.blend = nn.Parameter(torch.zeros(())) if identity_start else None

    def forward(self, x: Tensor) -> Tensor:
        if self.extent:
            side, reach = 2 * self.extent - 1, self.extent - 1
            gate = F.avg_pool2d(x, side, self.extent, reach, count_include_pad=False).sigmoid()
        else:
            gate = x.mean((2, 3), keepdim=True).sigmoid()
        if self.blend is not None:
            gate = self.blend * gate + (1 - self.blend)
        return x * _up(gate, x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None, *, extent: int) -> int:
        return 0


class _Gather(nn.Module):
    """The learned gathering: depthwise convolutions and their batch norms.

    log2 e times a 3x3 convolution of stride 2 and BN, with ReLU between; for the whole map one
    convolution with a kernel of its size, on maps of another size after pooling to it.
    Shapes: (N, C, H, W) -> (N, C, ceil(H / e), ceil(W / e)), or (N, C, 1, 1).
    """

    def __init__(self, channels: int, extent: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = None if extent else size
        kernels = [3] * (extent.bit_length() - 1) if extent else [size]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride=2 if extent else 1,
                padding=1 if extent else 0,
                groups=channels,
                bias=False,
            )
            for kernel in kernels
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in kernels)

    def forward(self, x: Tensor) -> Tensor:
        if self.size is not None and x.shape[2:] != self.size:
            x = F.adaptive_avg_pool2d(x, self.size)
        last = len(self.norms) - 1
        for number, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = norm(convolution(x))
            if number < last:
                x = F.relu(x)
        return x

    @staticmethod
    def params(channels: int, height: int, width: int, extent: int) -> int:
        if not extent:
            return channels * height * width + 2 * channels
        return 11 * channels * (extent.bit_length() - 1)


@register_block("ge_theta_8", settings={"extent": 8}, family="both", **_PAPER)
@register_block("ge_theta_4", settings={"extent": 4}, family="both", **_PAPER)
@register_block("ge_theta_2", settings={"extent": 2}, family="both", **_PAPER)
@register_block("ge_theta", settings={"extent": 0}, family="channel", **_PAPER)
class GatherExciteTheta(nn.Module):
    """y = x * sigmoid(up(G x)), G depthwise convolutions with batch norms: the paper's theta.

    With extent e (ge_theta_2, _4, _8), G is log2 e times a 3x3 convolution of stride 2 and BN,
    with ReLU between, and up repeats the nearest; as ge_theta, G is one convolution with a kernel
    as large as the map and BN (on a map of another size: after pooling to that size).
    Shapes: x, y (N, C, H, W); G x (N, C, ceil(H / e), ceil(W / e)) or (N, C, 1, 1); no biases.
    Parameters: 11C log2 e; as ge_theta CHW + 2C. Identity start: the last BN's weight and bias 0,
    gate doubled. Where G x has one position, one image cannot train it.
    Source: Hu et al. 2018 (Gather-Excite), arXiv:1810.12348.
    """

    sized = True
    needs_batch = True

    def __init__(
        self,
        channels: int,
        *,
        extent: int,
        size: tuple[int, int],
        identity_start: bool = False,
    ) -> None:
        super().__init__()
        self.gather = _Gather(channels, extent, size)
        self.identity_start = identity_start
        if identity_start:
            zero(self.gather.norms[-1])

    def forward(self, x: Tensor) -> Tensor:
        return x * _up(sigmoid_gate(self.gather(x), doubled=self.identity_start), x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None, *, extent: int) -> int:
        return _Gather.params(channels, height, width, extent)


_PLUS: dict[str, Any] = {"ratios": RATIOS, "ratio_means": "bottleneck width C / r", **_PAPER}


@register_block("ge_plus_8", settings={"extent": 8}, family="both", **_PLUS)
@register_block("ge_plus_4", settings={"extent": 4}, family="both", **_PLUS)
@register_block("ge_plus_2", settings={"extent": 2}, family="both", **_PLUS)
@register_block("ge_plus", settings={"extent": 0}, family="channel", **_PLUS)
class GatherExcitePlus(nn.Module):
    """y = x * sigmoid(up(W2 relu(W1 G x + b1) + b2)), G as in ge_theta: the paper's theta-plus.

    Shapes: x, y (N, C, H, W); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio).
    Parameters: those of ge_theta of the same extent and 2Ch + h + C. Identity start: W2 = 0,
    b2 = 0, gate doubled. Where G x has one position, one image cannot train it.
    Source: Hu et al. 2018 (Gather-Excite), arXiv:1810.12348.
    """

    sized = True
    sliceable = True
    needs_batch = True

    def __init__(
        self,
        channels: int,
        ratio: int,
        *,
        extent: int,
        size: tuple[int, int],
        identity_start: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.gather = _Gather(channels, extent, size)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.expand(F.relu(self.reduce(self.gather(x))))
        return x * _up(sigmoid_gate(logits, doubled=self.identity_start), x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int, *, extent: int) -> int:
        hidden = hidden_width(channels, ratio)
        own = 2 * channels * hidden + hidden + channels
        return own + _Gather.params(channels, height, width, extent)


def _up(gate: Tensor, x: Tensor) -> Tensor:
    """The gate's nearest value at every position of x; one value for the whole map is broadcast."""
    return gate if gate.shape[2] == gate.shape[3] == 1 else F.interpolate(gate, size=x.shape[2:])
