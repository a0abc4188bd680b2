"""Sums over the channels at each position, and over the positions of each channel.

As batched products of matrices: a convolution to one channel takes several times longer on a CPU,
and other forms of the product copy a channels_last or a contiguous map first.
"""

import torch
from torch import Tensor


def channel_sums(weight: Tensor, x: Tensor) -> Tensor:
    """w . x_p, weight (1, C), or (N, 1, C) for one of each image: (N, C, H, W) -> (N, 1, P)."""
    return torch.bmm(weight.expand(x.shape[0], 1, -1), x.flatten(2))


def position_sums(weight: Tensor, x: Tensor) -> Tensor:
    """sum_p w_p x_p, weight (N, 1, P): (N, C, H, W) -> (N, C)."""
    return torch.bmm(weight, x.flatten(2).transpose(1, 2)).squeeze(1)
