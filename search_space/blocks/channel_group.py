"""Self-attention among the channels of a head (channel_group)."""

import torch
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
    "channel_group",
    kind="mixer",
    family="self-attention",
    paper="Ding et al., arXiv:2204.03645",
    year=2022,
)
class ChannelGroupAttention(nn.Module):
    """y = Wo A(x) + bo, A with heads q softmax(k' v / sqrt(d))': attention of channels to channels.

    The softmax goes over the channels of v. Its cost grows with the positions, not their square.
    Shapes: x, y (N, C, H, W); head_count(C) heads; q, k, v (P, d) without biases, k' v (d, d).
    Parameters: 4C^2 + C. Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Ding et al. 2022 (DaViT), arXiv:2204.03645, section 3.3.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.scale = (channels // self.heads) ** -0.5
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        qkv = tokens(pointwise(self.to_qkv, channels_last(x))).chunk(3, 2)  # 3 times (N, P, C)
        q, k, v = (split_heads(part, self.heads) for part in qkv)  # (N, heads, P, d)
        weights = (torch.matmul(k.transpose(2, 3), v) * self.scale).softmax(3)  # (N, heads, d, d)
        attended = torch.matmul(q, weights.transpose(2, 3))  # (N, heads, P, d)
        return in_order_of(x, pointwise(self.project, as_map(joined_heads(attended), x)))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 4 * channels**2 + channels
