"""Small networks of each kind that discovery must understand."""

import torch
from torch import nn


class Squeeze(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class SEModule(Squeeze):
    """Known by its name."""


class Inverted(nn.Module):
    """Expansion, depthwise convolution, SE if `se`, projection, shortcut where it fits."""

    def __init__(self, channels_in, channels, stride=1, se=False):
        super().__init__()
        wide = 2 * channels_in
        self.expand, self.bn1 = nn.Conv2d(channels_in, wide, 1), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)
        self.se = SEModule(wide) if se else nn.Identity()
        self.project, self.bn2 = nn.Conv2d(wide, channels, 1), nn.BatchNorm2d(channels)
        self.shortcut = stride == 1 and channels_in == channels

    def forward(self, x):
        y = self.se(self.depthwise(self.bn1(self.expand(x)).relu()))
        y = self.bn2(self.project(y))
        return x + y if self.shortcut else y


class Mobile(nn.Module):
    def __init__(self, classes=3, in_channels=3, late=False):
        super().__init__()
        self.late = SEModule(12) if late else nn.Identity()
        self.stem = nn.Conv2d(in_channels, 8, 3, 2, 1)
        self.blocks = nn.Sequential(
            nn.Sequential(Inverted(8, 8), Inverted(8, 8)),
            nn.Sequential(Inverted(8, 12, 2, se=True), Inverted(12, 12, se=True)),
        )
        self.head = nn.Linear(12, classes)

    def forward(self, x):
        return self.head(self.late(self.blocks(self.stem(x))).mean((2, 3)))


class Basic(nn.Module):
    """A residual unit whose last branch starts at zero."""

    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn2.weight)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        y += x
        return torch.relu_(y)


class Residual(nn.Module):
    def __init__(self, classes=3, in_channels=3):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 8, 3, 2, 1)
        self.layer1 = nn.Sequential(Basic(8), Basic(8))
        self.down = nn.Conv2d(8, 16, 2, 2)
        self.layer2 = nn.Sequential(Basic(16), Basic(16))
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        x = self.layer2(self.down(self.layer1(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Norms(nn.Module):
    """A unit on tensors with the channels last: a map (N, H, W, C) or tokens (N, L, C)."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 8), nn.GELU(), nn.Linear(8, channels))

    def forward(self, x):
        return x + self.mlp(self.norm(x))


class ChannelsLast(nn.Module):
    """As wide as its map is high: shapes alone do not show where the channels are."""

    def __init__(self, classes=3, in_channels=3, channels=8):
        super().__init__()
        self.patches = nn.Conv2d(in_channels, channels, 2, 2)
        self.blocks = nn.Sequential(Norms(channels), Norms(channels))
        self.norm, self.head = nn.LayerNorm(channels), nn.Linear(channels, classes)

    def forward(self, x):
        x = self.blocks(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.norm(x).mean((1, 2)))


class Tokens(nn.Module):
    """With `leading` class tokens before those of the map; the head reads `pooled` or the first."""

    def __init__(self, classes=3, in_channels=3, leading=1, name="cls_token", pooled=True):
        super().__init__()
        self.patches = nn.Conv2d(in_channels, 8, 4, 4)
        self.leading, self.pooled = name, pooled
        self.register_parameter(name, nn.Parameter(torch.zeros(1, leading, 8)))
        self.layers = nn.ModuleList([Norms(8), Norms(8)])
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([getattr(self, self.leading).expand(len(x), -1, -1), x], 1)
        for layer in self.layers:
            x = layer(x + x.mean(1, keepdim=True))
        x = self.norm(x)
        return self.head(x.mean(1) if self.pooled else x[:, 0])


class Temporal(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(channels, channels, 3, 1, 1), nn.BatchNorm1d(channels)
        self.conv2, self.bn2 = nn.Conv1d(channels, channels, 3, 1, 1), nn.BatchNorm1d(channels)

    def forward(self, x):
        return x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


class Signals(nn.Module):
    def __init__(self, classes=3, in_channels=2):
        super().__init__()
        self.first = nn.Conv1d(in_channels, 6, 3, 2, 1)
        self.units = nn.Sequential(Temporal(6), Temporal(6))
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        return self.head(self.units(self.first(x)).mean(2))


class Plain(nn.Module):
    """Without units: convolutions and activations in a row."""

    def __init__(self, classes=3, in_channels=3):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


class Hidden(nn.Module):
    """Units that show nothing of where their channels are, each as wide as its map is high."""

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.randn(8, 8))
            self.one, self.two = nn.Bilinear(1, 1, 1), nn.Bilinear(1, 1, 1)

        def forward(self, x):
            return x + x @ self.a

    def __init__(self, classes=3, in_channels=3):
        super().__init__()
        self.units = nn.Sequential(self.Unit(), self.Unit())
        self.head = nn.Bilinear(1, 1, classes)

    def forward(self, x):
        x = self.units(x[:, :1].expand(-1, 8, -1, -1).reshape(-1, 8, 8, 8))
        mean = x.mean((1, 2, 3))[:, None]
        return self.head(mean, mean)
