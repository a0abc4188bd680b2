"""Triplet attention (triplet)."""

import torch
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import register_block


class _Gate(nn.Module):
    """sigmoid(BN(conv_7x7 [max; mean])), (N, 2, A, B) -> (N, A, B); the convolution has no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, pooled: Tensor, *, doubled: bool) -> Tensor:
        return sigmoid_gate(self.norm(self.conv(pooled)), doubled=doubled).squeeze(1)


@register_block("triplet", family="both", paper="Misra et al., arXiv:2010.03045", year=2021)
class TripletAttention(nn.Module):
    """y = x * (g_HW + g_CW + g_HC) / 3, a gate on each pair of the three axes.

    Each gate is sigmoid(BN(conv_7x7 [max; mean])) of the maximum and the mean of x over the third
    axis. Shapes: x, y (N, C, H, W); maps H x W, C x W and H x C; convolutions 2 -> 1, no bias.
    Parameters: 300. Identity start: weights and biases of the three norms 0, gates doubled.
    Source: Misra et al. 2021, arXiv:2010.03045.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.height_width, self.channel_width, self.height_channel = _Gate(), _Gate(), _Gate()
        self.identity_start = identity_start
        if identity_start:
            zero(self.height_width.norm, self.channel_width.norm, self.height_channel.norm)

    def forward(self, x: Tensor) -> Tensor:
        doubled = self.identity_start
        hw = self.height_width(_pooled(x, 1), doubled=doubled)  # (N, H, W)
        cw = self.channel_width(_pooled(x, 2), doubled=doubled)  # (N, C, W)
        hc = self.height_channel(_pooled(x, 3).transpose(2, 3), doubled=doubled)  # (N, H, C)
        rows = (cw / 3)[:, :, None] + (hc / 3).transpose(1, 2)[..., None]  # (N, C, H, W)
        return x * (rows + (hw / 3)[:, None])

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 3 * (2 * 49 + 2)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        """Not on a 1x1 map: batch norm cannot be trained on it with a batch of one."""
        return height * width > 1


def _pooled(x: Tensor, axis: int) -> Tensor:
    """[max; mean] over one axis of (N, C, H, W), as two channels of the map of the others."""
    return torch.stack((x.amax(axis), x.mean(axis)), 1)
