"""Self-attention with learned relative positions (mhsa, halo, moat)."""

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
from .registry import hidden_width, register_block


@register_block(
    "mhsa",
    kind="mixer",
    ratios=(1, 2, 4),
    family="self-attention",
    ratio_means="queries and keys 1 / r as wide as the head",
    paper="Srinivas et al., arXiv:2101.11605",
    year=2021,
)
class BottleneckAttention(nn.Module):
    """y_i = sum_j softmax_j(q_i . k_j / sqrt(dk) + q_i . (R_dy + S_dx)) v_j in every head.

    (dy, dx) is j's place minus i's; R and S are shared by the heads. No biases and no projection
    of y, as a convolution follows.
    Shapes: x, y (N, C, H, W); head_count(C) heads; q, k of dk = hidden_width(C / heads, ratio),
    v of C / heads; R (2H - 1, dk); S (2W - 1, dk).
    Parameters: C (2 heads dk + C) + (2H + 2W - 2) dk, so they depend on the map: smaller ones take
    the middle of R and S, larger ones are refused.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Srinivas et al. 2021 (BoTNet), arXiv:2101.11605 (4 heads, instead of the last 3x3
    convolutions).
    """

    sized = True

    def __init__(
        self, channels: int, ratio: int, *, size: tuple[int, int], identity_start: bool = False
    ) -> None:
        super().__init__()
        self.size = size
        self.heads = head_count(channels)
        self.width = hidden_width(channels // self.heads, ratio)
        joint = self.heads * self.width
        self.parts = (joint, joint, channels)
        self.to_qkv = nn.Linear(channels, sum(self.parts), bias=False)
        self.rows = nn.Parameter(torch.randn(2 * size[0] - 1, self.width) * self.width**-0.5)
        self.columns = nn.Parameter(torch.randn(2 * size[1] - 1, self.width) * self.width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        check_fits(x, self.size)
        q, k, v = tokens(pointwise(self.to_qkv, channels_last(x))).split(self.parts, 2)
        q, k, v = (split_heads(part, self.heads) for part in (q, k, v))  # (N, heads, P, d)
        on_map = q.unflatten(2, (height, width))  # (N, heads, H, W, dk)
        bias = relative_logits(on_map, self.rows, self.columns, (height, width))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return in_order_of(x, as_map(joined_heads(attended), x))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        heads = head_count(channels)
        narrow = hidden_width(channels // heads, ratio)
        tables = (2 * height + 2 * width - 2) * narrow
        return channels * (2 * heads * narrow + channels) + tables

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (hidden_width(channels // head_count(channels), ratio),)


def check_fits(x: Tensor, size: tuple[int, int]) -> None:
    """Refuses a map that is larger than that whose positions were learned.

    Raises:
        ValueError: it is.
    """
    if x.shape[2] > size[0] or x.shape[3] > size[1]:
        raise ValueError(
            f"a map of {x.shape[2]} x {x.shape[3]} is larger than the {size[0]} x {size[1]} that "
            "the block was made for"
        )


def relative_logits(
    queries: Tensor, rows: Tensor, columns: Tensor, window: tuple[int, int]
) -> Tensor:
    """q_i . (R_dy + S_dx) for the queries of a map and the positions of a window around it.

    queries (..., H, W, d); rows (2 A - 1, d) and columns (2 B - 1, d) for windows up to A x B, of
    which these are offsets; window (H', W'). A query's offset to a position is counted as if both
    began at the same place. Returns (..., H W, H' W').
    """
    height, width = queries.shape[-3:-1]
    by_row = rows[offsets(height, window[0], rows)]  # (H, H', d)
    by_column = columns[offsets(width, window[1], columns)]  # (W, W', d)
    # (..., H, W, d) x (H, d, H') and (..., H, W, d) -> (..., W, H, d) x (W, d, W')
    of_rows = torch.matmul(queries, by_row.transpose(1, 2))  # (..., H, W, H')
    turned = torch.matmul(queries.transpose(-3, -2), by_column.transpose(1, 2))
    of_columns = turned.transpose(-3, -2)  # (..., H, W, W')
    logits = of_rows[..., None] + of_columns[..., None, :]  # (..., H, W, H', W')
    return logits.flatten(-2).flatten(-3, -2)


def offsets(length: int, window: int, table: Tensor) -> Tensor:
    """Where a table of 2 A - 1 offsets has j - i, i below `length`, j below `window`."""
    middle = table.shape[0] // 2
    places = torch.arange(max(length, window), device=table.device)
    return places[:window] - places[:length, None] + middle


@register_block(
    "moat", kind="mixer", family="self-attention", paper="Yang et al., arXiv:2210.01820", year=2022
)
class MoatAttention(nn.Module):
    """y = Wo A(x) + bo, A with heads softmax(q . k / sqrt(d) + T_h(dy, dx)) v; q, k, v with biases.

    (dy, dx) is the key's place minus the query's. The attention of MOAT's blocks, which come after
    an inverted residual there.
    Shapes: x, y (N, C, H, W); head_count(C) heads of d; T (heads, 2H - 1, 2W - 1).
    Parameters: 4C^2 + 4C + heads (2H - 1) (2W - 1), so they depend on the map; on one of another
    size T is interpolated, bilinearly. T starts near 0.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Yang et al. 2022 (MOAT), arXiv:2210.01820 (heads of 32).
    """

    sized = True

    def __init__(
        self, channels: int, *, size: tuple[int, int], identity_start: bool = False
    ) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        table = torch.empty(self.heads, 2 * size[0] - 1, 2 * size[1] - 1)
        self.offset_bias = nn.Parameter(nn.init.normal_(table, std=0.02))

    def forward(self, x: Tensor) -> Tensor:
        qkv = tokens(pointwise(self.to_qkv, channels_last(x))).chunk(3, 2)  # 3 times (N, P, C)
        q, k, v = (split_heads(part, self.heads) for part in qkv)  # (N, heads, P, d)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias(*x.shape[2:]))
        y = pointwise(self.project, as_map(joined_heads(attended), x))
        return in_order_of(x, y)

    def bias(self, height: int, width: int) -> Tensor:
        """T of each pair of positions, (heads, P, P)."""
        table: Tensor = self.offset_bias
        sides = 2 * height - 1, 2 * width - 1
        if table.shape[1:] != sides:
            table = F.interpolate(table[None], size=sides, mode="bilinear")[0]
        rows = offsets(height, height, table[0])  # (H, H)
        columns = offsets(width, width, table[0].T)  # (W, W)
        pairs = table[:, rows][..., columns]  # (heads, H, H, W, W)
        return pairs.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        table = head_count(channels) * (2 * height - 1) * (2 * width - 1)
        return 4 * channels**2 + 4 * channels + table
