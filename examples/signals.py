"""A small time-delay network for examples/signals.yaml, as those that recognise speakers."""

import torch
from torch import Tensor, nn


class Unit(nn.Module):
    """Pointwise, dilated and pointwise convolution beside a shortcut: (N, C, T) -> (N, C, T).

    The SE-Res2Block of ECAPA-TDNN (Desplanques et al. 2020, arXiv:2005.07143, fig. 2) without the
    split of its middle and without its SE, which is what the search places.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(width, width, 1, bias=False), nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm1d(width)
        self.conv3, self.bn3 = nn.Conv1d(width, width, 1, bias=False), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x).relu())
        y = self.bn2(self.conv2(y).relu())
        return x + self.bn3(self.conv3(y).relu())


class Statistics(nn.Module):
    """Mean and deviation over time: (N, C, T) -> (N, 2 C)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x.mean(2), (x.var(2, correction=0) + 1e-5).sqrt()), 1)


class TDNN(nn.Module):
    """(N, C, T) -> (N, classes): units of dilation 2, 3 and 4, all of them joined, pooled."""

    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(in_channels, width, 5, padding=2, bias=False),
            nn.ReLU(),
            nn.BatchNorm1d(width),
        )
        self.units = nn.ModuleList(Unit(width, dilation) for dilation in (2, 3, 4))
        self.join = nn.Conv1d(3 * width, 2 * width, 1)
        self.head = nn.Sequential(
            Statistics(), nn.BatchNorm1d(4 * width), nn.Linear(4 * width, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        found = []
        for unit in self.units:
            x = unit(x)
            found.append(x)
        return self.head(self.join(torch.cat(found, 1)).relu())


def network(classes: int, in_channels: int, width: int = 32) -> nn.Module:
    return TDNN(in_channels, classes, width)
