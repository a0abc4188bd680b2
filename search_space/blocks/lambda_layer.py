"""Lambda layer (lambda)."""

import torch
from torch import Tensor, nn

from .heads import as_map, channels_last, head_count, in_order_of, pointwise, tokens
from .registry import register_block

DEPTH = 16
REACH = 9


@register_block(
    "lambda", kind="mixer", family="self-attention", paper="Bello, arXiv:2102.08602", year=2021
)
class LambdaLayer(nn.Module):
    """y_i = (sum_j softmax_j(k_j) v_j + sum_j e_(j - i) v_j)' q_i in every head, q of the head.

    k and v are shared by the heads; e has 16 weights for each offset of a 9x9 window, and one more,
    a bias, beside them; q and v pass a batch norm. No other biases and no projection of y.
    Shapes: x, y (N, C, H, W), H W > 1; head_count(C) heads; q, k 16 wide, v C / heads;
    e (16, 9, 9). Parameters: C (16 heads + 16 + C / heads) + 32 heads + 2C / heads + 16 * 82.
    Start: wrapped, gamma = 0; in place of a convolution it has none.
    Source: Bello 2021 (LambdaNetworks), arXiv:2102.08602, with the sizes of timm's `LambdaLayer`.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.heads = head_count(channels)
        self.value_width = channels // self.heads
        self.parts = (self.heads * DEPTH, DEPTH, self.value_width)
        self.to_qkv = nn.Linear(channels, sum(self.parts), bias=False)
        self.query_norm = nn.BatchNorm1d(self.heads * DEPTH)
        self.value_norm = nn.BatchNorm1d(self.value_width)
        self.position = nn.Conv2d(1, DEPTH, REACH, padding=REACH // 2)
        nn.init.trunc_normal_(self.position.weight, std=DEPTH**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        qkv = tokens(pointwise(self.to_qkv, channels_last(x)))
        q, k, v = qkv.split(self.parts, 2)  # (N, P, .)
        q = self.query_norm(q.flatten(0, 1)).view(*q.shape[:2], self.heads, DEPTH)
        v = self.value_norm(v.flatten(0, 1)).view(v.shape)  # (N, P, w)
        content = torch.matmul(k.softmax(1).transpose(1, 2), v)  # (N, 16, w)
        maps = v.transpose(1, 2).reshape(-1, 1, *x.shape[2:])  # (N w, 1, H, W)
        position = self.position(maps).unflatten(0, (-1, self.value_width))  # (N, w, 16, H, W)
        # both lambdas of each position, (N, P, w, 16), and the heads' queries, (N, P, heads, 16)
        lambdas = position.flatten(3).permute(0, 3, 1, 2) + content.transpose(1, 2)[:, None]
        y = torch.matmul(q, lambdas.transpose(2, 3))  # (N, P, heads, w)
        return in_order_of(x, as_map(y.flatten(2), x))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        heads = head_count(channels)
        value = channels // heads
        joint = channels * (heads * DEPTH + DEPTH + value)
        return joint + 2 * heads * DEPTH + 2 * value + DEPTH * (REACH**2 + 1)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        """Batch norm cannot be trained on a 1x1 map with a batch of one."""
        return height * width > 1
