"""Coordinate attention (coord) and its simple form (scoord)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block
from .strips import broadcast_sum, scaled, strip_means


@register_block(
    "coord",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="Hou et al., arXiv:2103.02907",
    year=2021,
)
class CoordinateAttention(nn.Module):
    """y_cij = x_cij * sigmoid(Wh a_i)_c * sigmoid(Ww b_j)_c, [a; b] = hardswish(BN(W1 [r; s])).

    r (H vectors) are the means of the rows, s (W vectors) of the columns. No biases, and one
    batch norm over the rows and columns together.
    Shapes: x, y (N, C, H, W); W1 (h, C); Wh, Ww (C, h); h = hidden_width(C, ratio).
    Parameters: 3Ch + 2h. Identity start: Wh = Ww = 0, both gates doubled.
    Source: Hou et al. 2021, arXiv:2103.02907, eq. 4-9, with the hard swish of the authors' code
    but not its biases: batch norm takes up the first; the gates do without theirs.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.expand_rows = nn.Linear(hidden, channels, bias=False)
        self.expand_columns = nn.Linear(hidden, channels, bias=False)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand_rows, self.expand_columns)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.reduce(strip_means(x))  # (N, H + W, h)
        hidden = F.hardswish(self.norm(hidden.flatten(0, 1))).view_as(hidden)
        rows, columns = hidden.split(x.shape[2:], 1)  # (N, H, h), (N, W, h)
        return scaled(
            x, self._gate(self.expand_rows(rows)), self._gate(self.expand_columns(columns))
        )

    def _gate(self, logits: Tensor) -> Tensor:
        return sigmoid_gate(logits, doubled=self.identity_start)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 3 * channels * hidden + 2 * hidden


@register_block(
    "scoord",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="bottleneck width C / r",
    paper="no paper; timm's form of coord",
)
class SimpleCoordinateAttention(nn.Module):
    """y_cij = x_cij * sigmoid(Wh a_i + bh + Ww b_j + bw)_c, [a; b] = silu(W1 [r; s] + b1).

    r (H vectors) are the means of the rows, s (W vectors) of the columns.
    Shapes: x, y (N, C, H, W); W1 (h, C); Wh, Ww (C, h); h = hidden_width(C, ratio).
    Parameters: 3Ch + h + 2C. Identity start: Wh, bh, Ww and bw 0, gate doubled.
    Source: timm's `SimpleCoordAttn`; no paper.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.reduce = nn.Linear(channels, hidden)
        self.expand_rows = nn.Linear(hidden, channels)
        self.expand_columns = nn.Linear(hidden, channels)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand_rows, self.expand_columns)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(self.reduce(strip_means(x)))  # (N, H + W, h)
        rows, columns = hidden.split(x.shape[2:], 1)  # (N, H, h), (N, W, h)
        logits = broadcast_sum(self.expand_rows(rows), self.expand_columns(columns), x)
        return x * sigmoid_gate(logits, doubled=self.identity_start)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 3 * channels * hidden + hidden + 2 * channels
