from torch import Tensor, nn

from attnas.search_space import Insertion, Stage, Unit, register_backbone


class OwnNet(nn.Module):
    """Two convolutions, with a place for a block after each."""

    def __init__(self, channels: int, classes: int, width: int, activation: str) -> None:
        super().__init__()
        act = {"relu": nn.ReLU, "silu": nn.SiLU}[activation]
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), act())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), act())
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))

    def stages(self) -> tuple[Stage, ...]:
        site = (("post", Insertion("after", "")),)
        return (Stage("body", (Unit("first", site), Unit("second", site))),)


@register_backbone("own_net")
def own_net(
    *, classes: int, in_channels: int, width: int = 6, activation: str = "relu"
) -> nn.Module:
    return OwnNet(in_channels, classes, width, activation)
