"""What the self-attention blocks share: how many heads, and maps as tokens and back.

They compute on channels_last maps, whose tokens (N, P, C) are a view; a contiguous map is copied
once before and once after. Linear layers are run on maps: on a CPU a 1x1 convolution takes up to a
tenth less time for a batch of 32, and a matrix product 5 to 30 % less for one image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_WIDTH = 16


def head_count(channels: int) -> int:
    """The greatest divisor of the channels that leaves each head 16 or more, else 1."""
    most = max(1, channels // LEAST_WIDTH)
    return next(heads for heads in range(most, 0, -1) if channels % heads == 0)


def channels_last(x: Tensor) -> Tensor:
    """The map with the channels fastest in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def in_order_of(x: Tensor, y: Tensor) -> Tensor:
    """The map y in the memory order of x."""
    return y.contiguous() if x.is_contiguous() else channels_last(y)


def pointwise(linear: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer over the channels, (N, C, H, W) -> (N, C', H, W).

    In eager mode one image is multiplied, and a batch convolved. Graphs, which may be run on any
    batch, have the convolution.
    """
    if x.shape[0] == 1 and not torch.compiler.is_compiling():
        return F.linear(x.permute(0, 2, 3, 1), linear.weight, linear.bias).permute(0, 3, 1, 2)
    return F.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, P, C), P = H W."""
    return x.flatten(2).transpose(1, 2)


def as_map(of_tokens: Tensor, x: Tensor) -> Tensor:
    """(N, P, C) -> (N, C, H, W), H and W being those of x; channels_last."""
    return of_tokens.transpose(1, 2).unflatten(2, x.shape[2:])


def split_heads(of_tokens: Tensor, heads: int) -> Tensor:
    """(N, P, C) -> (N, heads, P, C / heads)."""
    return of_tokens.unflatten(2, (heads, -1)).transpose(1, 2)


def joined_heads(attended: Tensor) -> Tensor:
    """(N, heads, P, d) -> (N, P, heads d)."""
    return attended.transpose(1, 2).flatten(2)
