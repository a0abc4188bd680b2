"""Efficient multi-scale attention (ema)."""

import torch
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import register_block


@register_block(
    "ema",
    ratios=(2, 4, 8, 16, 32),
    family="both",
    ratio_means="channel groups: more are cheaper",
    paper="Ouyang et al., arXiv:2305.13563",
    year=2023,
)
class EfficientMultiScaleAttention(nn.Module):
    """y = x * sigmoid(softmax(GAP a) . b + softmax(GAP b) . a), in each group of c channels.

    a = GN(x * sigmoid(W r) * sigmoid(W s)), a norm for every channel, r the means of the rows and
    s of the columns of the group; b = conv_3x3(x). W and the convolution have biases, and all
    groups share all parameters. The mean of a over the map is the bias of its norm, so the first
    softmax needs no pass over a.
    Shapes: x, y (N, C, H, W); W (c, c); a, b (N ratio, c, H, W), c = C / ratio; ratio divides C.
    Parameters: 10c^2 + 4c. Identity start: the convolution and GN 0, gate doubled.
    Source: Ouyang et al. 2023 (EMA), arXiv:2305.13563.
    """

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        part = channels // ratio
        self.ratio = ratio
        self.strips = nn.Linear(part, part)
        self.conv = nn.Conv2d(part, part, 3, padding=1)
        self.norm = nn.GroupNorm(part, part)
        self.identity_start = identity_start
        if identity_start:
            zero(self.conv, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        parts = x.unflatten(1, (self.ratio, -1))  # (N, g, c, H, W)
        group = parts.flatten(0, 1)  # (N g, c, H, W)
        strips = torch.cat((group.mean(3), group.mean(2)), 2).transpose(1, 2)  # (N g, H + W, c)
        rows, columns = (
            self.strips(strips).sigmoid().transpose(1, 2).split((height, width), 2)
        )  # (N g, c, H), (N g, c, W)
        a = self.norm(group * rows[:, :, :, None] * columns[:, :, None])
        b = self.conv(group)
        of_a = self.norm.bias.softmax(0)[None]  # (1, c)
        of_b = b.mean((2, 3)).softmax(1)[:, None]  # (N g, 1, c)
        logits = of_a @ b.flatten(2) + of_b @ a.flatten(2)  # (N g, 1, H W)
        gate = sigmoid_gate(logits, doubled=self.identity_start)
        return (parts * gate.view(-1, self.ratio, 1, height, width)).flatten(1, 2)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        part = channels // ratio
        return 10 * part**2 + 4 * part

    @staticmethod
    def widths(channels: int, ratio: int) -> tuple[int, ...]:
        return (channels // ratio,)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        return channels % ratio == 0
