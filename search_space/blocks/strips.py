"""Means of the rows and columns of a map, and gates of them.

A strip is (N, L, C): L rows or columns. All is done in the memory order of the map: against it, a
channels_last map takes up to 10 times longer on a CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def row_means(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, C), in the memory order of x."""
    if not x.is_contiguous():
        return x.permute(0, 2, 3, 1).mean(2)
    means = torch.matmul(x, x.new_ones(x.shape[3])) / x.shape[3]  # half the time of `mean`
    return means.transpose(1, 2)


def column_means(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, W, C), in the memory order of x."""
    return x.mean(2).transpose(1, 2) if x.is_contiguous() else x.permute(0, 2, 3, 1).mean(1)


def strip_means(x: Tensor) -> Tensor:
    """Means of the H rows, then of the W columns, (N, H + W, C)."""
    return torch.cat((row_means(x), column_means(x)), 1)


def convolved(strip: Tensor, conv: nn.Conv1d) -> Tensor:
    """The convolution along the strip, without bias, (N, L, C) -> (N, L, C).

    As one of two dimensions on a channels_last map of one row: half the time of one of one.
    """
    row = strip.contiguous().transpose(1, 2)[:, :, None]  # (N, C, 1, L)
    reach = conv.weight.shape[2] // 2
    y = F.conv2d(row, conv.weight[:, :, None], padding=(0, reach), groups=conv.groups)
    return y.squeeze(2).transpose(1, 2)


def convolved_3(strip: Tensor, weight: Tensor) -> Tensor:
    """Each channel convolved with 3 weights of its own, (C, 1, 3), zeros beyond the ends.

    Three multiplications, since for one image a depthwise convolution takes three times longer.
    """
    before, here, after = weight.squeeze(1).unbind(1)  # (C,) each
    y = strip * here
    if strip.shape[1] > 1:
        y[:, 1:].addcmul_(strip[:, :-1], before)
        y[:, :-1].addcmul_(strip[:, 1:], after)
    return y


def broadcast_sum(rows: Tensor, columns: Tensor, x: Tensor) -> Tensor:
    """rows_ic + columns_jc, (N, H, C) and (N, W, C) -> (N, C, H, W), in the memory order of x."""
    if x.is_contiguous():
        by_row, by_column = rows.transpose(1, 2), columns.transpose(1, 2)
        return by_row.contiguous()[..., None] + by_column.contiguous()[:, :, None]
    return (rows[:, :, None] + columns[:, None]).permute(0, 3, 1, 2)


def scaled(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x_cij rows_ic columns_jc, (N, C, H, W), of (N, H, C) and (N, W, C)."""
    by_row, by_column = rows.transpose(1, 2), columns.transpose(1, 2)
    if x.is_contiguous():
        by_row, by_column = by_row.contiguous(), by_column.contiguous()
    # In place, as a second map as large as x is what takes longest (autograd keeps a copy itself).
    return (x * by_row[..., None]).mul_(by_column[:, :, None])
