"""Simple, parameter-free attention (simam)."""

import torch
from torch import Tensor, nn

from .registry import register_block

ENERGY_FLOOR = 1e-4  # lambda of the paper, chosen there on CIFAR


@register_block("simam", family="both", paper="Yang et al., ICML", year=2021)
class SimAm(nn.Module):
    """y = x * sigmoid(d / (4 (v + 1e-4)) + 1/2), d = (x - mean)^2, v = sum d / (H W - 1).

    Mean and sum go over H and W. Shapes: x, y (N, C, H, W), H W > 1.
    Parameters: none. The gate is never below sigmoid(1/2) = 0.62 and nothing in it can be
    zeroed, so the identity start blends it in: x + a (y - x), a learned, 0 at first: one
    parameter (`start_parameters`).
    Source: Yang et al. 2021 (SimAM), ICML, eq. 5 and 6.
    """

    start_parameters = 1

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.blend = nn.Parameter(torch.zeros(())) if identity_start else None

    def forward(self, x: Tensor) -> Tensor:
        deviation = (x - x.mean((2, 3), keepdim=True)).square()
        # Not torch.var: the same figure takes 10 times longer with it on a CPU.
        variance = deviation.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        # In place where autograd allows it: every temporary here is as large as x.
        gate = (deviation * (0.25 / (variance + ENERGY_FLOOR))).add_(0.5).sigmoid_()
        if self.blend is not None:
            gate = (self.blend * gate).add_(1 - self.blend)
        return x * gate

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 0

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        """Not on a 1x1 map, which has no variance (0 / 0)."""
        return height * width > 1
