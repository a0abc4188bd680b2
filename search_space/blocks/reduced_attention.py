"""Self-attention on fewer keys or positions than the map has (sra, cvt, lowtention)."""

from typing import Any

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
    "sra",
    kind="mixer",
    ratios=(1, 2, 4, 8),
    family="self-attention",
    ratio_means="keys and values of r x r pixels",
    paper="Wang et al., arXiv:2102.12122",
    year=2021,
)
class SpatialReductionAttention(nn.Module):
    """y = Wo A(x, z) + bo, z = LN(conv_rxr x) of stride r: queries from x, keys and values from z.

    A has heads softmax(q . k / sqrt(d)) v. Ratio 1 is attention on the whole map: z = x. All
    layers have biases.
    Shapes: x, y (N, C, H, W), H and W at least r; z (N, C, H // r, W // r); head_count(C) heads.
    Parameters: 4C^2 + 4C, and r^2 C^2 + 3C if r > 1. Smaller maps than r are padded with zeros.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Wang et al. 2021 (PVT), arXiv:2102.12122.
    """

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads, self.ratio = head_count(channels), ratio
        self.to_q = nn.Linear(channels, channels)
        self.to_kv = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(channels, channels)
        if ratio > 1:
            self.reduce = nn.Conv2d(channels, channels, ratio, stride=ratio)
            self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        last = channels_last(x)
        q = tokens(pointwise(self.to_q, last))  # (N, P, C)
        k, v = self.to_kv(self._reduced(last)).chunk(2, 2)  # (N, P', C)
        q, k, v = (split_heads(part, self.heads) for part in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v)
        return in_order_of(x, pointwise(self.project, as_map(joined_heads(attended), x)))

    def _reduced(self, x: Tensor) -> Tensor:
        """z, (N, P', C)."""
        if self.ratio == 1:
            return tokens(x)
        missing = max(0, self.ratio - x.shape[3]), max(0, self.ratio - x.shape[2])
        if any(missing):
            x = F.pad(x, (0, missing[0], 0, missing[1]))
        if max(x.shape[2:]) < 2 * self.ratio:
            # torch 2.13 gives wrong bfloat16 values on a CPU for a strided convolution of a
            # channels_last map to a single position.
            x = x.contiguous()
        return self.norm(tokens(self.reduce(x)))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        reduction = ratio**2 * channels**2 + 3 * channels if ratio > 1 else 0
        return 4 * channels**2 + 4 * channels + reduction

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        return min(height, width) >= ratio


class _Projection(nn.Module):
    """W BN(DW_3x3 x) + b with a stride, (N, C, H, W) -> (N, P', C)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return tokens(pointwise(self.linear, self.norm(self.conv(x))))


@register_block(
    "cvt", kind="mixer", family="self-attention", paper="Wu et al., arXiv:2103.15808", year=2021
)
class ConvolutionalAttention(nn.Module):
    """y = Wo A(q, k, v) + bo, each of q, k, v a projection W BN(DW_3x3 x) + b of its own.

    The depthwise convolutions of keys and values have stride 2. A has heads
    softmax(q . k / sqrt(C)) v: by C, not by the width of a head, as in the authors' code.
    Shapes: x, y (N, C, H, W), H W > 1; head_count(C) heads. Parameters: 4C^2 + 37C.
    Start: wrapped, gamma = 0; in place of a convolution it has none. Where the map has 2 x 2
    pixels or less, keys and values have one, and one image cannot train their norms.
    Source: Wu et al. 2021 (CvT), arXiv:2103.15808, without class token.
    """

    needs_batch = True

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads, self.scale = head_count(channels), channels**-0.5
        self.to_q = _Projection(channels, 1)
        self.to_k = _Projection(channels, 2)
        self.to_v = _Projection(channels, 2)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        last = channels_last(x)
        projected = self.to_q(last), self.to_k(last), self.to_v(last)
        q, k, v = (split_heads(part, self.heads) for part in projected)
        attended = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return in_order_of(x, pointwise(self.project, as_map(joined_heads(attended), x)))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 4 * channels**2 + 37 * channels

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        """Batch norm cannot be trained on a 1x1 map with a batch of one."""
        return height * width > 1


KERNELS = {1: 3, 2: 5, 4: 7}  # by stride
_LOW: dict[str, Any] = {
    "kind": "mixer",
    "ratios": (1, 2, 4),
    "family": "self-attention",
    "ratio_means": "attention on a map of 1 / r the side",
    "paper": "Nottebaum et al., arXiv:2409.03460",
    "year": 2025,
}


@register_block("lowtention_half", settings={"narrowing": 2}, **_LOW)
@register_block("lowtention", settings={"narrowing": 1}, **_LOW)
class LowResolutionAttention(nn.Module):
    """y = up(Wo A(W BN(DW x)) + bo): attention on a map that is r times smaller, and back.

    DW is a depthwise convolution of stride r and kernel 3, 5 or 7 for r = 1, 2 or 4; A has heads
    softmax(q . k / sqrt(d)) v; up is a transposed depthwise convolution with bias, kernel 2r and
    stride r (3 and 1 for r = 1), its result cut to the map. As lowtention_half the heads are half
    as wide.
    Shapes: x, y (N, C, H, W); heads = max(1, int(C m / 30)) of d = int((C // heads) m), m = 1 or
    1/2; e = heads d; W (3e, C), a head's q, k, v one behind the other; Wo (C, e).
    Parameters: 4eC + (k^2 + u + 4) C, u = 4r^2, or 9 if r = 1.
    Start: wrapped, gamma = 0; in place of a convolution it has none. Where the small map has one
    pixel, one image cannot train its norm.
    Source: Nottebaum et al. 2025 (LowFormer), arXiv:2409.03460.
    """

    needs_batch = True

    def __init__(
        self, channels: int, ratio: int, *, narrowing: int = 1, identity_start: bool = False
    ) -> None:
        super().__init__()
        self.heads, width = _low_heads(channels, narrowing)
        kernel = KERNELS[ratio]
        self.conv = nn.Conv2d(
            channels, channels, kernel, ratio, kernel // 2, groups=channels, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.to_qkv = nn.Linear(channels, 3 * self.heads * width, bias=False)
        self.project = nn.Linear(self.heads * width, channels)
        up, padding = (2 * ratio, ratio // 2) if ratio > 1 else (3, 1)
        self.up = nn.ConvTranspose2d(channels, channels, up, ratio, padding, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.norm(self.conv(channels_last(x)))  # (N, C, H', W')
        qkv = split_heads(tokens(pointwise(self.to_qkv, low)), self.heads)  # (N, heads, P', 3 d)
        q, k, v = qkv.chunk(3, 3)
        attended = joined_heads(F.scaled_dot_product_attention(q, k, v))
        y = self.up(pointwise(self.project, as_map(attended, low)))
        return in_order_of(x, y[:, :, : x.shape[2], : x.shape[3]])

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int, *, narrowing: int = 1) -> int:
        heads, of_head = _low_heads(channels, narrowing)
        up = 4 * ratio**2 if ratio > 1 else 9
        return 4 * heads * of_head * channels + (KERNELS[ratio] ** 2 + up + 4) * channels

    @staticmethod
    def widths(channels: int, ratio: int, *, narrowing: int = 1) -> tuple[int, ...]:
        return (ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int, *, narrowing: int = 1) -> bool:
        return channels >= narrowing and height * width > 1


def _low_heads(channels: int, narrowing: int) -> tuple[int, int]:
    """How many heads, and how wide."""
    heads = max(1, channels // (30 * narrowing))
    return heads, channels // heads // narrowing
