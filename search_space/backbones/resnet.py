"""The residual networks for images of about 224 x 224.

Source: He et al. 2016, arXiv:1512.03385, table 1.
"""

from torch import nn

from attnas.core import InputError

from .registry import register_backbone
from .residual_units import BasicUnit, BottleneckUnit, residual_stage
from .staged import StagedNetwork, classifier

LAYOUTS: dict[int, tuple[type[BasicUnit] | type[BottleneckUnit], tuple[int, ...]]] = {
    18: (BasicUnit, (2, 2, 2, 2)),
    34: (BasicUnit, (3, 4, 6, 3)),
    50: (BottleneckUnit, (3, 4, 6, 3)),
}


@register_backbone("resnet")
def resnet(*, classes: int, in_channels: int, depth: int = 18) -> nn.Module:
    """4 stages of basic (18, 34) or bottleneck units (50).

    Raises:
        InputError: another depth.
    """
    if depth not in LAYOUTS:
        raise InputError(f"must be 18, 34 or 50, not {depth}.", key="depth")
    unit, counts = LAYOUTS[depth]
    stem = nn.Sequential(
        nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    )
    stages, channels = {}, 64
    for i, units in enumerate(counts):
        channels_in, channels = channels, 64 * 2**i * unit.expansion
        stride = 2 if i else 1
        stages[f"layer{i + 1}"] = residual_stage(unit, channels_in, channels, units, stride)
    return StagedNetwork(stem, stages, classifier(channels, classes))
