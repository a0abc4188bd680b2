"""Max pooling as a token mixer (maxpool)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .registry import register_block


@register_block(
    "maxpool",
    kind="mixer",
    family="mixer",
    paper="no paper; average pooling in Yu et al., arXiv:2111.11418",
)
class MaxPool(nn.Module):
    """y_p = max of x over the 3x3 pixels around p, those outside the map left out.

    Shapes: x, y (N, C, H, W). Parameters: none. Start: wrapped, x + gamma (y - x) with gamma = 0;
    in place of a convolution it has none.
    Source: none; the mean in its place is the mixer of Yu et al. 2022 (PoolFormer),
    arXiv:2111.11418, section 3.
    """

    blends = True

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, stride=1, padding=1)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 0
