"""Efficient channel attention (eca), closed to a ring (ceca), with a hidden layer (ecam)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


def kernel_size(channels: int) -> int:
    """Odd kernel size t or t + 1, t = floor((log2 C + 1) / 2), at least 3.

    3 below 128 channels, 5 below 2048, then 7.
    """
    t = channels.bit_length() // 2  # exact: bit_length is floor(log2 C) + 1
    return max(3, t if t % 2 else t + 1)


@register_block(
    "ceca",
    settings={"circular": True},
    family="channel",
    paper="no paper; timm's form of eca",
)
@register_block(
    "eca",
    settings={"circular": False},
    family="channel",
    paper="Wang et al., arXiv:1910.03151",
    year=2020,
)
class EfficientChannelAttention(nn.Module):
    """y = x * sigmoid(conv1d_k(m)), m = mean of x over H and W, conv1d along the channels.

    Zeros stand beyond the first and the last channel, as ceca the channels of the other end.
    Shapes: x, y (N, C, H, W); kernel (1, 1, k), k = kernel_size(C), no bias. The channels are
    never fewer than the kernel reaches to one side.
    Parameters: k. Identity start: the kernel is 0, gate doubled.
    Source: Wang et al. 2020 (ECA-Net), arXiv:1910.03151, eq. 9 and 12; the circular form is that
    of timm's `CecaModule`.
    """

    def __init__(
        self, channels: int, *, circular: bool = False, identity_start: bool = False
    ) -> None:
        super().__init__()
        kernel = kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.circular = circular
        self.identity_start = identity_start
        if identity_start:
            zero(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3))  # (N, C)
        reach = self.conv.kernel_size[0] // 2
        if self.circular:
            padded = torch.cat((means[:, -reach:], means, means[:, :reach]), 1)
        else:
            padded = F.pad(means, (reach, reach))
        # Windows times weights: a convolution of one channel takes longer, most of all for batches.
        windows = padded.unfold(1, 2 * reach + 1, 1)  # (N, C, k), a view
        logits = torch.matmul(windows, self.conv.weight.flatten())  # (N, C)
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    @staticmethod
    def params(
        channels: int, height: int, width: int, ratio: None, *, circular: bool = False
    ) -> int:
        return kernel_size(channels)


@register_block(
    "ecam",
    ratios=(2, 4, 8, 16, 32),
    family="channel",
    ratio_means="hidden maps along the channels, C / r",
    paper="no paper; timm's form of eca",
)
class EfficientChannelLayer(nn.Module):
    """y = x * sigmoid(conv1d_k(relu(w m + b)) + b'), m = mean of x over H and W.

    Every channel's mean becomes h values, and the convolution along the channels reads all h.
    Shapes: x, y (N, C, H, W); w, b (h,); kernel (1, h, k), k = kernel_size(C), zero padded;
    h = hidden_width(C, ratio). Parameters: 2h + hk + 1. Identity start: the convolution is 0,
    gate doubled.
    Source: timm's `EcaModule` with `use_mlp`; no paper.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden, kernel = hidden_width(channels, ratio), kernel_size(channels)
        self.expand = nn.Linear(1, hidden)
        self.conv = nn.Conv1d(hidden, 1, kernel, padding=kernel // 2)
        self.identity_start = identity_start
        if identity_start:
            zero(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3))[:, None]  # (N, 1, C)
        bias = self.expand.bias[:, None]
        hidden = F.relu_(torch.addcmul(bias, means, self.expand.weight))  # (N, h, C)
        # The convolution as a product with all its weights and a sum along the channels.
        kernel = self.conv.weight[0].T.expand(x.shape[0], -1, -1)  # (N, k, h)
        reach = self.conv.kernel_size[0] // 2
        products = F.pad(torch.bmm(kernel, hidden), (reach, reach))  # (N, k, C + k - 1)
        windows = products.unfold(2, 2 * reach + 1, 1)  # (N, k, C, k), a view
        assert self.conv.bias is not None
        logits = windows.diagonal(dim1=1, dim2=3).sum(2) + self.conv.bias  # (N, C)
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * hidden + hidden * kernel_size(channels) + 1
