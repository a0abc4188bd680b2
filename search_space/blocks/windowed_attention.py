"""Self-attention within windows (window), and of blocks to what surrounds them (halo)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .heads import head_count, in_order_of
from .registry import hidden_width, register_block
from .relative_attention import relative_logits

WINDOW = 7


@register_block(
    "window",
    kind="mixer",
    family="self-attention",
    paper="Ding et al., arXiv:2204.03645",
    year=2022,
)
class WindowAttention(nn.Module):
    """y = Wo A(x) + bo within each window of 7x7, A with heads softmax(q . k / sqrt(d)) v.

    Maps are padded with zeros at the right and at the bottom to a multiple of 7; the zeros are
    attended to. q, k, v have biases; there are no positions.
    Shapes: x, y (N, C, H, W); head_count(C) heads of d. Parameters: 4C^2 + 4C.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Ding et al. 2022 (DaViT), arXiv:2204.03645, section 3.2.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        padded = padded_rows_last(x, WINDOW)  # (N, H', W', C)
        windows = as_windows(padded, WINDOW)  # (N n, 49, C)
        qkv = self.to_qkv(windows).unflatten(2, (3, self.heads, -1))  # (N n, 49, 3, heads, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return from_windows(self.project(attended), padded, WINDOW, x)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 4 * channels**2 + 4 * channels


def padded_rows_last(x: Tensor, side: int) -> Tensor:
    """(N, C, H, W) -> (N, H', W', C), with zeros to the next multiples of `side`."""
    height, width = x.shape[2:]
    y = x.permute(0, 2, 3, 1)
    if height % side or width % side:
        y = F.pad(y, (0, 0, 0, -width % side, 0, -height % side))
    return y


def as_windows(y: Tensor, side: int) -> Tensor:
    """(N, H', W', C) -> (N n, side^2, C), n windows an image."""
    parts = y.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # (N, H'/s, s, W'/s, s, C)
    return parts.transpose(2, 3).flatten(0, 2).flatten(1, 2)


def from_windows(windows: Tensor, padded: Tensor, side: int, x: Tensor) -> Tensor:
    """What `as_windows` took apart, without the padding, in the memory order of x."""
    rows, columns = padded.shape[1] // side, padded.shape[2] // side
    parts = windows.view(-1, rows, columns, side, side, windows.shape[2]).transpose(2, 3)
    y = parts.flatten(3, 4).flatten(1, 2)[:, : x.shape[2], : x.shape[3]].permute(0, 3, 1, 2)
    return in_order_of(x, y)


BLOCK, HALO = 8, 3
REACH = BLOCK + 2 * HALO


@register_block(
    "halo",
    kind="mixer",
    ratios=(1, 2, 4),
    family="self-attention",
    ratio_means="queries and keys 1 / r as wide as the head",
    paper="Vaswani et al., arXiv:2103.12731",
    year=2021,
)
class HaloAttention(nn.Module):
    """y_i = sum_j softmax_j(q_i . k_j / sqrt(dk) + q_i . (R_dy + S_dx)) v_j in every head.

    i lies in a block of 8x8 pixels and j in the 14x14 around it; (dy, dx) is j's place in its
    square minus i's in its. Maps are padded with zeros, which are attended to, at the right and at
    the bottom to a multiple of 8 and by 3 all around. R and S are shared by the heads. No biases
    and no projection of y.
    Shapes: x, y (N, C, H, W); head_count(C) heads; q, k of dk = hidden_width(C / heads, ratio),
    v of C / heads; R, S (27, dk). Parameters: C (2 heads dk + C) + 54 dk.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Vaswani et al. 2021 (HaloNet), arXiv:2103.12731, with the sizes of timm's `HaloAttn`.
    """

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.width = hidden_width(channels // self.heads, ratio)
        joint = self.heads * self.width
        self.to_q = nn.Linear(channels, joint, bias=False)
        self.to_kv = nn.Linear(channels, joint + channels, bias=False)  # a head's k, then its v
        self.rows = nn.Parameter(torch.randn(2 * REACH - 1, self.width) * self.width**-0.5)
        self.columns = nn.Parameter(torch.randn(2 * REACH - 1, self.width) * self.width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        padded = padded_rows_last(x, BLOCK)  # (N, H', W', C)
        blocks = as_windows(self.to_q(padded), BLOCK)  # (N n, 64, heads dk)
        q = blocks.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N n, heads, 64, dk)
        k, v = self._surroundings(self.to_kv(padded))
        on_map = q.unflatten(2, (BLOCK, BLOCK))  # (N n, heads, 8, 8, dk)
        bias = relative_logits(on_map, self.rows, self.columns, (REACH, REACH))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return from_windows(attended.transpose(1, 2).flatten(2), padded, BLOCK, x)

    def _surroundings(self, kv: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the 14x14 pixels around each block, (N n, heads, 196, d)."""
        wide = F.pad(kv, (0, 0, HALO, HALO, HALO, HALO))
        around = wide.unfold(1, REACH, BLOCK).unfold(2, REACH, BLOCK)  # (N, ., ., C', 14, 14)
        by_head = around.unflatten(3, (self.heads, -1)).permute(0, 1, 2, 3, 5, 6, 4)
        flat = by_head.flatten(0, 2).flatten(2, 3)  # (N n, heads, 196, dk + d)
        return flat[..., : self.width], flat[..., self.width :]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        heads = head_count(channels)
        narrow = hidden_width(channels // heads, ratio)
        return channels * (2 * heads * narrow + channels) + 2 * (2 * REACH - 1) * narrow

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (hidden_width(channels // head_count(channels), ratio),)
