"""Gated positional self-attention (gpsa)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .heads import (
    as_map,
    channels_last,
    head_count,
    in_order_of,
    joined_heads,
    pointwise,
    split_heads,
    tokens,
)
from .registry import register_block


@register_block(
    "gpsa",
    kind="mixer",
    family="self-attention",
    paper="d'Ascoli et al., arXiv:2103.10697",
    year=2021,
)
class GatedPositionalAttention(nn.Module):
    """y = Wo [((1 - s) softmax(q . k / sqrt d) + s softmax(w . [dx, dy, dx^2 + dy^2] + b)) v] + bo.

    Every head has its own w, b and s = sigmoid(a); (dy, dx) is the key's place minus the query's;
    q, k, v have no biases. The second softmax is that of a sum of a function of dx and one of dy:
    it is the product of a softmax along the row and one along the column, so no map of all pairs
    of positions is needed for it. b, a constant, changes nothing.
    Shapes: x, y (N, C, H, W); head_count(C) heads of d; w (heads, 3).
    Parameters: 4C^2 + C + 5 heads. a starts at 1 and v as the identity; the heads look at the
    places of a square kernel around the query, like a convolution.
    Start: wrapped, gamma = 0; in place of a convolution it has that of the paper.
    Source: d'Ascoli et al. 2021 (ConViT), arXiv:2103.10697, eq. 6 to 8.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.to_qk = nn.Linear(channels, 2 * channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.project = nn.Linear(channels, channels)
        self.position = nn.Linear(3, self.heads)
        self.mixture = nn.Parameter(torch.ones(self.heads))
        self._start_local()

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        last = channels_last(x)
        qk = tokens(pointwise(self.to_qk, last)).chunk(2, 2)
        q, k = (split_heads(part, self.heads) for part in qk)  # (N, heads, P, d)
        v = split_heads(tokens(pointwise(self.to_v, last)), self.heads)
        content = F.scaled_dot_product_attention(q, k, v)
        across, down, square = self.position.weight.T[:, :, None, None]  # (heads, 1, 1) each
        bias = self.position.bias[:, None, None]
        in_row = _attention(width, across, square, bias)[:, None]  # (heads, 1, W, W)
        in_column = _attention(height, down, square, bias)  # (heads, H, H)
        rows = torch.matmul(in_row, v.unflatten(2, (height, width)))  # (N, heads, H, W, d)
        position = torch.matmul(in_column, rows.flatten(3)).view_as(v)
        share = self.mixture.sigmoid()[:, None, None].to(content.dtype)
        mixed = torch.lerp(content, position.to(content.dtype), share)
        return in_order_of(x, pointwise(self.project, as_map(joined_heads(mixed), x)))

    @torch.no_grad()
    def _start_local(self) -> None:
        """v is the identity, and head h of k^2 is centred at the h-th place of a k x k kernel."""
        nn.init.eye_(self.to_v.weight)
        side = math.isqrt(self.heads)
        middle = (side - 1) / 2 if side % 2 == 0 else side // 2
        for head in range(side**2):
            column, row = head // side, head % side
            self.position.weight[head] = torch.tensor(
                [2 * (column - middle), 2 * (row - middle), -1.0]
            )

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 4 * channels**2 + channels + 5 * head_count(channels)


def _attention(length: int, slope: Tensor, square: Tensor, bias: Tensor) -> Tensor:
    """softmax_j(slope (j - i) + square (j - i)^2 + bias), (heads, length, length)."""
    places = torch.arange(length, device=slope.device, dtype=slope.dtype)
    offset = places - places[:, None]
    return (slope * offset + square * offset.square() + bias).softmax(2)
