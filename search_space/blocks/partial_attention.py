"""Partial visual attention: convolution of some channels, attention of the rest (pat_*)."""

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
    split_heads,
    tokens,
)
from .positions import channel_sums
from .registry import register_block

LEAST_VARIANCE = 1e-12
"""Below it a standard deviation has no gradient: at 0 that would be infinite."""


@register_block(
    "pat_ch",
    kind="mixer",
    ratios=(2, 4, 8),
    family="mixer",
    ratio_means="C / r channels are convolved",
    paper="Huang et al., arXiv:2502.01303",
    year=2025,
)
class PartialChannelAttention(nn.Module):
    """y = [conv_3x3 a; BN(b * hardsigmoid(BN(K [mean; std] of b)))], x = [a; b].

    Mean and standard deviation go over H and W; K mixes both of all d channels; no biases.
    Shapes: x, y (N, C, H, W), H W > 1; a (N, c, H, W), c = C // ratio; b (N, d, H, W); K (d, d, 2).
    Parameters: 9c^2 + 2d^2 + 4d. Start: wrapped, gamma = 0; in place of a convolution it has none.
    The inner norm is over the batch alone: one image cannot train it.
    Source: Huang et al. 2025 (Partial Channel Network), arXiv:2502.01303 (ratio 4).
    """

    needs_batch = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.convolved = channels // ratio
        rest = channels - self.convolved
        self.conv = nn.Conv2d(self.convolved, self.convolved, 3, padding=1, bias=False)
        self.mix = nn.Linear(2 * rest, rest, bias=False)
        self.gate_norm = nn.BatchNorm1d(rest)
        self.norm = nn.BatchNorm2d(rest)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, : self.convolved], x[:, self.convolved :]
        mean = b.mean((2, 3))  # (N, d)
        squares = (b - mean[:, :, None, None]).square().sum((2, 3))
        variance = squares / (x.shape[2] * x.shape[3] - 1)
        style = torch.cat((mean, variance.clamp_min(LEAST_VARIANCE).sqrt()), 1)  # (N, 2d)
        gate = F.hardsigmoid(self.gate_norm(self.mix(style)))  # (N, d)
        return torch.cat((self.conv(a), self.norm(b * gate[:, :, None, None])), 1)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        convolved = channels // ratio
        rest = channels - convolved
        return 9 * convolved**2 + 2 * rest**2 + 4 * rest

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (channels // ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        """A map of one pixel has no standard deviation (0 / 0)."""
        return channels >= ratio and height * width > 1


@register_block(
    "pat_sp",
    kind="mixer",
    ratios=(2, 4),
    family="mixer",
    ratio_means="C / r channels are mixed",
    paper="Huang et al., arXiv:2502.01303",
    year=2025,
)
class PartialSpatialAttention(nn.Module):
    """y = [BN(b * hardsigmoid(w . b_p)); W BN(a)] at every position p, x = [b; a]; no biases.

    Shapes: x, y (N, C, H, W); a (N, c, H, W), c = C // ratio; b (N, d, H, W); w (1, d); W (c, c).
    Parameters: c^2 + d + 2C. Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Huang et al. 2025 (Partial Channel Network), arXiv:2502.01303 (ratio 2).
    """

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        mixed = channels // ratio
        self.rest = channels - mixed
        self.score = nn.Linear(self.rest, 1, bias=False)
        self.norm = nn.BatchNorm2d(self.rest)
        self.mixed_norm = nn.BatchNorm2d(mixed)
        self.mix = nn.Conv2d(mixed, mixed, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, a = x[:, : self.rest], x[:, self.rest :]
        scores = channel_sums(self.score.weight, b)  # (N, 1, H W)
        gate = F.hardsigmoid(scores).unflatten(2, x.shape[2:])  # (N, 1, H, W)
        return torch.cat((self.norm(b * gate), self.mix(self.mixed_norm(a))), 1)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        mixed = channels // ratio
        return mixed**2 + channels - mixed + 2 * channels

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (channels // ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        """Batch norm cannot be trained on a 1x1 map with a batch of one."""
        return channels >= ratio and height * width > 1


EXACT = 20  # distances up to it are buckets of their own
LAST = 40  # the bucket of all from `FARTHEST`
FARTHEST = 160
BUCKETS = 2 * LAST + 1


@register_block(
    "pat_sf",
    kind="mixer",
    ratios=(2, 4, 8),
    family="self-attention",
    ratio_means="C / r channels are convolved",
    paper="Huang et al., arXiv:2502.01303",
    year=2025,
)
class PartialSelfAttention(nn.Module):
    """y = [conv_3x3 a; Wo A(LN b) + bo], x = [a; b], A self-attention with a bias of the distance.

    A has heads softmax(q . k / sqrt(d') + T_h(distance)) v; T_h has one number for each bucket of
    Euclidean distances: rounded up to 20, then rounded log-spaced ones up to 160. Of its 81
    entries, as in the references, 41 can be reached. q, k, v have no biases.
    Shapes: x, y (N, C, H, W); a (N, c, H, W), c = C // ratio; b (N, d, H, W); head_count(d) heads
    of d'. Parameters: 9c^2 + 4d^2 + 3d + 81 head_count(d). T starts with zeros.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Huang et al. 2025 (Partial Channel Network), arXiv:2502.01303 (ratio 4; 4 or 6 heads);
    buckets: Wu et al. 2021 (iRPE), arXiv:2107.14222. Dropout is left out.
    """

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.convolved = channels // ratio
        rest = channels - self.convolved
        self.heads = head_count(rest)
        self.conv = nn.Conv2d(self.convolved, self.convolved, 3, padding=1, bias=False)
        self.norm = nn.LayerNorm(rest, eps=1e-6)
        self.to_qkv = nn.Linear(rest, 3 * rest, bias=False)
        self.project = nn.Linear(rest, rest)
        self.distance_bias = nn.Parameter(torch.zeros(self.heads, BUCKETS))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, : self.convolved], x[:, self.convolved :]
        qkv = self.to_qkv(self.norm(tokens(channels_last(b))))  # (N, P, 3d)
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, 2))
        bias = distance_bias(self.distance_bias, *x.shape[2:])  # (heads, P, P)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        y = in_order_of(x, as_map(self.project(joined_heads(attended)), x))  # (N, d, H, W)
        return torch.cat((self.conv(a), y), 1)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        convolved = channels // ratio
        rest = channels - convolved
        return 9 * convolved**2 + 4 * rest**2 + 3 * rest + BUCKETS * head_count(rest)

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (channels // ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        return channels >= ratio


def distance_bias(table: Tensor, height: int, width: int) -> Tensor:
    """Each pair's entry of (heads, 81) by the distance of its two pixels, (heads, P, P)."""
    rows = torch.arange(height, device=table.device)
    columns = torch.arange(width, device=table.device)
    by_offset = table[:, buckets(rows, columns)]  # (heads, H, W): by the offsets' amounts
    row_offset, column_offset = (rows - rows[:, None]).abs(), (columns - columns[:, None]).abs()
    pairs = by_offset[:, row_offset][..., column_offset]  # (heads, H, H, W, W)
    return pairs.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def buckets(rows: Tensor, columns: Tensor) -> Tensor:
    """The entry of the table for each offset of rows and columns, (H, W)."""
    distance = (rows[:, None].square() + columns.square()).float().sqrt().round()
    scale = (LAST - EXACT) / math.log(FARTHEST / EXACT)
    far = EXACT + (distance.clamp_min(EXACT) / EXACT).log() * scale
    return LAST + torch.where(distance <= EXACT, distance, far.round().clamp_max(LAST)).long()
