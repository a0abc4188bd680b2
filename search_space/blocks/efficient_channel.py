"""Efficient channel attention (eca)."""

from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import register_block


def kernel_size(channels: int) -> int:
    """Odd kernel size t or t + 1, t = floor((log2 C + 1) / 2), at least 3.

    3 below 128 channels, 5 below 2048, then 7.
    """
    t = channels.bit_length() // 2  # exact: bit_length is floor(log2 C) + 1
    return max(3, t if t % 2 else t + 1)


@register_block("eca")
class EfficientChannelAttention(nn.Module):
    """y = x * sigmoid(conv1d_k(m)), m = mean of x over H and W, conv1d along the channels.

    Shapes: x, y (N, C, H, W); kernel (1, 1, k), k = kernel_size(C), zero padded, no bias.
    Parameters: k. Identity start: the kernel is 0, gate doubled.
    Source: Wang et al. 2020 (ECA-Net), arXiv:1910.03151, eq. 9 and 12.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        kernel = kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.identity_start = identity_start
        if identity_start:
            zero(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.conv(x.mean((2, 3))[:, None]).squeeze(1)  # (N, 1, C) -> (N, C)
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return kernel_size(channels)
