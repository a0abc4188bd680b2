"""A network that knows nothing of attnas, with weights of its own.

`examples/own_network.yaml` says by module paths where attention may be placed:

    attnas search examples/own_network.yaml
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Conv2d(channels_in, channels, 1, stride)
        else:
            self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        f = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(f)) + shortcut)


class SmallNetwork(nn.Module):
    """(N, 1, 8, 8) -> (N, 10)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.early = nn.Sequential(Residual(width, width), Residual(width, width))
        self.late = nn.Sequential(Residual(width, 2 * width, 2), Residual(2 * width, 2 * width))
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.early(F.relu(self.stem(x)))).mean((2, 3)))


def trained_network(weights: str, width: int = 16) -> SmallNetwork:
    """The network with its trained weights; they are made and kept in `weights` at first use.

    They come from telling bars in ten directions apart, so that no image of the search, of
    which some must stay unseen for its scores, has had a part in them.
    """
    path = Path(weights)
    if not path.exists():
        torch.manual_seed(0)
        trained = train_on_bars(SmallNetwork(width))
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(trained.state_dict(), path)
    network = SmallNetwork(width)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network


def train_on_bars(network: nn.Module, steps: int = 60) -> nn.Module:
    """Trains on noisy bars, a new batch every step."""
    draw = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    network.train()
    for _ in range(steps):
        images, directions = bars(32, draw)
        optimizer.zero_grad()
        F.cross_entropy(network(images), directions).backward()
        optimizer.step()
    return network


def bars(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 8, 8) of a bar through a random point, and its direction, 0 to 9."""
    direction = torch.randint(10, (count,), generator=draw)
    angle = direction[:, None, None] * torch.pi / 10
    row, column = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    centre = 2.5 + 2 * torch.rand(2, count, 1, 1, generator=draw)
    distance = (row - centre[0]) * angle.cos() - (column - centre[1]) * angle.sin()
    noise = 0.2 * torch.randn(count, 8, 8, generator=draw)
    return (torch.exp(-(distance**2)) + noise)[:, None], direction
