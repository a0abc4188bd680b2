"""What our backbones share: a stem, stages of units with empty slots, a head."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from ..stages import Insertion, Stage, Unit


class StagedNetwork(nn.Module):
    """stem, the stages in their order, head: (N, C, H, W) -> (N, classes).

    Each unit says with its `sites` which of its slots serves which placement, or how else a
    block enters it.
    """

    def __init__(
        self, stem: nn.Module, stages: Mapping[str, Sequence[nn.Module]], head: nn.Module
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stage_names = tuple(stages)
        for name, units in stages.items():
            self.add_module(name, nn.Sequential(*units))
        self.head = head
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name in self.stage_names:
            x = getattr(self, name)(x)
        return self.head(x)

    def stages(self) -> tuple[Stage, ...]:
        """Where blocks can be placed."""
        return tuple(Stage(name, tuple(self._units(name))) for name in self.stage_names)

    def _units(self, stage: str) -> Iterator[Unit]:
        for i, unit in self.get_submodule(stage).named_children():
            sites: Mapping[str, str | Insertion] = unit.sites  # type: ignore[assignment]
            insertions = (
                (name, Insertion("at", site) if isinstance(site, str) else site)
                for name, site in sites.items()
            )
            yield Unit(f"{stage}.{i}", tuple(insertions))


def convolution(
    channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Without bias, since a norm follows, and padded so that stride 1 keeps the map's size."""
    return nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def classifier(channels: int, classes: int) -> nn.Sequential:
    """Global average pool and linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def initialise(network: nn.Module) -> None:
    """Convolutions as He et al. 2015 (arXiv:1502.01852), by fan-out; torch's defaults else."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
