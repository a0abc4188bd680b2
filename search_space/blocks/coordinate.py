"""Coordinate attention (coord)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


@register_block("coord", ratios=(2, 4, 8, 16, 32))
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
        hidden = self.reduce(_strip_means(x))  # (N, H + W, h)
        hidden = F.hardswish(self.norm(hidden.flatten(0, 1))).view_as(hidden)
        rows, columns = hidden.split(x.shape[2:], 1)  # (N, H, h), (N, W, h)
        row_gate = self._gate(self.expand_rows(rows), x)  # (N, C, H)
        column_gate = self._gate(self.expand_columns(columns), x)  # (N, C, W)
        return x * row_gate[:, :, :, None] * column_gate[:, :, None]

    def _gate(self, logits: Tensor, x: Tensor) -> Tensor:
        """(N, L, C) -> (N, C, L), in the memory order of x, so that the product is fast."""
        gate = sigmoid_gate(logits, doubled=self.identity_start).transpose(1, 2)
        return gate.contiguous() if x.is_contiguous() else gate

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 3 * channels * hidden + 2 * hidden


def _strip_means(x: Tensor) -> Tensor:
    """Means of the H rows, then of the W columns, (N, H + W, C).

    Reduced in x's memory order: against it, a channels_last x takes up to 10 times longer
    on a CPU.
    """
    if x.is_contiguous():
        return torch.cat((x.mean(3), x.mean(2)), 2).transpose(1, 2)
    positions = x.permute(0, 2, 3, 1)  # (N, H, W, C)
    return torch.cat((positions.mean(2), positions.mean(1)), 1)
