"""Frequency channel attention (fca)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block

GRID = 7
FREQUENCIES = (
    *((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)),
    *((5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2)),
)
"""The 16 frequencies (rows, columns) on a 7x7 grid that the authors found best, in their order."""


@register_block(
    "fca",
    ratios=(2, 4, 8, 16, 32),
    family="channel",
    ratio_means="bottleneck width C / r",
    paper="Qin et al., arXiv:2012.11879",
    year=2021,
)
class FrequencyChannelAttention(nn.Module):
    """y = x * sigmoid(W2 relu(W1 z)), z_c = sum_p x_cp B_p, B a cosine that c's sixteenth has.

    Channels come in 16 equal parts, the i-th with the product of two cosines of frequencies
    (u, v) T / 7 on a grid of T x T: cos(pi u (t + 1/2) / T) / sqrt T, times sqrt 2 if u > 0. T is
    the greatest multiple of 7 within the map; a map of another size is pooled to T x T, means of
    overlapping bins, which is folded into B. No biases.
    Shapes: x, y (N, C, H, W), 16 divides C, H and W at least 7; B (16, H W); W1 (h, C);
    W2 (C, h); h = hidden_width(C, ratio). Parameters: 2Ch. Identity start: W2 = 0, gate doubled.
    On smaller maps than its place has, T stays: the pooling repeats pixels.
    Source: Qin et al. 2021 (FcaNet), arXiv:2012.11879, with the frequencies "top16" of the
    authors' code.
    """

    sized = True
    sliceable = True
    bases: Tensor

    def __init__(
        self, channels: int, ratio: int, *, size: tuple[int, int], identity_start: bool = False
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.size = size
        self.side = GRID * max(1, min(size) // GRID)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.register_buffer("bases", self._bases(*size), persistent=False)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand)

    def forward(self, x: Tensor) -> Tensor:
        bases = self.bases if x.shape[2:] == self.size else self._bases(*x.shape[2:]).to(x)
        parts = x.flatten(2).unflatten(1, (len(FREQUENCIES), -1))  # (N, 16, C / 16, P)
        z = torch.matmul(parts, bases[:, :, None]).flatten(1)  # (16, P, 1) -> (N, C)
        logits = self.expand(F.relu(self.reduce(z)))  # (N, h) -> (N, C)
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    def _bases(self, height: int, width: int) -> Tensor:
        """The 16 cosines, each spread over the pixels that are pooled to its grid: (16, P)."""
        rows, columns = _cosines(self.side, height), _cosines(self.side, width)
        products = [torch.outer(rows[u], columns[v]) for u, v in FREQUENCIES]
        return torch.stack(products).flatten(1).float()

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        return 2 * channels * hidden_width(channels, ratio)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        return channels % len(FREQUENCIES) == 0 and min(height, width) >= GRID


def _cosines(side: int, length: int) -> Tensor:
    """Cosines of 7 frequencies on `side` points, pulled back through the pooling: (7, length)."""
    points = torch.arange(side, dtype=torch.float64) + 0.5
    frequencies = torch.arange(GRID, dtype=torch.float64)[:, None] * (side // GRID)
    cosines = torch.cos(math.pi * frequencies * points / side) * math.sqrt(2 / side)
    cosines[0] /= math.sqrt(2)
    return cosines @ _pooling(length, side)


def _pooling(length: int, side: int) -> Tensor:
    """Adaptive average pooling of `length` pixels to `side` means, as a matrix."""
    bins, pixels = torch.arange(side)[:, None], torch.arange(length)
    inside = (pixels >= bins * length // side) & (pixels < (bins * length + length - 1) // side + 1)
    return inside.double() / inside.sum(1, keepdim=True)
