import torch
from torch import nn

from attnas.search_space import register_block


@register_block("own_scale", kind="gate")
class OwnScale(nn.Module):
    """A learned factor a channel."""

    def __init__(self, channels: int, *, identity_start: bool = True) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale[:, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int | None) -> int:
        return channels
